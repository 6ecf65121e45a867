/** What Linux says of processes and sockets, read from /proc: no `ps`, no `ss`. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** R, S, D, T, Z, ... */
  readonly state: string;
  /** The command line, or the title the process gave itself. */
  readonly title: string;
}

/** A process, or `null` where there is none (any more). */
export function readProcess(pid: number): ProcessInfo | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may itself hold spaces and parentheses.
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, parent: Number(parent), state, title };
  } catch {
    return null;
  }
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** True where the process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  const state = readProcess(pid)?.state;
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Children of a process, zombies included, oldest pid first. */
export function childrenOf(pid: number): ProcessInfo[] {
  return allPids()
    .map(readProcess)
    .filter((info): info is ProcessInfo => info !== null && info.parent === pid)
    .sort((a, b) => a.pid - b.pid);
}

/** Processes whose environment holds this `NAME=value`. */
export function markedWith(assignment: string): number[] {
  const wanted = `\0${assignment}\0`;
  return allPids().filter((pid) => {
    try {
      return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}\0`.includes(wanted);
    } catch {
      return false;
    }
  });
}

/** Open file descriptors. */
export function fdCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

export function threadCount(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

/** Resident set size, bytes. */
export function residentSize(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has no VmRSS`);
  return Number(kib) * 1024;
}

/** One listening TCP socket. */
export interface ListeningSocket {
  readonly inode: string;
  /** Connections that wait to be accepted. */
  readonly waiting: number;
}

/** The listening TCP sockets of a port, IPv4 and IPv6. */
export function listeningOn(port: number): ListeningSocket[] {
  return socketsOn(port, '0A').map((columns) => ({
    inode: columns[9] ?? '',
    waiting: Number.parseInt(columns[4]?.split(':')[1] ?? '0', 16),
  }));
}

/** The number of open connections to a port that a process has accepted, and has read all of that has come by them. */
export function connectionsReadOn(port: number): number {
  // A connection that waits to be accepted has no inode yet.
  return socketsOn(port, '01').filter((columns) => columns[9] !== '0' && columns[4]?.endsWith(':00000000')).length;
}

/** The number of open connections to a port that a process holds. */
export function connectionsOf(pid: number, port: number): number {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        // Closed just now.
        return undefined;
      }
    }),
  );
  return socketsOn(port, '01').filter((columns) => inodes.has(columns[9])).length;
}

/** The columns of /proc/net/tcp for sockets on a local port in a state; see proc(5). */
function socketsOn(port: number, state: '0A' | '01'): string[][] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => {
    let text: string;
    try {
      text = readFileSync(table, 'latin1');
    } catch {
      return [];
    }
    return text
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[1]?.endsWith(suffix) === true && columns[3] === state);
  });
}

/** Where a process listens on TCP over IPv4: hexadecimal address and port, as in /proc/net/tcp. */
export function listensOf(pid: number): { readonly address: string; readonly port: number }[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && inodes.has(fields[9] ?? ''))
    .map((fields) => {
      const [address = '', port = ''] = (fields[1] ?? '').split(':');
      return { address, port: Number.parseInt(port, 16) };
    });
}
