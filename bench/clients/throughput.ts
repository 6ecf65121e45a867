/** autocannon in a process of its own: requests per second over keep-alive connections. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

const autocannon = createRequire(import.meta.url).resolve('autocannon');

export interface Throughput {
  readonly perSecond: number;
  readonly done: number;
  /** Milliseconds. */
  readonly p99: number;
  readonly errors: number;
}

export async function measureThroughput(port: number, seconds: number, connections: number): Promise<Throughput> {
  const args = [
    '--json',
    '--no-progress',
    '-c',
    String(connections),
    '-d',
    String(seconds),
    `http://127.0.0.1:${port}/`,
  ];
  const { stdout } = await promisify(execFile)(process.execPath, [autocannon, ...args], { maxBuffer: 2 ** 24 });
  const result = JSON.parse(stdout) as {
    requests: { total: number };
    duration: number;
    latency: { p99: number };
    errors: number;
    timeouts: number;
    non2xx: number;
  };
  return {
    done: result.requests.total,
    perSecond: result.requests.total / result.duration,
    p99: result.latency.p99,
    errors: result.errors + result.timeouts + result.non2xx,
  };
}
