/** Catalogue group SIG: one signal at a time. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertClean, stopClean } from '../../../support/invariants.ts';
import { listeningOn } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { request } from '../../../support/request.ts';
import { slowness, stretched } from '../../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { pause, stays, until } from '../../../support/until.ts';

const count = (s: Supervisor, pattern: RegExp) => s.log.filter(({ msg }) => pattern.test(msg)).length;

/** Milliseconds of a request that is to outlast what the test does, and less than gracefulTimeout, which would cut it. */
const slow = (milliseconds: number): number => Math.min(20_000, stretched(milliseconds));

test('SIG-01 TERM on an idle service: exit 0 in less than a second, all workers with 0', async (t) => {
  const s = await startSupervisor(t, { workers: 3, args: ['-p', 'app.pid'] });
  await s.waitForLog(/^ready/);
  const { ms } = await s.stop('SIGTERM');
  assert.ok(ms < stretched(1_000), `${ms} ms`);
  assert.equal(count(s, /^worker left after .*\(code 0\)/), 3);
  await assertClean(s);
});

test('SIG-02 TERM with requests in flight: all are answered, each says Connection: close, then it exits', async (t) => {
  const s = await startSupervisor(t, { workers: 3 });
  await s.waitForLog(/^ready/);
  const flight = Array.from({ length: 20 }, () => RawSocket.open(s.target).write(head('/slow?ms=1500')));
  await s.arrived(flight.length);
  const startedAt = performance.now();
  s.signal('SIGTERM');
  const outcomes: string[] = [];
  while (s.exit === null) {
    outcomes.push(
      await request(s.target, '/pid', { timeout: 5_000 }).then(
        () => 'ok',
        (error: NodeJS.ErrnoException) => error.code ?? 'error',
      ),
    );
    await pause(20);
  }
  for (const socket of flight) {
    await until('the end of the connection', () => socket.ending !== 'open');
    assert.match(socket.text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(socket.text, /^connection: close\r$/im);
    assert.equal(socket.ending, 'fin');
  }
  const text = outcomes.map((outcome) => (outcome === 'ok' ? 's' : outcome === 'ECONNREFUSED' ? 'r' : 'x')).join('');
  assert.match(text, /^s*x?r*$/, 'success before reset before refused, never mixed');
  assert.match(text, /r/);
  assert.ok((s.exit?.at ?? 0) - startedAt < stretched(4_000), 'it exits with the last request, not at the limit');
  await assertClean(s);
});

test('SIG-03 gracefulTimeout: a request that takes longer is cut, not left hanging, and counted in the log', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['--graceful-timeout', '1500ms'] });
  await s.waitForLog(/^ready/);
  const socket = RawSocket.open(s.target).write(head('/slow?ms=60000'));
  await s.arrived();
  const { ms } = await s.stop('SIGTERM');
  assert.ok(ms > 1_000 && ms < stretched(3_500), `${ms} ms`);
  await until('the connection to end', () => socket.ending !== 'open');
  assert.equal(count(s, /1 requests and 1 connections were cut|1 request/), 1, s.describe());
  await assertClean(s);
});

for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM'] as const) {
  test(`SIG-04 ${signal} after TERM makes the stop quick`, async (t) => {
    const s = await startSupervisor(t, { workers: 2 });
    await s.waitForLog(/^ready/);
    const socket = RawSocket.open(s.target).write(head('/slow?ms=30000'));
    await s.arrived();
    s.signal('SIGTERM');
    await s.waitForLog(/^stopping/);
    // Within a second a TERM is the same one again.
    if (signal === 'SIGTERM') await pause(1_100);
    const { ms } = await s.stop(signal);
    assert.ok(ms < stretched(2_000), `${ms} ms`);
    await until('the connection to end', () => socket.ending !== 'open');
    await assertClean(s);
  });
}

test('SIG-04 a TERM that comes twice, as from timeout(1) or what forwards signals to its group, is one TERM', async (t) => {
  const s = await startSupervisor(t, { workers: 2, detached: true });
  await s.waitForLog(/^ready/);
  const answers = Array.from({ length: 4 }, () => request(s.target, '/slow?ms=2500', { timeout: 30_000 }));
  await Promise.race([s.arrived(answers.length), Promise.all(answers)]);
  s.signal('SIGTERM');
  await s.waitForLog(/^stopping \(graceful\)/);
  s.signalGroup('SIGTERM');
  await pause(20);
  s.signal('SIGTERM');
  for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
  await s.waitExit();
  assert.equal(count(s, /^stopping/), 1);
  await assertClean(s);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`SIG-05 ${signal} to the whole process group: one shutdown, nobody respawned, requests finish`, async (t) => {
    const s = await startSupervisor(t, { workers: 3, detached: true });
    await s.waitForLog(/^ready/);
    const spawnedBefore = count(s, /^worker spawned/);
    // INT is a quick stop: requests get a second, however slow the machine is.
    const isQuick = signal === 'SIGINT';
    const ms = isQuick ? 500 : slow(500);
    const answers = Array.from({ length: 6 }, () => request(s.target, `/slow?ms=${ms}`, { timeout: 30_000 }));
    await Promise.race([s.arrived(answers.length), Promise.all(answers)]);
    s.signalGroup(signal);
    for (const answer of await Promise.all(answers))
      if (!isQuick || slowness() === 1) assert.equal(answer.status, 200);
      else assert.match(String(answer.status), /^(200|503)$/);
    await s.waitExit();
    assert.equal(count(s, /^worker spawned/), spawnedBefore);
    assert.equal(count(s, /^stopping/), 1);
    await assertClean(s);
  });
}

test('SIG-06 TERM to a worker: replaced, new before old; HUP, INT and QUIT are not its business', async (t) => {
  const s = await startSupervisor(t, { workers: 2 });
  await s.waitForLog(/^ready/);
  const before = await s.waitWorkers(2);
  const [worker] = before;
  assert.ok(worker !== undefined);
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGPIPE'] as const) process.kill(worker, signal);
  await stays('the worker alive', () => s.workers().includes(worker), 500);

  const since = s.log.length;
  process.kill(worker, 'SIGTERM');
  const ready = await s.waitForLog(/^worker ready/, { since });
  const left = await s.waitForLog(/^worker left/, { since });
  assert.ok(s.log.indexOf(ready) < s.log.indexOf(left), 'the new one is ready before the old one leaves');
  assert.equal(left.pid, worker);
  assert.equal(left.level, 30);
  const after = await s.waitWorkers(2);
  assert.ok(!after.includes(worker));

  process.kill(after[0] ?? 0, 'SIGKILL');
  const line = await s.waitForLog(
    /^worker exited unasked \(SIGKILL\).*: killed by SIGKILL from outside, not by prefork.*memory$/,
  );
  assert.equal(line.level, 50);
  await s.waitWorkers(2);
  await stopClean(s);
});

test('SIG-07 every other signal is harmless, to the master and to workers', async (t) => {
  const s = await startSupervisor(t, { workers: 2 });
  await s.waitForLog(/^ready/);
  const before = await s.waitWorkers(2);
  for (const signal of ['SIGPIPE', 'SIGCHLD', 'SIGURG', 'SIGIO', 'SIGALRM', 'SIGPROF', 'SIGUSR1'] as const) {
    s.signal(signal);
    assert.equal((await request(s.target, '/pid')).status, 200, signal);
  }
  assert.equal(s.exit, null);
  for (const signal of ['SIGPIPE', 'SIGCHLD', 'SIGURG', 'SIGWINCH'] as const) {
    for (const pid of before) process.kill(pid, signal);
  }
  await stays('the same workers', () => before.every((pid) => s.workers().includes(pid)), 300);
  await stopClean(s);
});

test("the app's SIGTERM listener runs after the drain, not instead of it", async (t) => {
  const s = await startSupervisor(t, { workers: 2, env: { APP_TERM: '1' } });
  await s.waitForLog(/^ready/);
  const sentAt = Date.now();
  // Once: the machine may be slower by the time it is compared.
  const takes = slow(1_500);
  const busy = request(s.target, `/slow?ms=${takes}`, { timeout: 30_000 });
  await s.arrived();
  s.signal('SIGTERM');
  assert.equal((await busy).status, 200);
  await s.waitExit();
  const times = readFileSync(s.levers.terms, 'utf8').trim().split('\n').map(Number);
  assert.equal(times.length, 2);
  const waited = Math.max(...times) - sentAt;
  assert.ok(waited >= takes, `the busy worker ran it after ${waited} ms, ahead of its answer`);
  await assertClean(s);
});

test('WINCH retires all workers and keeps the socket; connections wait; HUP brings workers back', async (t) => {
  const s = await startSupervisor(t, { workers: 2 });
  await s.waitForLog(/^ready/);
  s.signal('SIGWINCH');
  await s.waitWorkers(0);
  const waiting = request(s.target, '/pid', { timeout: 10_000 });
  await until('it to wait in the kernel', () => listeningOn(s.port).some(({ waiting }) => waiting > 0));
  s.signal('SIGHUP');
  assert.equal((await waiting).status, 200);
  await s.waitWorkers(2);
  await stopClean(s);
});

test('titles tell the master from its workers, and the name is in both', async (t) => {
  const s = await startSupervisor(t, { workers: 2, args: ['--name', 'shop'] });
  await s.waitForLog(/^ready/);
  const titles = s
    .children()
    .map(({ title }) => title)
    .sort();
  assert.deepEqual(titles, ['prefork: worker 0 [shop]', 'prefork: worker 1 [shop]']);
  assert.equal(readFileSync(`/proc/${s.pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim(), 'prefork: master [shop]');
  await stopClean(s);
});
