/** A unix socket whose path was removed, by a cleaner of temporary files for example, is bound anew at that path. */

import { linkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BindError, messageOf } from '../../errors.ts';
import type { Handle } from '../../system/node-internals.ts';
import { inodeOf, removeQuietly } from '../../system/paths.ts';
import { randomName } from '../../system/random-name.ts';
import { type BindOptions, bindTarget } from './bind.ts';

/** What is at the path of a socket: the socket, nothing, or something else. */
export function whatIsAt(path: string, inode: bigint | null): 'ours' | 'nothing' | 'other' {
  try {
    const there = inodeOf(path);
    if (there === null) return 'nothing';
    return there === inode ? 'ours' : 'other';
  } catch {
    // It cannot be looked at: whatever is there is not to be touched.
    return 'other';
  }
}

/** @returns the error for a path at which something else is */
export function taken(path: string): BindError {
  return new BindError(
    `unix:${path}`,
    'EEXIST',
    `unix:${path} was removed, and something else is in its place: no client can connect there; it is left alone, remove it`,
  );
}

/**
 * Binds beside the path, and then gives the socket its name: what somebody else puts there first is not overwritten.
 *
 * @param old the sockets that had the path; they are closed, and with them nothing that a worker has of them. libuv
 *   unlinks the path of a socket that it closes, so that is done while nothing is there
 * @returns the new socket; `error` if it has no path
 * @throws BindError if none can be bound: the old ones are as they were
 */
export async function bindAnew(
  path: string,
  old: readonly Handle[],
  options: BindOptions,
): Promise<{ readonly handle: Handle; readonly error: BindError | null }> {
  const beside = join(dirname(path), `.${randomName(4)}`);
  const target = { label: `unix:${path}`, host: beside, port: -1, addressType: -1, fd: null, flags: 0 } as const;
  const [handle] = await bindTarget(target, options);
  if (handle === undefined) throw new BindError(target.label, 'EINVAL', `cannot bind ${target.label}`);
  try {
    // Binding has taken a moment.
    if (whatIsAt(path, null) !== 'nothing') {
      handle.close();
      throw taken(path);
    }
    for (const queue of old) queue.close();
    linkSync(beside, path);
    return { handle, error: null };
  } catch (error) {
    if (error instanceof BindError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return { handle, error: taken(path) };
    const message = `cannot bind unix:${path}: ${messageOf(error)}`;
    return { handle, error: new BindError(target.label, 'EACCES', message, { cause: error }) };
  } finally {
    removeQuietly(beside);
  }
}
