/** Catalogue group EVT: the `on` hook and the webhook are told what happens, and neither can hurt the service. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ServiceEvent } from '../../../../src/config/service-event.ts';
import { runCommand } from '../../../support/command.ts';
import { assertClean } from '../../../support/invariants.ts';
import { startService, stopService } from '../../../support/masters.ts';
import { fixtureApp } from '../../../support/paths.ts';
import { requestJson } from '../../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

/** A hook that writes each event to a file. */
const writes = (more = '') => `
import { appendFileSync } from 'node:fs';
export default {
  async on(event) {
    ${more}
    await new Promise((resolve) => setTimeout(resolve, 1));
    appendFileSync('told', JSON.stringify({ ...event, told: process.pid }) + '\\n');
  },
};`;

type Told = ServiceEvent & { readonly told?: number };

function told(s: Supervisor): Told[] {
  const path = join(s.dir, 'told');
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Told);
}

const types = (events: readonly Told[]): string[] => events.map(({ type }) => type);

async function heard(s: Supervisor, type: ServiceEvent['type'], count = 1): Promise<Told> {
  return await until(`${count} events ${type}`, () => told(s).filter((each) => each.type === type)[count - 1], {
    within: 20_000,
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${types(told(s)).join(' ')}\n${s.describe()}`, { cause: error });
  });
}

describe('the on hook', () => {
  it('EVT-08 is told each event, in order, in a process of its own that lives on; at a reload the new one is', async (t) => {
    const s = await startSupervisor(t, { workers: 2, config: writes() });
    await s.waitReady(30_000);
    const ready = await heard(s, 'ready');
    assert.ok(ready.type === 'ready');
    assert.deepEqual([ready.workers, ready.generation, ready.upgrade, ready.master], [2, 1, false, s.pid]);
    assert.ok(Math.abs(Date.parse(ready.time) - Date.now()) < 60_000);
    assert.ok(ready.told !== s.pid && !s.workers().includes(ready.told ?? 0));
    const [victim = 0] = s.workers();
    process.kill(victim, 'SIGKILL');
    const exit = await heard(s, 'workerExit');
    assert.ok(exit.type === 'workerExit' && exit.pid === victim);
    assert.deepEqual(
      [exit.code, exit.signal, exit.asked, exit.reason, exit.told],
      [null, 'SIGKILL', false, 'crash', ready.told],
    );
    s.signal('SIGTTIN');
    const scaled = await heard(s, 'scaled');
    assert.ok(scaled.type === 'scaled');
    assert.deepEqual([scaled.from, scaled.to], [2, 3]);
    s.set('boot', 'throw');
    assert.match((await s.reload()).msg, /failed/);
    const rejected = await heard(s, 'rejected');
    assert.ok(rejected.type === 'rejected' && !rejected.halted);
    assert.match(rejected.reason, /this version cannot start/);
    s.set('boot', 'ok');
    writeFileSync(join(s.dir, 'supervisor.config.mjs'), writes('event = { ...event, release: 2 };'));
    assert.match((await s.reload()).msg, /done/);
    const reloaded = await heard(s, 'reloaded');
    assert.ok(reloaded.type === 'reloaded');
    assert.deepEqual([reloaded.reload, reloaded.generation, Reflect.get(reloaded, 'release')], [2, 2, 2]);
    assert.notEqual(reloaded.told, ready.told);
    const since = told(s).length;
    assert.equal((await s.stop()).code, 0);
    const last = told(s).slice(since);
    assert.equal(last.at(-1)?.type, 'stopped', types(last).join());
    const ids = told(s).map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const numbers = ids.map((id) => Number(id.split('-').at(-1)));
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
      'in order',
    );
    await assertClean(s, { allow: /failed|exited unasked|cannot start/ });
  });

  it('EVT-09 one that throws, exits, or blocks its event loop hurts nothing; the next event is told', async (t) => {
    const odd = `
      if (event.type === 'ready') throw new Error('I throw');
      if (event.type === 'scaled' && event.from === 2) process.exit(3);
      if (event.type === 'scaled' && event.from === 3) setTimeout(() => { throw new Error('I throw later'); }, 1);
      if (event.type === 'stopped') for (;;);`;
    const s = await startSupervisor(t, { workers: 2, config: writes(odd) });
    await s.waitReady(30_000);
    await s.waitForLog(/^on, event ready: failed: Error: I throw \(at .*supervisor\.config\.mjs/);
    s.signal('SIGTTIN');
    await s.waitForLog(/^workers: 2 -> 3/);
    s.signal('SIGTTIN');
    await s.waitForLog(/^workers: 3 -> 4/);
    s.signal('SIGTTOU');
    await heard(s, 'scaled');
    assert.equal((await requestJson(s.target, '/version')).version, 'v1');
    const { code, ms } = await s.stop('SIGTERM', 30_000);
    assert.equal(code, 0);
    assert.ok(ms > 4_000, `it waited ${ms} ms for a hook that hangs`);
    await s.waitForLog(/^on: 1 events were not told before the end/);
    await assertClean(s, { allow: /^on|events/ });
  });

  it('EVT-10 in TypeScript it has the types of the events', async (t) => {
    const s = await startSupervisor(t, { app: null });
    await s.waitExit();
    writeFileSync(
      join(s.dir, 'supervisor.config.ts'),
      `import { appendFileSync } from 'node:fs';
       import { defineConfig, type ServiceEvent } from 'prefork';
       const write = (event: ServiceEvent): void => appendFileSync('told', JSON.stringify(event) + '\\n');
       export default defineConfig({ app: ${JSON.stringify(fixtureApp)}, workers: 1, bind: '127.0.0.1:0', on: (event) => write(event) });`,
    );
    const run = await startSupervisor(t, { app: null, bind: null, cwd: s.dir });
    await run.waitReady(30_000);
    await heard(s, 'ready');
    await run.stop();
    assert.equal(types(told(s)).at(-1), 'stopped');
    await assertClean(run);
  });

  it('EVT-11 over an upgrade each event is told once, and the end of the old master is not the end of the service', async (t) => {
    const service = await startService(t, { config: writes() });
    const { s, masters } = service;
    await heard(s, 'ready');
    const before = masters.pid();
    await masters.upgrade();
    const ready = await heard(s, 'ready', 2);
    assert.ok(ready.type === 'ready' && ready.upgrade && ready.master !== before);
    await until(
      'the exits of the old workers',
      () => told(s).filter(({ master, type }) => master === before && type === 'workerExit').length === 2,
    );
    assert.ok(!types(told(s)).includes('stopped'));
    await stopService(service);
    const all = told(s);
    assert.equal(types(all).filter((type) => type === 'stopped').length, 1);
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
    assert.equal(all.filter(({ type }) => type === 'workerExit').length, 4);
  });
});

interface Received {
  readonly at: number;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly path: string;
  readonly event: ServiceEvent;
}

/** A receiver that answers as told: a status, `hang`, or `close`. */
async function startReceiver(
  t: TestContext,
  answers: readonly (number | 'hang' | 'close' | readonly [number, Record<string, string>])[],
) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const answer = answers[received.length] ?? 204;
      const [status, headers] = typeof answer === 'object' ? answer : [answer, {}];
      received.push({
        at: performance.now(),
        status: typeof status === 'number' ? status : 0,
        headers: request.headers,
        path: request.url ?? '',
        event: JSON.parse(body) as ServiceEvent,
      });
      if (status === 'close') request.socket.destroy();
      else if (status !== 'hang') response.writeHead(status, headers).end('thanks');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, port: (server.address() as AddressInfo).port };
}

describe('the webhook', () => {
  it('EVT-12 gets each event as JSON, in order; what fails for the moment is sent again, and its secrets are in no line', async (t) => {
    const { port, received } = await startReceiver(t, [500, 'close', [429, { 'retry-after': '1' }], 200, 404]);
    const s = await startSupervisor(t, {
      workers: 1,
      config: { webhook: `http://robot:tellnobody@127.0.0.1:${port}/hook/tellnobody?key=tellnobody` },
      args: ['--pid', 'app.pid'],
    });
    await s.waitReady(30_000);
    await until('the first event to be taken', () => received.length >= 4, { within: 40_000 });
    const [first] = received;
    assert.ok(first?.event.type === 'ready');
    assert.deepEqual(
      received.slice(0, 4).map(({ event }) => event.id),
      Array.from({ length: 4 }, () => first.event.id),
    );
    assert.ok((received[3]?.at ?? 0) - (received[2]?.at ?? 0) >= 990, 'Retry-After');
    assert.equal(first.path, '/hook/tellnobody?key=tellnobody');
    assert.equal(first.headers['content-type'], 'application/json');
    assert.match(first.headers['user-agent'] ?? '', /^prefork\/\d/);
    assert.equal(first.headers['idempotency-key'], first.event.id);
    assert.equal(first.headers.authorization, `Basic ${Buffer.from('robot:tellnobody').toString('base64')}`);
    // Not what it refuses.
    s.signal('SIGTTIN');
    await s.waitForLog(/^webhook, event scaled: failed: it answered 404$/);
    const { stdout, stderr } = await runCommand(['config', '--pid', join(s.dir, 'app.pid')]);
    assert.match(stdout, new RegExp(`http://127\\.0\\.0\\.1:${port}/\\*\\*\\*`), stderr);
    assert.equal((await s.stop()).code, 0);
    assert.equal(received.at(-1)?.event.type, 'stopped');
    const status = `${stdout}${stderr}${s.stderr.text}${s.stdout.text}`;
    assert.doesNotMatch(status, /tellnobody/);
    await assertClean(s, { allow: /^webhook/ });
  });

  it('EVT-13 one that hangs delays neither the service nor, for long, its end', async (t) => {
    const { port, received } = await startReceiver(
      t,
      Array.from({ length: 100 }, () => 'hang' as const),
    );
    const s = await startSupervisor(t, { workers: 1, config: { webhook: `http://127.0.0.1:${port}/` } });
    await s.waitReady(30_000);
    await until('the first event', () => received.length > 0);
    assert.match((await s.reload()).msg, /done/);
    const { code, ms } = await s.stop('SIGTERM', 30_000);
    assert.equal(code, 0);
    assert.ok(ms > 4_000, `${ms}`);
    assert.match(s.stderr.text, /webhook: \d+ events were not told before the end/);
    await assertClean(s, { allow: /^webhook/ });
  });
});
