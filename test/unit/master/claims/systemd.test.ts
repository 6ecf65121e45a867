/** Catalogue group SDN: what is told to systemd and in which order, with a systemd-notify that only writes it down. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { type Fleet, initialFleet, type Policy, type Worker } from '../../../../src/core/model.ts';
import { MainProcess, statusText } from '../../../../src/master/claims/main-process.ts';
import { Notifier, pingEvery } from '../../../../src/master/claims/systemd.ts';
import { stays, until } from '../../../support/until.ts';

interface Fake {
  readonly env: Record<string, string>;
  /** What each of its processes was to tell. */
  readonly told: () => string[];
  /** Lets those that wait go on. */
  readonly open: () => void;
}

/** @param gated its processes do not end before `open` */
function fake(t: TestContext, gated = false): Fake {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-notify-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [out, gate] = [join(dir, 'out'), join(dir, 'gate')];
  if (!gated) writeFileSync(gate, '');
  const program = join(dir, 'systemd-notify');
  writeFileSync(
    program,
    `#!/bin/sh\nPATH=/usr/bin:/bin\necho "$*" >>'${out}'\nwhile [ ! -e '${gate}' ] && [ -d '${dir}' ]; do sleep 0.02; done\n`,
  );
  chmodSync(program, 0o755);
  return {
    env: { NOTIFY_SOCKET: '/run/systemd/notify', PATH: dir },
    // Whole lines: the file is there before its first one.
    told: () => (existsSync(out) ? readFileSync(out, 'utf8').split('\n').slice(0, -1) : []),
    open: () => writeFileSync(gate, ''),
  };
}

const warn = (message: string) => assert.fail(message);
const withoutStamp = (lines: readonly string[]) => lines.map((line) => line.replace(/MONOTONIC_USEC=\d+/, 'M'));

describe('SDN-01 the notifier', () => {
  it('tells one thing at a time; of what came meanwhile, each transition and the latest of the rest', async (t) => {
    const { env, told, open } = fake(t, true);
    const notifier = new Notifier({ env, warn });
    notifier.transition('READY');
    await until('the first', () => told().length === 1);
    for (const text of ['a', 'b', 'c']) notifier.status(text);
    notifier.transition('RELOADING');
    notifier.ping();
    notifier.ping();
    notifier.transition('READY');
    await stays('one at a time', () => told().length === 1, 300);
    open();
    await until('the rest', () => told().length === 3);
    assert.deepEqual(withoutStamp(told()), ['READY=1', 'RELOADING=1 M STATUS=c WATCHDOG=1', 'READY=1']);
    await notifier.end();
    assert.equal(told().length, 3);
  });

  it('tells of each main process in its turn, and nothing that is to be forgotten', async (t) => {
    const { env, told, open } = fake(t, true);
    const notifier = new Notifier({ env, warn });
    notifier.transition('READY');
    await until('the first', () => told().length === 1);
    notifier.transition('RELOADING');
    notifier.status('old');
    notifier.ping();
    notifier.forget();
    for (const pid of [7, 8]) notifier.mainpid(pid);
    notifier.transition('RELOADING');
    notifier.transition('STOPPING');
    open();
    await notifier.end(30_000);
    assert.deepEqual(told(), ['READY=1', 'MAINPID=7', 'MAINPID=8', 'STOPPING=1']);
  });

  it('leaves out the pairs nobody waits for any more, never the first READY, and everything before STOPPING', async (t) => {
    const { env, told, open } = fake(t, true);
    const notifier = new Notifier({ env, warn });
    notifier.status('starts');
    await until('the first', () => told().length === 1);
    notifier.transition('READY');
    for (let reload = 0; reload < 5; reload += 1) {
      notifier.transition('RELOADING');
      notifier.transition('READY');
    }
    open();
    await until('all', () => told().length === 4);
    assert.deepEqual(withoutStamp(told()), ['STATUS=starts', 'READY=1', 'RELOADING=1 M', 'READY=1']);
    await notifier.end();

    const other = fake(t, true);
    const stopping = new Notifier({ env: other.env, warn });
    stopping.status('starts');
    await until('the first', () => other.told().length === 1);
    for (const to of ['READY', 'RELOADING', 'READY', 'STOPPING'] as const) stopping.transition(to);
    other.open();
    await stopping.end(30_000);
    assert.deepEqual(other.told(), ['STATUS=starts', 'STOPPING=1']);
  });

  it('does not hold up the end for long', async (t) => {
    const { env, open } = fake(t, true);
    const notifier = new Notifier({ env, warn });
    notifier.transition('READY');
    const since = performance.now();
    await notifier.end(200);
    assert.ok(performance.now() - since >= 190);
    open();
  });

  it('starts nothing where nobody listens', async (t) => {
    const { env, told } = fake(t);
    const notifier = new Notifier({ env: { ...env, NOTIFY_SOCKET: undefined }, warn });
    notifier.transition('READY');
    notifier.status('x');
    notifier.ping();
    await notifier.end();
    assert.equal(notifier.isOn, false);
    await stays('nothing', () => told().length === 0, 300);
  });

  it('puts a text on one line, and cuts it', async (t) => {
    const { env, told } = fake(t);
    const notifier = new Notifier({ env, warn });
    notifier.status(`bad\r\n\u0000MAINPID=1\u2028${'x'.repeat(5_000)}`);
    await until('it', () => told().length === 1);
    assert.match(told()[0] ?? '', /^STATUS=bad MAINPID=1 x{300,400}$/);
    await notifier.end();
  });
});

it('SDN-02 pings come at half the time, where it is this process that is watched', () => {
  assert.equal(pingEvery({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 7), 15_000);
  assert.equal(pingEvery({ WATCHDOG_USEC: '30000000' }, 7), 15_000);
  assert.equal(pingEvery({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, 7), null);
  for (const WATCHDOG_USEC of [undefined, '', '0', '-1', 'x', '1e6'])
    assert.equal(pingEvery({ WATCHDOG_USEC }, 7), null);
});

describe('being the main process', () => {
  const fleet = (more: Partial<Fleet> = {}): Fleet => ({
    ...initialFleet({ workers: 2, autoscale: null } as Policy),
    start: 'complete',
    workers: [ready(1), ready(2)],
    ...more,
  });
  const ready = (id: number) => ({ id, phase: { name: 'ready', since: 0 } }) as Worker;
  const reloading = { state: 'preparing', reload: 3, since: 0, rollback: null, order: 'roll' } as const;
  const last = { reload: 3, generation: 4, duration: 1, reason: 'no such database' };

  it('SDN-01 says in one line how the service is', () => {
    assert.equal(statusText(fleet()), '2/2 workers ready, generation 1');
    assert.equal(statusText(fleet({ start: 'starting', workers: [] })), 'starting, 0/2 workers ready, generation 1');
    // One more while they are replaced.
    const three = [ready(1), ready(2), ready(3)];
    assert.equal(
      statusText(fleet({ workers: three, reload: reloading })),
      'reload 3 under way, 2/2 workers ready, generation 1',
    );
    const verdicts = {
      rejected: 'failed, nothing was changed',
      halted: 'stopped half way',
      'rolled-back': 'was rolled back',
    };
    for (const [verdict, words] of Object.entries(verdicts)) {
      assert.equal(
        statusText(fleet({ lastReload: { ...last, verdict } as Fleet['lastReload'] })),
        `2/2 workers ready, generation 1; reload 3 ${words}: no such database`,
      );
    }
    assert.equal(
      statusText(fleet({ lastReload: { ...last, verdict: 'completed' } })),
      '2/2 workers ready, generation 1',
    );
    assert.equal(statusText(fleet({ dormant: true, workers: [] })), 'dormant: no workers, the sockets are kept');
    const upgrade = {
      state: 'starting',
      since: 0,
      deadline: 0,
      readySince: null,
      byHand: false,
      dismissed: false,
    } as const;
    assert.equal(statusText(fleet({ upgrade, upgrades: 2 })), 'upgrade 2 under way, 2/2 workers ready, generation 1');
    const lastUpgrade = { verdict: 'failed', upgrade: 2, pid: null, reason: 'it exited', duration: 1 } as const;
    assert.equal(
      statusText(fleet({ lastUpgrade })),
      '2/2 workers ready, generation 1; upgrade 2 failed, nothing was changed: it exited',
    );
    const stopping = { kind: 'graceful', deadline: 0, listening: false, acceptUntil: 0, status: 0 } as const;
    assert.equal(statusText(fleet({ stopping, workers: [ready(1)] })), 'stopping, 1 worker left');
  });

  it('SDN-01 an upgrade: a master that has yielded is silent, one that takes over speaks only from then on', async (t) => {
    const { env, told } = fake(t);
    const logger = pino({ level: 'silent' });
    const stopping = { kind: 'graceful', deadline: 0, listening: false, acceptUntil: 0, status: 0 } as const;
    let now = fleet();
    const manager = new MainProcess({ env, logger: () => logger, fleet: () => now, hasPredecessor: false });
    manager.ensure();
    await until('READY', () => told().length === 1);
    assert.deepEqual(told(), ['READY=1 STATUS=2/2 workers ready, generation 1']);
    manager.yield(process.pid + 1);
    manager.onTurn(fleet({ stopping }));
    await manager.release();
    assert.deepEqual(told().slice(1), [`MAINPID=${process.pid + 1}`]);

    const other = fake(t);
    now = fleet({ start: 'starting' });
    const options = { logger: () => logger, fleet: () => now, hasPredecessor: true };
    const successor = new MainProcess({ env: other.env, ...options });
    successor.ensure();
    now = fleet({ generation: 2 });
    successor.ensure();
    successor.onTurn(now);
    await stays('silence', () => other.told().length === 0, 300);
    successor.takeOver();
    successor.onTurn(now);
    await successor.release();
    const words = other.told().join(' ');
    assert.match(words, new RegExp(`MAINPID=${process.pid}\\b`));
    assert.match(words, /READY=1/);
    assert.match(words, /STATUS=2\/2 workers ready, generation 2/);

    const failed = fake(t);
    const never = new MainProcess({ env: failed.env, ...options });
    never.onTurn(fleet({ start: 'starting', stopping }));
    await never.release();
    assert.deepEqual(failed.told(), [], 'a successor that fails does not say that the service stops');
  });
});
