/** What happens to a service reads the same in its log, in its metrics, in its status and in its timeline. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Status, WorkerStatus } from '../../../../src/protocol/status.ts';
import type { TimelineEntry } from '../../../../src/protocol/timeline-entry.ts';
import { type Read, readExposition, sumOf } from '../../../support/exposition.ts';
import { startLoad } from '../../../support/load/child.ts';
import { total } from '../../../support/load/mix.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

test('a reload, a crash, a stuck worker and a scale-up: log, metrics, status and timeline tell the same', async (t) => {
  const admin = await freePort();
  const s = await startSupervisor(t, {
    workers: 3,
    args: [
      '--admin',
      `127.0.0.1:${admin}`,
      '--timeout',
      `${stretched(3_000)}ms`,
      '--access-log',
      '-',
      '--access-log-format',
      'json',
    ],
  });
  await s.waitReady(30_000);
  const get = async <T>(path: string): Promise<T> => JSON.parse((await request({ port: admin }, path)).body) as T;
  const page = async (): Promise<Read> => readExposition((await request({ port: admin }, '/metrics')).body);
  const inLog = (pattern: RegExp): number => s.log.filter(({ msg }) => pattern.test(msg)).length;

  const load = startLoad(t, { target: s.target, groups: [{ kind: 'idle', clients: 4 }] });
  await load.answered(20);
  assert.match((await s.reload()).msg, /done/);
  const [victim = 0] = await s.waitWorkers(3);
  process.kill(victim, 'SIGKILL');
  await s.waitForLog(/^worker exited unasked/);
  s.signal('SIGTTIN');
  await until('four workers', async () => (await get<Status>('/status')).ready === 4, { within: 20_000 });
  await load.further(20);
  const { sent, answered, failed } = total(await load.stop());
  assert.equal(sent, answered + failed);

  const stuck = RawSocket.open(s.target).write(head('/spin-forever'));
  await s.waitForLog(/^worker gets SIGABRT: stuck/, { within: 30_000 });
  await until('its end', () => stuck.ending !== 'open', { within: 20_000 });
  await until('four workers again', async () => (await get<Status>('/status')).ready === 4, { within: 20_000 });

  // What a worker that was killed had not told yet is lost with it; whatever was written down is the same everywhere.
  const quiet = await until(
    'the figures to settle',
    async () => {
      const status = await get<Status>('/status');
      const served = status.workers.reduce((sum, { inFlight }) => sum + inFlight, 0);
      return served === 0 ? status : null;
    },
    { within: 15_000 },
  );
  const metrics = await page();
  const { entries } = await get<{ entries: TimelineEntry[] }>('/timeline');
  const told = (kind: TimelineEntry['kind'], pattern = /./): number =>
    entries.filter((entry) => entry.kind === kind && pattern.test(entry.text)).length;

  const reloads = {
    log: inLog(/^reload \d+ done/),
    metrics: sumOf(metrics, 'prefork_reloads_total'),
    timeline: told('reload', /done/),
  };
  assert.deepEqual(reloads, { log: 1, metrics: 1, timeline: 1 });
  assert.equal(quiet.reload.last?.verdict, 'completed');
  assert.deepEqual([quiet.generation, sumOf(metrics, 'prefork_generation')], [2, 2]);

  const crashes = {
    log: inLog(/^worker exited unasked/),
    metrics: sumOf(metrics, 'prefork_worker_exits_total', { reason: 'crash' }),
    timeline: told('crash'),
  };
  assert.deepEqual(crashes, { log: 1, metrics: 1, timeline: 1 });

  const kills = {
    log: inLog(/^worker gets SIGABRT: stuck/),
    metrics: sumOf(metrics, 'prefork_worker_exits_total', { reason: 'stuck' }),
    captures: sumOf(metrics, 'prefork_stuck_captures_total', { kind: 'fatal' }),
  };
  assert.deepEqual(kills, { log: 1, metrics: 1, captures: 1 });
  const stack = entries.find((entry) => entry.kind === 'stuck' && entry.stack.length > 0);
  assert.match(stack?.stack.join('\n') ?? '', /spinForever/);

  const scaled = { log: inLog(/^workers: 3 -> 4/), timeline: told('scale', /3 -> 4/), wanted: quiet.wanted };
  assert.deepEqual(scaled, { log: 1, timeline: 1, wanted: 4 });
  assert.deepEqual(
    [sumOf(metrics, 'prefork_workers_wanted'), sumOf(metrics, 'prefork_workers', { phase: 'ready' })],
    [4, 4],
  );

  const started = { log: inLog(/^worker spawned$/), metrics: sumOf(metrics, 'prefork_worker_starts_total') };
  assert.equal(started.log, started.metrics);
  const gone = inLog(/^worker (left after|is gone|exited unasked)/);
  assert.equal(sumOf(metrics, 'prefork_worker_exits_total'), gone);
  assert.equal(started.log - gone, quiet.workers.length);

  const restarts = (workers: readonly WorkerStatus[]): number => workers.reduce((sum, each) => sum + each.restarts, 0);
  assert.equal(restarts(quiet.workers), started.log - 4, 'four places were filled for the first time');
  // Each living worker's own count, and the service's, agree with the access log line by line.
  const lines = s.stdout.text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { worker: number });
  for (const { id, requests } of quiet.workers)
    assert.equal(lines.filter(({ worker }) => worker === id).length, requests, `worker ${id}`);
  const counted = sumOf(metrics, 'http_requests_total');
  // What a worker that is killed has not told yet, to the one or to the other, is lost.
  assert.ok(Math.abs(lines.length - counted) <= 60, `${counted} counted, ${lines.length} logged, ${sent} sent`);
  t.diagnostic(
    `${sent} requests, ${failed} failed inside the killed worker, ${counted} counted, ${lines.length} logged`,
  );
  assert.ok(failed <= 4);
});
