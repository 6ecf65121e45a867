/** Warnings at the start about settings that have no effect here, or not the effect they seem to have. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Settings } from '../config/resolved.ts';
import type { Identity } from '../system/identity.ts';
import { inspectorAsked } from '../system/inspector-option.ts';
import { supportsReusePort } from '../system/node-internals.ts';
import type { PassedSocket } from '../system/passed.ts';

/** Milliseconds that `docker stop` waits by default. */
const dockerStop = 10_000;

/** @param passed sockets that the service manager passes */
export function noticesFor(settings: Settings, passed: readonly PassedSocket[] = []): string[] {
  const notices: string[] = [...settings.doubts];
  if (settings.queues === 'per-worker' && !supportsReusePort()) {
    notices.push(
      'queues: per-worker has no effect here (it needs Linux and Node 22.12 or newer); one shared queue is used',
    );
  }
  if (settings.maxRequestsJitter > 0 && settings.maxRequests === 0)
    notices.push('maxRequestsJitter has no effect without maxRequests');
  if (settings.maxLifetimeJitter > 0 && settings.maxLifetime === 0)
    notices.push('maxLifetimeJitter has no effect without maxLifetime');
  if (settings.release === null && settings.releaseOn.join() !== 'reload')
    notices.push('releaseOn has no effect without release');
  if (settings.typescript === 'native' && (process.features as { typescript?: unknown }).typescript !== 'strip') {
    notices.push('typescript: native is not possible with this version of Node; workers will fail to load TypeScript');
  }
  const own = Object.keys(settings.slotEnv).filter((name) => name !== 'NODE_APP_INSTANCE' && name !== 'PREFORK_SLOT');
  if (settings.spares > 0 && own.length > 0)
    notices.push(
      `a spare has no slot while it loads the app: what env sets with {slot} (${own.join(', ')}) is missing there, and comes with its slot; read it in onSlot, or leave spares at 0`,
    );
  if (settings.timeout > 0 && settings.blockedWarning > settings.timeout)
    notices.push('blockedWarning has no effect above timeout');
  if (settings.requestTimeout > 0 && settings.slowRequest >= settings.requestTimeout)
    notices.push('slowRequest reports only answers that take as long to send: requestTimeout comes first');
  if (inspectorAsked(settings.nodeArgs, settings.env.NODE_OPTIONS) !== null) {
    notices.push(
      'the workers are debugged (--inspect): none is killed for being stuck or slow to start, and none is asked where it is blocked',
    );
  }
  for (const { fd, name } of passed) {
    if (settings.bind.some((address) => address.kind === 'fd' && address.fd === fd)) continue;
    const which = name === null ? `fd://${fd}` : `fd://${fd}, or fd://${name}`;
    notices.push(
      `the service manager passes a socket that bind does not name (${which}): clients that connect to it are never answered`,
    );
  }
  const closed = settings.identity === null ? null : closedTo(settings.identity, settings.app.path);
  // Only a notice: an access list can permit what the mode does not. Node itself would say that it cannot find the app.
  if (closed !== null) {
    notices.push(
      `the user of the workers (uid ${settings.identity?.uid}) has no right to ${closed}: it cannot load the app ${settings.app.path}`,
    );
  }
  const { PORT } = settings.env;
  if (settings.bind.length === 0 && PORT !== undefined && !/^\d{1,5}$/.test(PORT))
    notices.push(
      `PORT is ${JSON.stringify(PORT.slice(0, 60))}, which is not a port number; a handler is served on 127.0.0.1:8000`,
    );
  if (process.pid === 1) {
    notices.push(
      'prefork is PID 1, and Node does not reap orphans of the app’s own child processes; if the app starts any, use an init (docker run --init)',
    );
    const budget = settings.gracefulTimeout + settings.drainDelay;
    if (budget >= dockerStop)
      notices.push(
        `a stop may take ${budget / 1_000} s, but docker stop kills after 10 s; set --stop-timeout (stop_grace_period), or a shorter gracefulTimeout`,
      );
  }
  return notices;
}

/** The first part of a path to which a user has no right, see path_resolution(7); `null` if there is none. */
function closedTo({ uid, groups }: Identity, path: string): string | null {
  const parents: string[] = [];
  for (let folder = dirname(path); !parents.includes(folder); folder = dirname(folder)) parents.unshift(folder);
  const isOpen = (place: string, wanted: number): boolean => {
    try {
      const { uid: owner, gid, mode } = statSync(place);
      const bits = owner === uid ? mode >> 6 : groups.includes(gid) ? mode >> 3 : mode;
      return uid === 0 || (bits & wanted) === wanted;
    } catch {
      // This process cannot see it either: there is nothing to warn about for certain.
      return true;
    }
  };
  return parents.find((folder) => !isOpen(folder, 0o1)) ?? (isOpen(path, 0o4) ? null : path);
}
