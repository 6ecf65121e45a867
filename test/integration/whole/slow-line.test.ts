/**
 * The promise where it is hard to keep: behind a line that takes 70 ms each way an end and the next request cross. Plain
 * keep-alive clients that think for a while, some of them with an event loop that stands still now and then, must not
 * lose one request, whatever is done to the service, and none of them has to open a second connection.
 *
 * A client never sends in the last moments of `Keep-Alive: timeout`, as no real one does: see `support/load/wire.ts`. So
 * with Node's own keepAliveTimeout of 5 s, which ends connections by itself, only requests are counted; with 65 s also
 * connections.
 */
// Runs alone: hundreds of clients, and the lines of all of them.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type Load, type LoadSpec, startLoad } from '../../support/load/child.ts';
import { startForwarder } from '../../support/load/forwarder.ts';
import { type Report, table, total } from '../../support/load/mix.ts';
import { type Service, startService, stopService } from '../../support/masters.ts';
import { freePort } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { until } from '../../support/until.ts';

const workers = 3;
const oneWay = 70;
/** Enough for a handful of them to send at the wrong moment of any close there is. */
const thinking = 80;
const stalling = 20;
const think = [400, 4_000] as const;

interface Clients {
  readonly loads: readonly Load[];
}

/** A service on two ports, whose idle connections are kept for 5 s and for 65 s, and clients that have all met it. */
async function start(t: TestContext, args: readonly string[] = []): Promise<Service & Clients> {
  const kept = await freePort();
  const service = await startService(t, {
    workers,
    // What the app says of its connections counts.
    args: ['--keep-alive', '0', ...args],
    env: { FURTHER_PORTS: JSON.stringify({ kept }) },
  });
  const lineTo = async (port: number) => (await startForwarder(t, { to: { port }, there: oneWay })).target;
  const targets = { 'kept for 5 s': await lineTo(service.s.port), 'kept for 65 s': await lineTo(kept) };
  const clients = async (count: number, more: Pick<LoadSpec, 'stall'> = {}): Promise<Load> => {
    const groups = Object.entries(targets).map(([name, target]) => {
      return { kind: 'thinking' as const, name, clients: count, target, think };
    });
    const load = startLoad(t, { target: service.s.target, groups, ...more });
    // Each of them has an answer, and thinks.
    await load.answered(2 * count, 60_000);
    return load;
  };
  const loads = [await clients(thinking), await clients(stalling, { stall: { every: [700, 2_000], lasts: 500 } })];
  return { ...service, loads };
}

/** Some more thoughts after the last deed; then nothing has failed, and nobody has been sent away. */
async function expectUnnoticed(t: TestContext, service: Service & Clients): Promise<void> {
  await Promise.all(service.loads.map((load) => load.further(stalling)));
  const reports = await Promise.all(service.loads.map((load) => load.stop()));
  for (const [index, report] of reports.entries()) {
    t.diagnostic(`${index === 0 ? 'thinking' : 'thinking and stalling'}:\n${table(report)}`);
  }
  for (const report of reports) assertUnnoticed(report);
  await stopService(service);
}

function assertUnnoticed(report: Report): void {
  const all = total(report);
  all.assertComplete();
  assert.equal(all.failed, 0, `requests were lost:\n${table(report)}`);
  const kept = report['kept for 65 s'];
  assert.equal(kept?.connections, kept?.clients, `connections were closed:\n${table(report)}`);
}

describe('over a line of 70 ms each way', { timeout: stretched(180_000) }, () => {
  it('LINE-01: three reloads', async (t) => {
    const service = await start(t);
    for (let reload = 0; reload < 3; reload++) {
      assert.match((await service.s.reload()).msg, / done /);
      await service.s.waitWorkers(workers, 30_000);
    }
    await expectUnnoticed(t, service);
  });

  it('LINE-02: workers are recycled', async (t) => {
    const service = await start(t, ['--max-lifetime', '4s', '--max-lifetime-jitter', '1s']);
    const recycled = () => service.masters.lines(/^worker retires: maxLifetime/).length;
    const before = recycled();
    await until('each worker to be recycled', () => recycled() >= before + 2 * workers, { within: 60_000 });
    await expectUnnoticed(t, service);
  });

  it('LINE-03: down to one worker, and up again', async (t) => {
    const service = await start(t);
    const steps = [
      ['SIGTTOU', 2],
      ['SIGTTOU', 1],
      ['SIGTTIN', 2],
      ['SIGTTIN', 3],
    ] as const;
    for (let round = 0; round < 2; round++) {
      for (const [signal, count] of steps) {
        service.s.signal(signal);
        await service.s.waitWorkers(count, 30_000);
      }
    }
    await expectUnnoticed(t, service);
  });

  it('LINE-04: two upgrades', async (t) => {
    const service = await start(t);
    for (let upgrade = 0; upgrade < 2; upgrade++) await service.masters.upgrade(60_000);
    await expectUnnoticed(t, service);
  });

  it('LINE-05: each worker is sent TERM by somebody', async (t) => {
    const service = await start(t);
    for (const pid of service.s.workers()) {
      process.kill(pid, 'SIGTERM');
      await until(
        'its successor',
        () => {
          const now = service.s.workers();
          return now.length === workers && !now.includes(pid);
        },
        { within: 30_000 },
      );
    }
    await expectUnnoticed(t, service);
  });
});
