/**
 * Catalogue group CANARY: a release is judged by what real clients get of it. Under load of clients that keep their
 * connections, each reload brings a release that boots and serves, and is bad all the same; every request is counted.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from '../../support/command.ts';
import { stopClean } from '../../support/invariants.ts';
import { type Load, startLoad } from '../../support/load/child.ts';
import { type Group, table, total } from '../../support/load/mix.ts';
import type { Tally } from '../../support/load/tally.ts';
import { fixture } from '../../support/paths.ts';
import { freePort, request, requestJson } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

const workers = 3;

/** None of them opens a connection while a reload is under way: a canary gets those that others have. */
const clients: readonly Group[] = [
  { kind: 'busy', clients: 8 },
  { kind: 'thinking', clients: 4, think: [50, 400] },
];

interface Service {
  readonly s: Supervisor;
  readonly admin: number;
}

async function serve(t: TestContext, version: string, config: Readonly<Record<string, unknown>>): Promise<Service> {
  const admin = await freePort();
  const s = await startSupervisor(t, {
    app: fixture('canary/app.cjs'),
    workers,
    config: { admin: `127.0.0.1:${admin}`, controlSocket: './ctl', ...config },
  });
  s.set('version', version);
  await s.waitReady(30_000);
  return { s, admin };
}

const reload = (s: Supervisor) => runCommand(['reload', '--wait', '--socket', `${s.dir}/ctl`]);

/** Nothing was lost on its way. The 5xx are the app's. */
async function end(load: Load): Promise<Tally> {
  const report = await load.stop();
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, all.failedAs('http-5xx'), table(report));
  return all;
}

function answers(all: Tally, version: string): number {
  return all.versions.get(version) ?? 0;
}

/** Enough that a hundredth of it is what a canary has to serve to be judged. */
const before = 24_000;

describe('a release that is judged by its traffic', () => {
  it('CANARY-01: one that answers 5 % errors is taken back, and under 1 % of all requests have met it', async (t) => {
    // Metrics are not needed for it.
    const { s } = await serve(t, 'good', { metrics: false, canary: { for: '120s', minRequests: 100 } });
    const old = await s.waitWorkers(workers);
    const load = startLoad(t, { target: s.target, groups: clients });
    await load.answered(before, stretched(120_000));
    s.set('version', 'bad');
    const { code, stderr } = await reload(s);
    assert.equal(code, 1, stderr);
    const reason = /5xx [\d.]+ % against 0 %(, p99 [\d.]+ ms against [\d.]+)?, in \d+ requests$/m;
    assert.match(
      stderr,
      /^prefork: reload 1 failed, nothing was changed: generation 2 is worse than the one before: /m,
    );
    assert.match(stderr, reason);
    assert.match(stderr, /^reload 1: the first new worker is judged by its traffic: .*, \d+ s left$/m);
    assert.deepEqual([...(await s.waitWorkers(workers, 30_000))].sort(), [...old].sort());
    await load.further(500);
    const all = await end(load);
    const errors = all.failedAs('http-5xx');
    const met = answers(all, 'bad') + errors;
    t.diagnostic(`${met} of ${all.sent} requests met it, ${errors} an error of it`);
    assert.ok(met >= 100, 'clients that keep their connections met it');
    assert.ok(met < all.sent / 100, `${met} of ${all.sent} requests met it`);
    assert.ok(s.log.some(({ msg }) => reason.test(msg)));
    await stopClean(s);
  });

  it('CANARY-02: one that is ten times slower is taken back', async (t) => {
    const { s } = await serve(t, 'good', { canary: { for: '120s', minRequests: 50 } });
    const load = startLoad(t, { target: s.target, groups: clients });
    await load.answered(before, stretched(120_000));
    s.set('version', 'slow');
    const { code, stderr } = await reload(s);
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /generation 2 is slower than the one before: 5xx 0 % against 0 %, p99 \d+ ms against [\d.]+, in/,
    );
    const all = await end(load);
    const met = answers(all, 'slow');
    t.diagnostic(`${met} of ${all.sent} requests met it`);
    assert.equal(all.failed, 0);
    assert.ok(met >= 50 && met < all.sent / 100, `${met} of ${all.sent} requests met it`);
    await stopClean(s);
  });

  it('CANARY-03: a good one passes, with errors as there were before, and the figures are those of /metrics', async (t) => {
    const { s, admin } = await serve(t, 'some', { canary: { for: '6s', minRequests: 100, maxP99: '10x' } });
    const load = startLoad(t, { target: s.target, groups: clients });
    await load.answered(500);
    s.set('version', 'some-more');
    const outcome = reload(s);
    const inStatus = () => until('requests of the canary', async () => trialIn(s), { within: stretched(20_000) });
    const [earlier, shown, later] = [await inStatus(), await figures(admin), await inStatus()];
    const requests = shown.get('prefork_canary_requests{side="new"}') ?? 0;
    assert.ok(requests >= earlier && requests <= later, `${earlier}, ${requests}, ${later} requests`);
    const { code, stdout, stderr } = await outcome;
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^reload 1 done in [\d.]+ s, generation 2 serves \(5xx [\d.]+ % against [\d.]+ %, p99 .* in \d+ requests\)$/m,
    );
    await s.waitForLog(/^reload 1: the canary has passed: 5xx /);
    await load.heardFrom(s.workers());
    const all = await end(load);
    assert.ok(answers(all, 'some-more') > 100);
    const byClass = await figures(admin);
    assert.ok((byClass.get('prefork_generation_requests_total{generation="2",status="5xx"}') ?? 0) > 0);
    await stopClean(s);
  });

  it('CANARY-04: the fix of a release of which half the answers are errors passes', async (t) => {
    const { s } = await serve(t, 'half', { canary: { for: '3s', minRequests: 50, maxP99: null } });
    const load = startLoad(t, { target: s.target, groups: clients });
    await load.answered(300);
    s.set('version', 'good');
    const { code, stdout, stderr } = await reload(s);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\(5xx 0 % against (4\d|5\d)[\d.]* %, /);
    await end(load);
    await stopClean(s);
  });

  it('CANARY-10: clients at work meet it, however many others keep idle connections', async (t) => {
    const { s } = await serve(t, 'good', { canary: { for: `${stretched(8_000)}ms`, minRequests: 200 } });
    const groups: readonly Group[] = [
      { kind: 'idle', clients: 40, think: [120_000, 120_000] },
      { kind: 'busy', clients: 5 },
    ];
    const load = startLoad(t, { target: s.target, groups });
    await load.answered(500);
    s.set('version', 'half');
    const { code, stderr } = await reload(s);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /generation 2 is worse than the one before: 5xx [45]\d[\d.]* % against 0 %/);
    const all = await end(load);
    assert.ok(all.connections <= 60, `${all.connections} connections`);
    await stopClean(s);
  });

  it('CANARY-06: a release whose errors rise after its rollout is rolled back, by the traffic before it', async (t) => {
    const { s } = await serve(t, 'good', {
      canary: { for: '2s', minRequests: 100, maxP99: null },
      rollbackWindow: `${stretched(60_000)}ms`,
    });
    const load = startLoad(t, { target: s.target, groups: clients });
    await load.answered(500);
    s.set('version', 'later');
    const { code, stderr } = await reload(s);
    assert.equal(code, 0, stderr);
    const fresh = await s.waitWorkers(workers, 30_000);
    await load.heardFrom(fresh);
    const since = s.log.length;
    writeFileSync(s.levers.gate, '');
    // The code is as it was; the settings are the ones of the generation before.
    s.set('version', 'good-again');
    const line = await s.waitForLog(/^rolling back to the previous release: /, { since, within: stretched(60_000) });
    assert.match(
      line.msg,
      /generation 2 is worse than the one before: 5xx [\d.]+ % against 0 %, p99 .*in \d+ requests$/,
    );
    await s.waitForLog(/^reload 2 done/, { since, within: stretched(30_000) });
    const back = await s.waitWorkers(workers, 30_000);
    assert.ok(back.every((pid) => !fresh.includes(pid)));
    await load.heardFrom(back);
    assert.ok(answers(await end(load), 'good-again') > 0);
    await stopClean(s);
  });
});

describe('a canary that had too few requests', { concurrency: 3 }, () => {
  const cases = [
    ['promote', /^reload 1 done/, /the rest follow \(onUndecided\)$/],
    [
      'reject',
      /^reload 1 failed, nothing was changed: undecided: \d requests of the 200 that minRequests asks for/,
      null,
    ],
    ['hold', /^reload 1 is held: /, /it is held: .* \(onUndecided\)$/],
  ] as const;
  for (const [onUndecided, verdict, said] of cases) {
    it(`CANARY-05: is undecided, which is said, and onUndecided decides: ${onUndecided}`, async (t) => {
      const { s } = await serve(t, 'good', { canary: { for: '1s', onUndecided } });
      s.set('version', 'bad');
      s.signal('SIGHUP');
      const undecided = await s.waitForLog(/undecided: \d requests of the 200 that minRequests asks for/);
      if (said !== null) assert.match(undecided.msg, said);
      await s.waitForLog(verdict, { within: 30_000 });
      if (onUndecided === 'hold') await s.waitWorkers(workers + 1);
      await stopClean(s);
    });
  }

  it('CANARY-07: one that answers nothing is taken back, whatever onUndecided says', async (t) => {
    const { s } = await serve(t, 'good', { canary: { for: `${stretched(8_000)}ms` }, gracefulTimeout: 1 });
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'fresh', clients: 40, timeout: 60_000 }] });
    await load.answered(300);
    s.set('version', 'mute');
    const { msg } = await s.reload(stretched(60_000));
    assert.match(
      msg,
      /^reload 1 failed, nothing was changed: generation 2 does not answer: \d+ requests wait, \d+ were answered$/,
    );
    await load.stop();
    await s.stop();
  });
});

/** Requests that the canary has served, by the status; 0 if there is none. */
async function trialIn(s: Supervisor): Promise<number> {
  const body = await requestJson({ socketPath: `${s.dir}/ctl` }, '/status');
  const { running } = (body as unknown as { reload: { running: { trial?: { fresh: { requests: number } } } | null } })
    .reload;
  return running?.trial?.fresh.requests ?? 0;
}

/** Samples of `/metrics`, by name and labels. */
async function figures(admin: number): Promise<ReadonlyMap<string, number>> {
  const { body } = await request({ port: admin }, '/metrics');
  const lines = body
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}
