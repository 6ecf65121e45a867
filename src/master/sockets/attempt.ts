/** Whether an address could be bound: tried, and let go of at once. A service that is bound to it goes on undisturbed. */
import { accessSync, constants } from 'node:fs';
import { constants as os } from 'node:os';
import { dirname, join } from 'node:path';
import { BindError } from '../../errors.ts';
import { maxUnixPath } from '../../system/paths.ts';
import { randomName } from '../../system/random-name.ts';
import { bindError, bindTarget, checkInherited, type Target } from './bind.ts';
import { isStaleSocket, type SocketRights } from './unix-socket.ts';

/**
 * Nothing listens meanwhile, so that no client is answered by it.
 *
 * @throws BindError as the start would throw it
 */
export async function tryToBind(target: Target, rights: SocketRights): Promise<void> {
  if (target.fd !== null) checkInherited(target, target.fd);
  else if (target.addressType === -1) await tryPath(target, rights);
  else for (const handle of await bindTarget(target, { ...rights, queues: 1 })) handle.close();
}

/** At a path of its own in the same folder: at its own, it would be in the way of the service. */
async function tryPath(target: Target, rights: SocketRights): Promise<void> {
  const path = target.host ?? '';
  const folder = dirname(path);
  if (Buffer.byteLength(path) > maxUnixPath) throw bindError(target.label, -os.errno.ENAMETOOLONG);
  try {
    // With the dot, so that a file is no directory.
    accessSync(`${folder}/.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { errno = -os.errno.EACCES } = error as NodeJS.ErrnoException;
    throw bindError(target.label, errno);
  }
  await isStaleSocket(path);
  const trial = join(folder, `.${randomName(4)}`);
  if (Buffer.byteLength(trial) > maxUnixPath) return;
  try {
    for (const handle of await bindTarget({ ...target, host: trial }, { ...rights, queues: 1 })) handle.close();
  } catch (error) {
    if (!(error instanceof BindError)) throw error;
    throw new BindError(target.label, error.errno, error.message.replaceAll(trial, path), { cause: error });
  }
}
