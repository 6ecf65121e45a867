/**
 * The queue between workers: a pair of connected sockets that all of them inherit (docs/decisions/0025). The master holds
 * both ends, so that it lasts as long as the service, and neither reads nor writes it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import net, { type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QueueDescriptors } from '../../protocol/migration.ts';
import { closeQuietly } from '../../system/descriptors.ts';
import { descriptorOfSocket, setReading } from '../../system/node-internals.ts';
import { randomName } from '../../system/random-name.ts';

export interface WorkerQueue {
  readonly descriptors: QueueDescriptors;
  close(): void;
}

/** Milliseconds. */
const patience = 2_000;

/** @param inherited of the master before this one */
export function inheritQueue(inherited: QueueDescriptors): WorkerQueue {
  return {
    descriptors: inherited,
    close: () => {
      closeQuietly(inherited.give);
      closeQuietly(inherited.take);
    },
  };
}

/**
 * Node has no socketpair(2): a socket is listened on for the one connection to itself. On Linux its name is in no
 * directory, elsewhere it is in one that only this user can open.
 *
 * @throws Error if there is none to be had
 */
export async function openQueue(): Promise<WorkerQueue> {
  if (process.platform === 'linux') return await pairAt(`\0prefork-${randomName(16)}`);
  const directory = mkdtempSync(join(tmpdir(), 'prefork-'));
  try {
    return await pairAt(join(directory, 'queue'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function pairAt(path: string): Promise<WorkerQueue> {
  // Another process may find the name, and connect first.
  const secret = Buffer.from(randomName(16));
  const strangers = new Set<Socket>();
  const server = net.createServer();
  const give = new Socket();
  give.pause();
  try {
    const take = await new Promise<Socket>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the queue between workers did not connect')), patience);
      server.on('error', reject);
      give.on('error', reject);
      server.on('connection', (socket) => {
        strangers.add(socket);
        socket.on('error', () => {});
        socket.once('data', (data: Buffer) => {
          if (!data.equals(secret)) return socket.destroy();
          strangers.delete(socket);
          // At once: what the first worker puts there is not this process's.
          setReading(socket, false);
          clearTimeout(timer);
          return resolve(socket);
        });
      });
      server.listen(path, () => give.connect(path, () => give.write(secret)));
    });
    return { descriptors: { give: keep(give), take: keep(take) }, close: () => [give, take].map(end) };
  } catch (error) {
    give.destroy();
    throw error;
  } finally {
    for (const stranger of strangers) stranger.destroy();
    close(server);
  }
}

/** Nobody reads it here, and the process does not live for it. */
function keep(socket: Socket): number {
  socket.pause();
  // A socket that is paused goes on reading until it has read enough.
  setReading(socket, false);
  socket.unref();
  return descriptorOfSocket(socket);
}

function end(socket: Socket): void {
  socket.destroy();
}

function close(server: Server): void {
  if (server.listening) server.close();
}
