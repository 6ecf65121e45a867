/**
 * What a worker may have bound. The master binds for its workers, and may have more rights than they: what they could
 * not bind themselves it binds only if the configuration names it (as Apache's CVE-2019-0211 and php-fpm's
 * CVE-2021-21703 teach: children are not to be trusted by a parent that is root).
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Address } from '../../config/address.ts';
import type { Settings } from '../../config/resolved.ts';
import type { ListenQuery } from '../../system/node-internals.ts';

/** Addresses that apps named themselves, over all workers: no app has so many, and each costs a file descriptor. */
export const maxAppListeners = 256;

/** Sockets that were there before prefork opened its first file: a service manager's, or a shell's. */
export function inheritedSockets(): ReadonlySet<number> {
  try {
    return new Set(
      readdirSync('/proc/self/fd')
        .map(Number)
        .filter((fd) => fd > 2 && isSocket(fd)),
    );
  } catch {
    return new Set();
  }
}

function isSocket(fd: number): boolean {
  try {
    return statSync(`/proc/self/fd/${fd}`).isSocket();
  } catch {
    return false;
  }
}

/**
 * Whether the master has to refuse what an app's own `listen()` names.
 *
 * @returns the system's name for the error that the worker would have got by itself
 */
export function refusalFor(
  query: ListenQuery,
  { bind, identity }: Pick<Settings, 'bind' | 'identity'>,
  inherited: ReadonlySet<number>,
): 'EBADF' | 'EACCES' | null {
  if (query.fd !== null && query.fd >= 0) return inherited.has(query.fd) || names(bind, query) ? null : 'EBADF';
  if (identity === null || identity.uid === 0 || names(bind, query)) return null;
  return query.addressType !== -1 && mayBindPort(query.port ?? 0, identity) ? null : 'EACCES';
}

/** Whether a process of this user could bind a port by itself, TCP or UDP. */
export function mayBindPort(port: number, identity: Settings['identity']): boolean {
  return identity === null || identity.uid === 0 || port === 0 || port >= firstUnprivilegedPort();
}

function names(bind: readonly Address[], { address, port, fd, addressType }: ListenQuery): boolean {
  return bind.some((each) => {
    if (each.kind === 'fd') return each.fd === fd;
    if (each.kind === 'unix') return addressType === -1 && each.path === address;
    // The port alone is not enough: a service for this machine would be open to all others.
    return addressType !== -1 && each.port === port && hostOf(each.host) === hostOf(address);
  });
}

/** All addresses of the machine go by several names. */
function hostOf(host: string | null): string {
  return host === null || host === '' || host === '0.0.0.0' || host === '::' ? '*' : host;
}

/** See ip_unprivileged_port_start in ip-sysctl of the Linux kernel. */
function firstUnprivilegedPort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1_024;
  }
}
