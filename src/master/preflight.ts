/**
 * What would keep a service from starting, found without starting it: each thing that a start needs is tried and let go of.
 * What the running service has itself is no obstacle: it is what a reload or an upgrade goes on with.
 */
import type { Address } from '../config/address.ts';
import type { Settings } from '../config/resolved.ts';
import { BindError, PreforkError } from '../errors.ts';
import { checkLogFile } from '../system/log-file.ts';
import { checkPidfile, masterIn, masterTitle, staleNote } from './claims/pidfile.ts';
import { commandNote } from './command/note.ts';
import { releaseNote } from './release.ts';
import { checkSnapshotFolder } from './service/snapshot-folder.ts';
import { tryToBind } from './sockets/attempt.ts';
import { resolveTarget, type Target } from './sockets/bind.ts';
import { unauthorised } from './sockets/grants.ts';
import { type Holder, holdersOf } from './sockets/holders.ts';
import { whereOf } from './sockets/in-use.ts';
import { targetOf } from './sockets/listeners.ts';
import { tryApp } from './workers/trial.ts';

export interface Findings {
  /** What is not as it should be, and is no obstacle. */
  readonly notes: readonly string[];
  /** What a start would fail with. */
  readonly problems: readonly PreforkError[];
}

/** Tries everything that a start does with these settings, but for listening. */
export async function preflight(settings: Settings): Promise<Findings> {
  const notes: string[] = [];
  const problems: PreforkError[] = [];
  const attempt = async (run: () => void | Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof PreforkError)) throw error;
      problems.push(error);
    }
  };
  let running: number | null = null;
  const { accessLog, admin, bind, controlSocket, errorLog, pidfile } = settings;
  const addressIsFree = (target: Target, setting = ''): Promise<void> =>
    attempt(async () => {
      try {
        await tryToBind(target, settings);
      } catch (error) {
        if (!(error instanceof BindError)) throw error;
        const own = error.errno === 'EADDRINUSE' ? runningAt(target.label, settings, running) : null;
        if (own === null) throw setting === '' ? error : ofSetting(error, setting);
        notes.push(`${target.label} is in use by the running service (pid ${own})`);
      }
    });

  if (pidfile !== null) {
    await attempt(() => {
      running = masterIn(pidfile);
      checkPidfile(pidfile, running);
      const stale = staleNote(pidfile);
      if (stale !== null) notes.push(stale);
    });
  }
  await attempt(() => {
    if (errorLog !== null) checkLogFile(errorLog);
  });
  await attempt(() => {
    if (accessLog !== null && accessLog !== '-') checkLogFile(accessLog, 'access log');
  });
  await attempt(() => checkSnapshotFolder(settings));
  for (const address of bind) await attempt(async () => addressIsFree(await resolveTarget(address)));
  if (controlSocket.kind === 'path' && !controlSocket.isDefault) {
    await attempt(async () =>
      addressIsFree(await resolveTarget({ kind: 'unix', path: controlSocket.path }), 'controlSocket'),
    );
  }
  if (admin !== null) {
    await attempt(async () => {
      if (admin.kind === 'fd')
        throw new BindError(`fd://${admin.fd}`, 'EINVAL', 'admin: expected host:port or unix:/path');
      const twin = bind.find((address) => isSame(address, admin));
      const target = await resolveTarget(admin);
      if (twin !== undefined)
        throw new BindError(target.label, 'EADDRINUSE', `admin: ${target.label} is an address of bind too`);
      await addressIsFree(target, 'admin');
    });
  }
  await attempt(async () => {
    const found = await tryApp(settings);
    notes.push(...found.notes);
    const { query } = found;
    if (query === null) return;
    const target = targetOf(query);
    const refusal = unauthorised(query, settings, new Set());
    if (refusal !== null) throw refusal;
    await addressIsFree(target);
  });
  const release = releaseNote(settings);
  if (release !== null) notes.push(release);
  const verify = commandNote('verify', settings.verify, settings);
  if (verify !== null) notes.push(verify);
  return { notes, problems };
}

/** As what the setting is for says it. */
function ofSetting({ address, errno, message }: BindError, setting: string): BindError {
  return new BindError(address, errno, `${setting}: ${message.replace('cannot bind', 'cannot listen on')}`);
}

/** @returns the pid of the running service, if it is what listens there; `null` if it is something else */
function runningAt(label: string, { name, pidfile }: Settings, running: number | null): number | null {
  const holders = holdersOf(whereOf(label));
  const isMaster = ({ command }: Holder) => command.startsWith(masterTitle(name));
  // Without a pidfile only its name tells which service it is.
  const own = holders.find(({ pid, command }) => pid === running || (pidfile === null && isMaster({ pid, command })));
  // Another user's is not to be seen: that it runs has to be enough.
  return own?.pid ?? (holders.length === 0 ? running : null);
}

function isSame(one: Address, other: Address): boolean {
  if (one.kind === 'tcp' && other.kind === 'tcp') {
    const isAny = ({ host }: { readonly host: string }) => host === '0.0.0.0' || host === '::';
    return one.port !== 0 && one.port === other.port && (one.host === other.host || isAny(one) || isAny(other));
  }
  return one.kind === 'unix' && other.kind === 'unix' && one.path === other.path;
}
