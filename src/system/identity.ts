/** Who the workers run as: names and numbers of users and groups, as the system knows them. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A user a process is started as. Numbers are the system's; the names are for the environment. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** All groups, the first one included, as initgroups(3) would set them. */
  readonly groups: readonly number[];
  /** `null` where the number has no entry of its own. */
  readonly name: string | null;
  readonly home: string | null;
}

/** Whose a file is; -1 leaves it. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** A result, or why there is none: one line, to go with the setting's name. */
export type Found<T> = { readonly value: T } | { readonly problem: string };

/**
 * What `user` and `group` mean here.
 *
 * @returns `null` where the workers run as whoever runs the master
 */
export function findIdentity(user: string | null, group: string | null): Found<Identity | null> {
  if (user === null && group === null) return { value: null };
  const uid = process.geteuid?.() ?? -1;
  const gid = process.getegid?.() ?? -1;
  if (uid < 0) return { problem: 'this system has no users and groups to change to' };
  const entry = user === null ? null : userOf(user);
  const wanted = user === null ? uid : (entry?.uid ?? numberOf(user));
  if (wanted === null) return { problem: `there is no user ${user}` };
  const wantedGroup = group === null ? (entry?.gid ?? (user === null ? gid : null)) : groupOf(group);
  if (wantedGroup === null) {
    return { problem: group === null ? `user ${user} has no entry; set group too` : `there is no group ${group}` };
  }
  if (wanted === uid && wantedGroup === gid) return { value: null };
  if (uid !== 0) {
    return {
      problem: `only root can change users, and prefork runs as uid ${uid}; start it as root, or leave this out`,
    };
  }
  const groups = entry === null || group !== null ? [wantedGroup] : groupsOf(entry);
  if (groups.length > 1 && setpriv() === null) {
    return {
      problem: `${user} has more groups than one, and setpriv (of util-linux) is needed to give them; install it`,
    };
  }
  return {
    value: { uid: wanted, gid: wantedGroup, groups, name: entry?.name ?? null, home: entry?.home ?? null },
  };
}

/** What `socketOwner` means: `user`, `user:group` or `:group`. */
export function findOwner(given: string): Found<Owner> {
  const [user = '', group = ''] = given.split(':', 2);
  const entry = user === '' ? null : userOf(user);
  const uid = user === '' ? -1 : (entry?.uid ?? numberOf(user));
  if (uid === null) return { problem: `there is no user ${user}` };
  const gid = group === '' ? (entry?.gid ?? -1) : groupOf(group);
  return gid === null ? { problem: `there is no group ${group}` } : { value: { uid, gid } };
}

/** How to start a process as somebody else. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** For child_process and cluster; missing where `command` changes the user itself. */
  readonly ids: { readonly uid?: number; readonly gid?: number };
}

/**
 * Node's own `uid` and `gid` are set between fork and exec, so no code runs with the master's rights; but libuv empties
 * the list of groups there. Where there are more of them setpriv(1) does the same, and replaces itself by the command.
 */
export function launchAs(identity: Identity | null, command: string, args: readonly string[]): Launch {
  if (identity === null) return { command, args, ids: {} };
  const { uid, gid, groups } = identity;
  const helper = groups.length > 1 ? setpriv() : null;
  if (helper === null) return { command, args, ids: { uid, gid } };
  const to = [`--reuid=${uid}`, `--regid=${gid}`, `--groups=${groups.join(',')}`, '--'];
  return { command: helper, args: [...to, command, ...args], ids: {} };
}

/** Starts a process with a mask of its own: it is inherited at the moment of the fork, and only so. */
export function withMask<T>(umask: number, start: () => T): T {
  const own = process.umask(umask);
  try {
    return start();
  } finally {
    process.umask(own);
  }
}

function setpriv(): string | null {
  for (const folder of (process.env.PATH ?? '/usr/bin:/bin').split(delimiter)) {
    const path = join(folder, 'setpriv');
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return null;
}

function numberOf(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function userOf(given: string): User | null {
  const [name, , uid, gid, , home] = lookUp('passwd', given) ?? [];
  return name === undefined ? null : { name, uid: Number(uid), gid: Number(gid), home: home ?? '/' };
}

function groupOf(given: string): number | null {
  const [, , gid] = lookUp('group', given) ?? [];
  return gid === undefined ? numberOf(given) : Number(gid);
}

function groupsOf({ name, gid }: User): number[] {
  try {
    const text = execFileSync('id', ['-G', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return [...new Set([gid, ...text.trim().split(/\s+/).map(Number)])];
  } catch {
    return [gid];
  }
}

/** One entry, by name or number: of the files first, then of whatever else the system asks (LDAP and the like). */
function lookUp(database: 'passwd' | 'group', given: string): string[] | null {
  if (!/^[\w][\w.-]{0,63}\$?$/.test(given)) return null;
  const isIt = ([name, , number]: string[]) => name === given || number === given;
  try {
    const entries = readFileSync(`/etc/${database}`, 'utf8').split('\n');
    const found = entries.map((line) => line.split(':')).find(isIt);
    if (found !== undefined) return found;
  } catch {
    // No such file: the system may know all the same.
  }
  try {
    const text = execFileSync('getent', [database, given], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.trim().split(':');
  } catch {
    return null;
  }
}

/** A user for people: `www-data (uid 33)`, or `uid 12345` if it has no name. */
export function describeUser(uid: number): string {
  const name = userOf(String(uid))?.name;
  return name === undefined ? `uid ${uid}` : `${name} (uid ${uid})`;
}
