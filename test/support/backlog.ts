/** The kernel's queue of connections that nobody has accepted yet. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { whenLate } from './slowness.ts';
import type { Supervisor } from './supervisor.ts';

const clients = 20;

/**
 * Clients that connect while no worker accepts are let in by the kernel: nobody has made the queue of the service shorter.
 * From a queue that is full the kernel drops what asks, and a client takes itself for connected that nobody knows.
 */
export async function assertQueueIsLong(s: Supervisor): Promise<void> {
  const workers = s.workers();
  for (const pid of workers) process.kill(pid, 'SIGSTOP');
  const sockets = Array.from({ length: clients }, () => connect(s.port, '127.0.0.1'));
  let isLate = false;
  try {
    const all = Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const late = new Promise<void>((resolve) => {
      whenLate(800, () => {
        isLate = true;
        resolve();
      });
    });
    await Promise.race([all, late]);
    const open = sockets.filter(({ connecting }) => !connecting).length;
    assert.ok(!isLate, `${open} of ${clients} clients are connected: the queue is full`);
  } finally {
    for (const socket of sockets) socket.on('error', () => {}).destroy();
    for (const pid of workers) process.kill(pid, 'SIGCONT');
  }
}
