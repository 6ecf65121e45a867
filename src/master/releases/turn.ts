/**
 * One release command at a time for each release on this host, whoever runs it: a reload, a start, an upgrade, another
 * service. Who wants a turn puts a ticket into a folder that all masters of a user share. A ticket of which neither the
 * master nor the command lives any more is void, so nothing is left behind by a crash.
 *
 * A ticket is `<release>.want.<when>` and becomes `<release>.held.<when>`. Each master shows its own before it looks at the
 * others', so that of two at least one sees the other; and no name is used twice, so that one which is void can be removed
 * without regard to what happens meanwhile.
 */
import { readdirSync, readFileSync, readlinkSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, ReleaseError } from '../../errors.ts';
import { removeQuietly } from '../../system/paths.ts';
import { privateFolder } from '../../system/private-folder.ts';
import { isAlive, statFieldsOf } from '../../system/processes.ts';
import { randomName } from '../../system/random-name.ts';

export interface TurnOptions {
  /** Of the release. */
  readonly folder: string;
  /** Of the service, for who has to wait for it. */
  readonly name: string;
  /** Who the command runs as. */
  readonly uid: number;
  /** Milliseconds to wait. */
  readonly within: number;
  readonly signal: AbortSignal;
  /** It has to wait. @param holder who for, in words */
  readonly onWait: (holder: string) => void;
  /** Where the tickets are, for tests; see {@link ticketFolder}. */
  readonly tickets?: string;
}

/** The right to run a release command now. */
export interface Turn {
  /** Why there may be another at the same time; `null` if there is none. */
  readonly problem: string | null;
  /** The command runs: as long as any process of its group lives, the turn is taken. */
  holdFor(pid: number): void;
  end(): void;
}

/** A process, and when it was started: a pid alone is used again. */
interface Known {
  readonly pid: number;
  /** In the kernel's ticks; `null` if the system does not say. */
  readonly start: string | null;
}

interface Ticket {
  readonly file: string;
  readonly held: boolean;
  readonly when: string;
  readonly holder: string;
}

/** Milliseconds between two looks. */
const every = 100;
/** See proc_pid_stat(5): `state` and `starttime`, among the fields from the third on. */
const stateField = 0;
const startField = 19;
/** Where systemd's PrivateTmp= does not hide one service's files from another. */
const sharedMemory = '/dev/shm';

/**
 * Waits for its turn.
 *
 * @throws ReleaseError if it does not come within the time
 * @throws what the signal is aborted with
 */
export async function takeTurn(options: TurnOptions): Promise<Turn> {
  const { folder, name, uid, within, signal, onWait, tickets = ticketFolder(uid) } = options;
  const key = `${hashOf(`${pidNamespace()} ${folder}`)}.`;
  const when = `${Date.now().toString(36).padStart(9, '0')}-${randomName(6)}`;
  const [want, held] = ['want', 'held'].map((state) => join(tickets, `${key}${state}.${when}`)) as [string, string];
  const us = known(process.pid);
  const refusal = privateFolder(tickets, uid) ?? write(want, { name, master: us, command: null });
  if (refusal !== null) return { problem: refusal, holdFor: () => {}, end: () => {} };

  sweep(tickets);
  const deadline = Date.now() + within;
  let told = '';
  const waitFor = async (other: Ticket): Promise<void> => {
    if (other.holder !== told) onWait(other.holder);
    told = other.holder;
    if (Date.now() >= deadline)
      throw new ReleaseError(
        `the release command did not get its turn within releaseTimeout: ${other.holder} still runs one for the same release`,
      );
    await pause(signal);
  };
  const others = () => ticketsIn(tickets, key).filter((ticket) => ticket.when !== when);
  try {
    for (;;) {
      signal.throwIfAborted();
      const first = others().find((other) => other.held || other.when < when);
      if (first !== undefined) {
        await waitFor(first);
        continue;
      }
      renameSync(want, held);
      // Of two that have come this far at once the later one goes back.
      let rival = others().find((other) => other.held);
      while (rival !== undefined && rival.when > when) {
        await waitFor(rival);
        rival = others().find((other) => other.held);
      }
      if (rival === undefined) break;
      renameSync(held, want);
    }
  } catch (error) {
    removeQuietly(want);
    removeQuietly(held);
    if (signal.aborted || error instanceof ReleaseError) throw error;
    // Somebody has removed the folder, or the disk is full.
    return { problem: messageOf(error), holdFor: () => {}, end: () => {} };
  }
  return {
    problem: null,
    holdFor: (pid) => void write(held, { name, master: us, command: known(pid) }),
    end: () => removeQuietly(held),
  };
}

/** @returns the folder in which masters that run commands as this user have their tickets */
export function ticketFolder(uid: number): string {
  let base = tmpdir();
  try {
    if ((statSync(sharedMemory).mode & 0o1777) === 0o1777) base = sharedMemory;
  } catch {
    // No Linux.
  }
  return join(base, `prefork-release-${uid}`);
}

/** Removes what crashes have left of other releases: nobody may ever ask for those again. */
function sweep(folder: string): void {
  try {
    for (const file of readdirSync(folder)) {
      if (/^[\da-f]{8}\.(?:want|held)\./.test(file) && holderOf(join(folder, file)) === null)
        removeQuietly(join(folder, file));
    }
  } catch {
    // The first look at the folder says what is wrong with it.
  }
}

/** Those of a release that are not void; the others are removed. */
function ticketsIn(folder: string, key: string): Ticket[] {
  return readdirSync(folder)
    .filter((file) => file.startsWith(key))
    .sort()
    .flatMap((file): Ticket[] => {
      const [state, when = ''] = file.slice(key.length).split('.');
      if (state !== 'want' && state !== 'held') return [];
      const holder = holderOf(join(folder, file));
      if (holder === null) removeQuietly(join(folder, file));
      return holder === null ? [] : [{ file, held: state === 'held', when, holder }];
    });
}

/** @returns who has the ticket, in words; `null` if it is void */
function holderOf(path: string): string | null {
  let content: { readonly name?: unknown; readonly master?: unknown; readonly command?: unknown } | null;
  try {
    content = JSON.parse(readFileSync(path, 'utf8')) as typeof content;
  } catch (error) {
    // Gone or renamed since the folder was read: the next look sees. What is no ticket is nobody's.
    return (error as NodeJS.ErrnoException).code === undefined ? null : 'another master';
  }
  const { name, master, command } = content ?? {};
  const lives = (isKnown(master) && isSame(master)) || (isKnown(command) && isGroupOf(command));
  const pid = isKnown(master) ? master.pid : 'unknown';
  return lives ? `${JSON.stringify(String(name).slice(0, 100))} (master ${pid})` : null;
}

function isKnown(value: unknown): value is Known {
  const { pid, start } = (value ?? {}) as Partial<Known>;
  return Number.isSafeInteger(pid) && Number(pid) > 1 && (start === null || typeof start === 'string');
}

function known(pid: number): Known {
  return { pid, start: statFieldsOf(pid)?.[startField] ?? null };
}

function isSame({ pid, start }: Known): boolean {
  const fields = statFieldsOf(pid);
  // Another user's process may not be seen in /proc.
  if (fields === null || start === null) return isAlive(pid);
  return fields[startField] === start && fields[stateField] !== 'Z';
}

/** Whether any process of the group lives that this process led: as long as one does, its number is not used again. */
function isGroupOf(leader: Known): boolean {
  if (statFieldsOf(leader.pid) !== null) return isSame(leader);
  return isAlive(-leader.pid);
}

/** @returns why it could not be written; `null` if it was. What is in the file is never half of it */
function write(path: string, content: object): string | null {
  const temporary = join(path, '..', `.${randomName(6)}`);
  try {
    writeFileSync(temporary, JSON.stringify(content), { flag: 'wx', mode: 0o644 });
    renameSync(temporary, path);
    return null;
  } catch (error) {
    removeQuietly(temporary);
    return messageOf(error);
  }
}

/** Processes of another PID namespace, as a container has, cannot be told to be alive. */
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/. Of two releases with the same hash one waits in vain. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, every);
    signal.addEventListener('abort', done, { once: true });
  });
}
