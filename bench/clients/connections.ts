/**
 * New connections per second: each is opened, carries one request, and is read to its end. Runs as a child process of
 * the bench (its own entry), since the client must not share an event loop with anything.
 */
import { fork } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

export interface Connections {
  readonly perSecond: number;
  readonly done: number;
  readonly failed: number;
}

interface Order {
  readonly port: number;
  readonly seconds: number;
  readonly clients: number;
}

const entry = fileURLToPath(import.meta.url);
const payload = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

export async function measureConnections(port: number, seconds: number, clients: number): Promise<Connections> {
  const child = fork(entry, { execArgv: ['--import', 'tsx'] });
  return await new Promise<Connections>((resolve, reject) => {
    child.once('message', (result: Connections) => resolve(result));
    child.once('exit', (code) => reject(new Error(`the connection client exited with ${code}`)));
    child.send({ port, seconds, clients } satisfies Order);
  });
}

async function run(order: Order): Promise<Connections> {
  const startedAt = performance.now();
  const end = startedAt + order.seconds * 1000;
  let done = 0;
  let failed = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      if (await connectOnce(order.port)) done++;
      else failed++;
    }
  };
  await Promise.all(Array.from({ length: order.clients }, client));
  return { done, perSecond: done / ((performance.now() - startedAt) / 1000), failed };
}

function connectOnce(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer.startsWith('HTTP/1.1 200') && answer.endsWith('}')));
    socket.write(payload);
  });
}

if (process.argv[1] === entry) {
  process.once('message', (order: Order) => {
    void run(order).then((result) => process.send?.(result, () => process.exit()));
  });
}
