/** What stands at a unix socket's path before we bind there: nothing, something stale, or something we must not touch. */
import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { BindError, messageOf } from '../errors.ts';

/**
 * Makes way for a new socket: a socket file that nobody listens on is removed.
 *
 * @throws BindError where a live process listens there, or where the path is not a socket
 */
export async function clearStaleSocket(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) {
      throw new BindError(`unix:${path}`, 'EEXIST', `cannot bind unix:${path}: the path exists and is not a socket`);
    }
  } catch (error) {
    if (error instanceof BindError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new BindError(`unix:${path}`, 'EACCES', `cannot bind unix:${path}: ${messageOf(error)}`, { cause: error });
  }
  if (await isLive(path)) {
    throw new BindError(
      `unix:${path}`,
      'EADDRINUSE',
      `cannot bind unix:${path}: address in use (EADDRINUSE), another process listens there`,
    );
  }
  unlinkSync(path);
}

function isLive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (live: boolean) => {
      socket.destroy();
      resolve(live);
    };
    socket.once('connect', () => answer(true));
    // EAGAIN is a live socket with a full backlog. Anything unclear is taken for live: it must not be removed.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
    socket.setTimeout(1_000, () => answer(true));
  });
}
