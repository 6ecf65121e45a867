/** One request on a connection of its own, for looking at an answer; the load clients are in `load/`. */
import http from 'node:http';
import https from 'node:https';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { whenLate } from './slowness.ts';

/** Where a service is. */
export type Target =
  | { readonly host?: string; readonly port: number; readonly secure?: boolean }
  | { readonly socketPath: string; readonly secure?: boolean };

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Milliseconds, stretched on a slow machine. */
  readonly timeout?: number;
  readonly agent?: http.Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly ms: number;
}

/** The options of node:http that name a target; always loopback. */
export function addressOf(target: Target): { host: string; port: number } | { socketPath: string } {
  return 'socketPath' in target
    ? { socketPath: target.socketPath }
    : { host: target.host ?? '127.0.0.1', port: target.port };
}

/** As {@link addressOf}, as node:net and node:tls name it. */
export function socketAddressOf(target: Target): { host: string; port: number } | { path: string } {
  const address = addressOf(target);
  return 'socketPath' in address ? { path: address.socketPath } : address;
}

/** Sends one request and reads the whole answer; throws what the connection threw. */
export function request(target: Target, path: string, options: RequestOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, timeout = 10_000, agent = false } = options;
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const settings = { ...addressOf(target), path, method, headers, agent };
    const req =
      target.secure === true
        ? https.request({ ...settings, agent: false, rejectUnauthorized: false })
        : http.request(settings);
    const cancel = whenLate(timeout, () => req.destroy(new Error(`no answer to ${path} within ${timeout} ms`)));
    const fail = (error: Error): void => {
      cancel();
      reject(error);
    };
    req.on('error', fail);
    req.on('response', (res) => {
      const chunks: Buffer[] = [];
      res.on('error', fail);
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        cancel();
        const text = Buffer.concat(chunks).toString();
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text, ms: performance.now() - startedAt });
      });
    });
    req.end(body);
  });
}

/** As {@link request}, for an answer that must be 200 and a JSON object. */
export async function requestJson(
  target: Target,
  path: string,
  options?: RequestOptions,
): Promise<Record<string, unknown>> {
  const answer = await request(target, path, options);
  if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${answer.body.slice(0, 200)}`);
  const value: unknown = JSON.parse(answer.body);
  if (typeof value !== 'object' || value === null) throw new Error(`${path} is no JSON object: ${answer.body}`);
  return { ...value };
}

/**
 * A TCP port nobody listens on. Below the ephemeral range, so that no outgoing connection of a load client takes it
 * between the look and the use; and no other test file, until this process ends.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    // Of a name in Linux's abstract namespace there is one owner, and it goes with its process: see unix(7).
    const claim = await listens({ path: `\0prefork-test-port-${port}` });
    const probe = claim === null ? null : await listens({ port, host: '0.0.0.0' });
    if (probe === null) continue;
    claim?.unref();
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
  throw new Error('found no free port in 50 attempts');
}

function listens(options: ListenOptions): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen(options, () => resolve(server));
  });
}
