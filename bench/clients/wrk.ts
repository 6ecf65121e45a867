/** wrk, a client written in C: it leaves more of the processor to the servers than any client in JavaScript. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

export interface WrkOrder {
  readonly port: number;
  readonly seconds: number;
  readonly connections: number;
  /** A connection for each request. */
  readonly fresh: boolean;
}

export interface WrkResult {
  readonly done: number;
  readonly perSecond: number;
  readonly failed: number;
}

/** Why it cannot be used, or `null`. */
export function withoutWrk(): string | null {
  return spawnSync('wrk', ['-v']).error === undefined ? null : 'there is no wrk here (apt-get install wrk)';
}

export async function measureWithWrk({ port, seconds, connections, fresh }: WrkOrder): Promise<WrkResult> {
  const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`];
  if (fresh) args.push('-H', 'Connection: close');
  const { stdout } = await promisify(execFile)('wrk', [...args, `http://127.0.0.1:${port}/`]);
  return readWrk(stdout);
}

/** Reads what wrk prints at its end. */
export function readWrk(text: string): WrkResult {
  const done = Number(/(\d+) requests in /.exec(text)?.[1]);
  const perSecond = Number(/Requests\/sec: *([\d.]+)/.exec(text)?.[1]);
  if (!Number.isFinite(done) || !Number.isFinite(perSecond)) throw new Error(`wrk said: ${text}`);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const others = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? '0';
  return { done, perSecond, failed: [...errors, others].reduce((sum, each) => sum + Number(each), 0) };
}
