/** Catalogue group SPARE: booted workers without a slot, one of which takes the place of a worker that is gone at once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from '../../../support/command.ts';
import { assertResetByDead } from '../../../support/faults.ts';
import { stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { fourKinds, table, total } from '../../../support/load/mix.ts';
import type { LogLine } from '../../../support/log-reader.ts';
import { startService, stopService, underLoad } from '../../../support/masters.ts';
import { fixture } from '../../../support/paths.ts';
import { isAlive, listensOf } from '../../../support/proc.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, stays, until } from '../../../support/until.ts';

const timeout = stretched(120_000);

function sparesOf(s: Supervisor): number[] {
  return s
    .children()
    .filter(({ title }) => title.startsWith('prefork: spare'))
    .map(({ pid }) => pid);
}

/** Waits for so many spares that have booted, none of them one of these. */
async function booted(s: Supervisor, count: number, not: readonly number[] = []): Promise<number[]> {
  return await until(`${count} booted spares`, () => {
    const said = s.log.filter(({ msg }) => msg.startsWith('spare ready ')).map(({ pid }) => Number(pid));
    const there = sparesOf(s).filter((pid) => said.includes(pid) && !not.includes(pid));
    return there.length === count && sparesOf(s).length === count ? there : null;
  });
}

async function start(t: TestContext, spares: number, options: SupervisorOptions = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, {
    workers: 3,
    ...options,
    args: ['-p', 'app.pid', '--spares', String(spares), ...(options.args ?? [])],
  });
  await s.waitReady(30_000);
  await booted(s, spares);
  return s;
}

/** Longer than the time below which a life counts as a failed boot. */
const stable = (): Promise<void> => pause(2_200);

const placed = (lines: readonly LogLine[]): readonly LogLine[] =>
  lines.filter(({ msg }) => /^a spare \(pid \d+\)/.test(msg));

/** The status, as `prefork status --json` prints it. */
async function statusOf(s: Supervisor): Promise<{
  readonly ready: number;
  readonly spares: { readonly wanted: number; readonly ready: number };
  readonly workers: readonly { readonly slot: number | null; readonly pid: number; readonly phase: string }[];
}> {
  const { stdout } = await runCommand(['status', '--json', '--pid', join(s.dir, 'app.pid')]);
  return JSON.parse(stdout);
}

describe('spares', { timeout }, () => {
  it('SPARE-01 SPARE-12: kill -9 under load: a spare serves at once, and only what was inside the dead one fails', async (t) => {
    // Who answered last is who has a connection.
    const s = await start(t, 1, { args: ['--no-balance'] });
    const load = startLoad(t, { target: s.target, groups: fourKinds });
    await load.heardFrom(s.workers());
    await stable();
    const killed: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const [spare] = await booted(s, 1);
      assert.ok(spare !== undefined);
      assert.deepEqual(listensOf(spare), [], 'a spare has a listening socket');
      assert.ok(!load.progress.pids.includes(spare), 'a spare has served');
      const victim = s.workers().filter((pid) => !killed.includes(pid))[0];
      assert.ok(victim !== undefined);
      killed.push(victim);
      const since = s.log.length;
      process.kill(victim, 'SIGKILL');
      const gone = await s.waitForLog(/^worker exited unasked \(SIGKILL\)/, { since });
      const line = await s.waitForLog(/^a spare /, { since });
      const ready = await s.waitForLog(/^worker ready \d+ ms after it was given its slot/, { since });
      assert.deepEqual([line.pid, line.slot, line.reason], [spare, gone.slot, 'gone']);
      assert.equal(ready.pid, spare);
      assert.ok(ready.time - gone.time < stretched(100), `${ready.time - gone.time} ms from the exit to its place`);
      await load.heardFrom([spare]);
      await stable();
    }
    const report = await load.stop();
    assertResetByDead(report, new Set(killed));
    await booted(s, 1);
    await stopClean(s);
  });

  it('SPARE-02 SPARE-06: several at once: each gets a spare as long as there are some, the rest boots', async (t) => {
    const s = await start(t, 2);
    await stable();
    const spares = sparesOf(s);
    const since = s.log.length;
    for (const pid of s.workers()) process.kill(pid, 'SIGKILL');
    await requestJson(s.target, '/pid');
    await until('three workers', () => s.workers().length === 3);
    await booted(s, 2, spares);
    const window = s.log.slice(since);
    assert.deepEqual(
      placed(window)
        .map(({ pid }) => pid)
        .sort(),
      [...spares].sort(),
    );
    assert.equal(window.filter(({ msg }) => msg === 'worker spawned').length, 1);
    const answers = await Promise.all(Array.from({ length: 20 }, () => requestJson(s.target, '/pid')));
    assert.ok(answers.every(({ pid }) => s.workers().includes(Number(pid))));
    await stopClean(s);
  });

  it('SPARE-03: a reload replaces the spares, and what takes a place after it is of the new release', async (t) => {
    const s = await start(t, 1);
    const load = startLoad(t, { target: s.target, groups: fourKinds });
    await load.heardFrom(s.workers());
    for (const version of ['v2', 'v3']) {
      const old = sparesOf(s);
      s.set('version', version);
      assert.match((await s.reload()).msg, /done/);
      await until('the old spare to leave', () => !old.some(isAlive));
      const [fresh] = await booted(s, 1, old);
      assert.ok(fresh !== undefined);
      const status = await statusOf(s);
      assert.deepEqual(status.spares, { wanted: 1, ready: 1 });
      assert.deepEqual(
        status.workers.filter(({ slot }) => slot === null).map(({ pid, phase }) => [pid, phase]),
        [[fresh, 'spare']],
      );
    }
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failed, 0, table(report));
    await stable();
    const [spare] = sparesOf(s);
    for (const pid of s.workers()) process.kill(pid, 'SIGKILL');
    await until('the spare to answer', async () => (await requestJson(s.target, '/version')).pid === spare);
    assert.equal((await requestJson(s.target, '/version')).version, 'v3');
    await stopClean(s);
  });

  it('SPARE-04 SPARE-05: a rejected reload leaves the spare, which serves although new workers cannot boot', async (t) => {
    const s = await start(t, 1);
    await stable();
    const [spare] = sparesOf(s);
    s.set('version', 'v2');
    s.set('boot', 'throw');
    assert.match((await s.reload()).msg, /failed, nothing was changed/);
    assert.deepEqual(sparesOf(s), [spare]);
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    const since = s.log.length;
    process.kill(victim, 'SIGKILL');
    const line = await s.waitForLog(/^a spare /, { since });
    assert.equal(line.pid, spare);
    // The next one cannot boot: later and later, and the service does not mind.
    await until('boots of spares that fail', () => {
      return s.log.slice(since).filter(({ msg }) => msg.startsWith('spare exited unasked')).length >= 3;
    });
    assert.equal(s.workers().length, 3);
    for (let round = 0; round < 20; round += 1)
      assert.equal((await requestJson(s.target, '/version')).version, 'v1', 'the release in force');
    s.set('boot', 'ok');
    await booted(s, 1);
    await stopClean(s);
  });

  it('SPARE-05: a spare that is killed is replaced at once', async (t) => {
    const s = await start(t, 1, { workers: 2 });
    await stable();
    const old = sparesOf(s);
    for (const pid of old) process.kill(pid, 'SIGKILL');
    await booted(s, 1, old);
    assert.equal(placed(s.log).length, 0);
    // TERM has it replaced, as any worker.
    const [next] = sparesOf(s);
    assert.ok(next !== undefined);
    process.kill(next, 'SIGTERM');
    await booted(s, 1, [next, ...old]);
    assert.equal(s.workers().length, 2);
    await stopClean(s);
  });

  it('SPARE-07: TTIN and a recycled worker get the spare, a stop and WINCH leave none', async (t) => {
    const s = await start(t, 1, { workers: 2 });
    const load = startLoad(t, { target: s.target, groups: fourKinds });
    await load.heardFrom(s.workers());
    const [first] = sparesOf(s);
    s.signal('SIGTTIN');
    const grown = await s.waitForLog(/^a spare .* takes the new place/);
    assert.deepEqual([grown.pid, grown.slot], [first, 2]);
    const [second] = await booted(s, 1, [Number(first)]);
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGTERM');
    const heir = await s.waitForLog(/^a spare .* takes over/);
    assert.equal(heir.pid, second);
    await until('it to leave', () => !isAlive(victim));
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failed, 0, table(report));
    await booted(s, 1);
    s.signal('SIGWINCH');
    await s.waitWorkers(0);
    assert.match((await s.reload()).msg, /done/);
    await booted(s, 1);
    assert.equal(s.workers().length, 2);
    await stopClean(s);
  });

  it('SPARE-08: a crash loop is as slow with spares as without, and is not hidden', async (t) => {
    const s = await startSupervisor(t, { workers: 1, args: ['--spares', '2'], env: { BOOT: 'die-after-50' } });
    await s.waitReady(30_000);
    const since = s.log.length;
    await pause(8_000);
    const window = s.log.slice(since);
    const forks = window.filter(({ msg }) => / spawned$/.test(msg)).length;
    const crashes = window.filter(({ msg }) => msg.startsWith('worker exited unasked')).length;
    // 100 ms * 1.5^n, a quarter less or more; and the spares that were there before it was seen to loop.
    assert.ok(forks >= 4 && forks <= 14, `${forks} forks`);
    assert.ok(crashes >= 4, `${crashes} crashes`);
    s.set('boot', 'ok');
    await s.waitServing('/healthz', 30_000);
    await booted(s, 2);
    await stopClean(s);
  });

  it('SPARE-09: an upgrade: the new master has spares of its own, the old ones leave', async (t) => {
    const service = await startService(t, { args: ['--spares', '1'] });
    const { s, masters } = service;
    const old = await booted(s, 1);
    const { load, calm } = await underLoad(t, service);
    const now = await masters.upgrade();
    await load.heardFrom(masters.workers(now));
    await masters.until('the old spare to leave', () => !old.some(isAlive));
    await until('a spare of the new master', async () => {
      const { spares } = (await masters.status()) as { spares: { ready: number } };
      return spares.ready === 1;
    });
    // Two workers, their spare and the master.
    await masters.until('nobody but the new ones', () => s.processesLeft().length === 4);
    await calm();
    await stopService(service);
  });

  it('SPARE-10: without the setting there is no process and no word more', async (t) => {
    const s = await startSupervisor(t, { workers: 2, args: ['-p', 'app.pid'] });
    await s.waitReady(30_000);
    await stable();
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGKILL');
    await until('its successor', () => s.log.filter(({ msg }) => msg === 'worker spawned').length === 3);
    await s.waitForLog((line) => /^worker ready in/.test(line.msg) && line.worker === 3);
    assert.match((await s.reload()).msg, /done/);
    await s.waitWorkers(2);
    await stays('two processes', () => s.children().length <= 2, 500);
    assert.deepEqual(
      s.log.filter(({ msg, spare }) => msg.includes('spare ') || spare !== undefined),
      [],
    );
    assert.equal((await statusOf(s)).spares.wanted, 0);
    await stopClean(s);
  });

  for (const queues of ['shared', 'per-worker'] as const) {
    it(`SPARE-11: two addresses, ${queues} queues, and an app that awaits its listen(): it is told its slot`, async (t) => {
      const [second, log] = [await freePort(), 'access.log'];
      const s = await start(t, 1, {
        app: fixture('worker/spare.mjs'),
        workers: 2,
        env: { PORT2: String(second) },
        args: ['--access-log', log, '--access-log-format', 'json', '--queues', queues],
      });
      await stable();
      const [spare] = sparesOf(s);
      const [victim] = s.workers();
      assert.ok(victim !== undefined);
      const dead = s.log.find(({ msg, pid }) => msg === 'worker spawned' && pid === victim);
      const since = s.log.length;
      process.kill(victim, 'SIGKILL');
      await s.waitForLog(/^worker ready \d+ ms/, { since });
      const slot = dead?.slot;
      for (const port of [s.port, second]) {
        const answer = await until(`an answer of ${spare} on ${port}`, async () => {
          const found = await requestJson({ port }, '/');
          return found.pid === spare ? found : null;
        });
        const title = `prefork: worker ${slot} [spare]`;
        assert.deepEqual(answer, { pid: spare, slot, atBoot: null, told: [slot], started: true, title });
      }
      await until('lines of it in the access log', () =>
        readFileSync(join(s.dir, log), 'utf8')
          .trim()
          .split('\n')
          .some((text) => {
            const line = JSON.parse(text) as { readonly pid: number; readonly slot: number };
            return line.pid === spare && line.slot === slot;
          }),
      );
      await stopClean(s, { ports: [second] });
    });
  }

  it('SPARE-01: the page of metrics counts them', async (t) => {
    const admin = await freePort();
    const s = await start(t, 1, { workers: 2, args: ['--admin', `127.0.0.1:${admin}`] });
    await stable();
    const metrics = async (): Promise<string> => (await request({ port: admin }, '/metrics')).body;
    const before = await metrics();
    for (const line of ['prefork_spares 1', 'prefork_spares_wanted 1', 'prefork_workers{phase="spare"} 1'])
      assert.ok(before.includes(`\n${line}\n`), line);
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGKILL');
    await s.waitForLog(/^a spare /);
    await until('it to be counted', async () =>
      (await metrics()).includes('\nprefork_spares_placed_total{reason="gone"} 1\n'),
    );
    const { stdout, stderr } = await runCommand(['status', '--pid', join(s.dir, 'app.pid')]);
    assert.match(stdout, /of 1 spares ready/, stderr);
    await stopClean(s);
  });
});
