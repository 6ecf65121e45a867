/**
 * Makes bound sockets listen before the first worker is there, so that early clients wait instead of being refused.
 *
 * A handle that listens also accepts, in the process that asked for it; the master must not. So a short-lived child
 * inherits the sockets, calls listen(2) on each and is gone before its event loop turns.
 */
import { spawn } from 'node:child_process';
import { getSystemErrorName } from 'node:util';
import { BindError } from '../../errors.ts';
import { bindHandle, type Handle } from '../../system/node-internals.ts';
import { ownModule } from '../../system/own-files.ts';
import { inUse } from './in-use.ts';

/** This file, as the child runs it. */
const armer = ownModule('master/sockets/arm');
const firstFd = 3;

/** What is to listen. */
interface Bound {
  readonly label: string;
  readonly backlog: number;
  readonly queues: readonly Handle[];
}

/** @throws BindError if another process was faster to listen on one of the addresses */
export function arm(listeners: readonly Bound[]): Promise<void> {
  const queues = listeners.flatMap((listener) => listener.queues.map((queue) => ({ listener, fd: queue.fd })));
  if (queues.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [armer, ...queues.map(({ listener }) => String(listener.backlog))], {
      stdio: ['ignore', 'ignore', 'ignore', ...queues.map(({ fd }) => fd)],
      env: {},
    });
    // It holds the sockets: it must not outlive us.
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('close', () => process.removeListener('exit', kill));
    // Without it the first worker's own listen(2) does the same, a little later.
    child.on('error', () => resolve());
    child.on('exit', (code) => {
      const failed = code === null || code < 100 ? undefined : queues[code - 100];
      if (failed === undefined) return resolve();
      const { label } = failed.listener;
      reject(new BindError(label, 'EADDRINUSE', inUse('cannot bind', label)));
    });
  });
}

/** The child: exits with 100 + the index of the socket that is taken. */
function armInherited(backlogs: readonly string[]): void {
  for (const [index, backlog] of backlogs.entries()) {
    const handle = bindHandle(null, -1, -1, firstFd + index, 0);
    if (typeof handle === 'number') continue;
    const error = handle.listen(Number(backlog));
    if (error !== 0 && getSystemErrorName(error) === 'EADDRINUSE') process.exit(100 + index);
  }
  process.exit(0);
}

if (process.argv[1] === armer) armInherited(process.argv.slice(2));
