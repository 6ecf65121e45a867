/** Real reverse proxies in front of a test's service, with the configurations that prefork ships. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fixture, root } from './paths.ts';
import { childrenOf } from './proc.ts';
import { freePort, request } from './request.ts';
import { until } from './until.ts';

/** Why a proxy cannot be tested here, or `false`. */
export function without(program: 'nginx' | 'haproxy'): string | false {
  return spawnSync(program, ['-v']).error === undefined ? false : `${program} is not installed`;
}

export interface FrontProxy {
  readonly port: number;
  readonly tlsPort: number;
  /** What it logged. */
  log(): string;
  /** Stops what carries the requests, as a busy machine does for a moment. */
  pause(): void;
  resume(): void;
}

/** @param ports of the services behind it; two of them */
export async function startNginx(t: TestContext, ports: readonly [number, number]): Promise<FrontProxy> {
  const { dir, port, tlsPort } = await place(t);
  const site = substitute(readFileSync(join(root, 'config/nginx/prefork.conf'), 'utf8'), [
    ['listen 80;', `listen 127.0.0.1:${port};`],
    ['listen 443 ssl;', `listen 127.0.0.1:${tlsPort} ssl;`],
    ['/etc/ssl/certs/shop.pem', fixture('tls/cert.pem')],
    ['/etc/ssl/private/shop.key', fixture('tls/key.pem')],
    ['127.0.0.1:8000', `127.0.0.1:${ports[0]}`],
    ['127.0.0.1:8001', `127.0.0.1:${ports[1]}`],
  ]);
  writeFileSync(join(dir, 'site.conf'), site);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  );
  const user = process.geteuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    join(dir, 'nginx.conf'),
    `${user} daemon off; pid ${dir}/nginx.pid; error_log ${dir}/error.log info; worker_processes 1;
     events { worker_connections 1024; }
     http { access_log ${dir}/access.log; ${temporary.join(' ')} include ${dir}/site.conf; }`,
  );
  const child = spawn('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')]);
  const output = await run(t, child, port);
  const workers = () => childrenOf(child.pid ?? 0).map(({ pid }) => pid);
  return { port, tlsPort, log: () => output() + read(join(dir, 'error.log')), ...pausing(t, workers) };
}

/** @param ports of the services behind it; two of them */
export async function startHaproxy(t: TestContext, ports: readonly [number, number]): Promise<FrontProxy> {
  const { dir, port, tlsPort } = await place(t);
  const pem = join(dir, 'both.pem');
  writeFileSync(pem, read(fixture('tls/cert.pem')) + read(fixture('tls/key.pem')));
  const text = substitute(readFileSync(join(root, 'config/haproxy/haproxy.cfg'), 'utf8'), [
    ['bind :80', `bind 127.0.0.1:${port}`],
    ['bind :443 ssl crt /etc/haproxy/shop.pem', `bind 127.0.0.1:${tlsPort} ssl crt ${pem}`],
    ['127.0.0.1:8000', `127.0.0.1:${ports[0]}`],
    ['127.0.0.1:8001', `127.0.0.1:${ports[1]}`],
  ]);
  writeFileSync(join(dir, 'haproxy.cfg'), text);
  const child = spawn('haproxy', ['-db', '-f', join(dir, 'haproxy.cfg')]);
  const output = await run(t, child, port);
  return { port, tlsPort, log: output, ...pausing(t, () => [child.pid ?? 0]) };
}

function pausing(t: TestContext, pids: () => readonly number[]): Pick<FrontProxy, 'pause' | 'resume'> {
  let paused: readonly number[] = [];
  const resume = () => {
    for (const pid of paused) process.kill(pid, 'SIGCONT');
    paused = [];
  };
  const pause = () => {
    paused = pids();
    for (const pid of paused) process.kill(pid, 'SIGSTOP');
  };
  t.after(resume);
  return { pause, resume };
}

async function place(t: TestContext): Promise<{ dir: string; port: number; tlsPort: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-proxy-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return { dir, port: await freePort(), tlsPort: await freePort() };
}

/** Every one of them must be there: a sample that changed is a test that tests nothing. */
function substitute(text: string, pairs: readonly (readonly [from: string, to: string])[]): string {
  return pairs.reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`the sample has no ${from}`);
    return result.replaceAll(from, to);
  }, text);
}

async function run(t: TestContext, child: ChildProcess, port: number): Promise<() => string> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += String(chunk)));
  let ended = false;
  child.on('exit', () => {
    ended = true;
  });
  t.after(async () => {
    child.kill('SIGTERM');
    await until('the proxy to end', () => ended, { within: 5_000 }).catch(() => child.kill('SIGKILL'));
  });
  await until('the proxy to listen', () => accepts(port), {
    within: 15_000,
    abort: () => (ended ? `it ended: ${output}` : null),
  });
  return () => output;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Proxies find out by themselves, and in their own time, that the services behind them are there. */
export async function served(proxy: FrontProxy): Promise<void> {
  await until('the proxy to serve', async () => (await request({ port: proxy.port }, '/pid')).status === 200, {
    within: 20_000,
  });
}
