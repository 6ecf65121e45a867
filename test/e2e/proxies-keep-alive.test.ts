/** The rule of docs/proxies.md: what a proxy keeps open, `keepAlive` keeps open for longer. That it holds, and that it matters. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { root } from '../support/paths.ts';
import { served, startNginx, without } from '../support/proxy.ts';
import { head, RawSocket } from '../support/raw.ts';
import { type Supervisor, startSupervisor } from '../support/supervisor.ts';
import { stays, until } from '../support/until.ts';

async function startTwo(t: TestContext, further: readonly string[] = []): Promise<[Supervisor, Supervisor]> {
  const args = ['--health', '--graceful-timeout', '10', ...further];
  const pair = await Promise.all([0, 1].map(() => startSupervisor(t, { workers: 2, args })));
  const [one, two] = await Promise.all(pair.map((supervisor) => supervisor.waitReady(30_000)));
  assert.ok(one !== undefined && two !== undefined);
  return [one, two];
}

/**
 * A proxy that is held up for a moment while one of its idle connections to the app ends, and a client sends a request:
 * when it goes on it finds the request first, as on any busy day, and sends it where nobody reads any more.
 *
 * @returns the statuses of a POST before that moment, and of the one in it
 */
async function meet(t: TestContext, keepAlive: readonly string[]): Promise<{ statuses: string[]; log: string }> {
  const masters = await startTwo(t, keepAlive);
  const ports = masters.map((master) => master.port);
  const proxy = await startNginx(t, [masters[0].port, masters[1].port]);
  await served(proxy);
  const client = await RawSocket.connected({ port: proxy.port });
  t.after(() => client.close());
  const post = head('/pid', { 'content-length': '0' }, 'POST');
  client.write(post);
  await until('the first answer', () => client.responses === 1);
  proxy.pause();
  client.write(post);
  const idle = () => establishedOn(ports) > 0;
  assert.ok(idle(), 'nginx keeps its connection to the app');
  if (keepAlive.length > 0) await until('the app to close the idle connection', () => !idle(), { within: 20_000 });
  else await stays('the idle connection', idle, 4_000);
  proxy.resume();
  await until('the second answer', () => client.responses === 2, { within: 20_000 });
  return {
    statuses: [...client.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status ?? ''),
    log: proxy.log(),
  };
}

/** Connections that are open at these ports of ours: see proc_pid_net(5). */
function establishedOn(ports: readonly number[]): number {
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return fields.filter(([, local, , state]) => {
    return state === '01' && ports.includes(Number.parseInt(local?.split(':')[1] ?? '', 16));
  }).length;
}

describe('keepAlive outlasts the proxy', () => {
  it('by default no POST meets the end of an idle connection', { skip: without('nginx') }, async (t) => {
    assert.deepEqual((await meet(t, [])).statuses, ['200', '200']);
  });

  it('it matters: with a keepAlive shorter than that of the proxy the POST is lost', {
    skip: without('nginx'),
  }, async (t) => {
    const { statuses, log } = await meet(t, ['--keep-alive', '1']);
    assert.deepEqual(statuses, ['200', '502']);
    assert.match(log, /upstream prematurely closed connection/);
  });

  it('the samples keep connections for less than keepAlive', () => {
    const nginx = /^\s*keepalive_timeout (\d+)s;/m.exec(sample('nginx/prefork.conf'));
    assert.ok(Number(nginx?.[1]) <= 60, 'nginx');
    // It closes half of what it does not need in each of these intervals: of 300 connections the last go after ten.
    const haproxy = /\bpool-purge-delay (\d+)s\b/.exec(sample('haproxy/haproxy.cfg'));
    assert.ok(Number(haproxy?.[1]) * 10 <= 60, 'haproxy');
  });
});

function sample(path: string): string {
  return readFileSync(join(root, 'config', path), 'utf8');
}
