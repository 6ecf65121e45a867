/** The kernel's number of a socket, by which /proc/net and other processes' descriptors name it. */
import { readlinkSync } from 'node:fs';

/** @returns `null` where the descriptor is no socket, or the system does not say */
export function socketInode(fd: number): string | null {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? null;
  } catch {
    return null;
  }
}
