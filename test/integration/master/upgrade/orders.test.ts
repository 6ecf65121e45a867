/** Signals to whom the pidfile names, at any moment of an upgrade, with real processes and under load. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { assertClean } from '../../../support/invariants.ts';
import {
  type Service,
  slowRequest,
  startService as start,
  stopService as stop,
  underLoad,
} from '../../../support/masters.ts';
import { isAlive } from '../../../support/proc.ts';
import { stretched } from '../../../support/slowness.ts';
import { pause } from '../../../support/until.ts';

const timeout = stretched(180_000);

/** Mulberry32: a number in [0, 1) for each call, the same ones for a seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const seed = Number(process.env.PREFORK_SEED ?? Date.now() % 1e6);

/** As `kill -HUP $(cat app.pid)`. @returns whom it has reached; `null` if the pidfile is gone, or names no process any more */
function order({ masters }: Service, signal: NodeJS.Signals): number | null {
  const pid = masters.pid();
  if (pid === null || !isAlive(pid)) return null;
  masters.signal(signal, pid);
  return pid;
}

describe('UPG-06 orders at any moment of an upgrade', { timeout }, () => {
  it(`HUP and the like: one master at the end, which has done the reload, and no request is lost (seed ${seed})`, async (t) => {
    const random = randomFrom(seed);
    const service = await start(t);
    const { s, masters } = service;
    const { load, calm } = await underLoad(t, service, 20);
    for (let round = 0; round < 6; round += 1) {
      const old = masters.current();
      const since = s.log.length;
      masters.signal('SIGUSR2', old);
      // The first rounds: without a pause until another master has the pidfile. The others: at random moments.
      const others = ['SIGTTIN', 'SIGTTOU', 'SIGUSR1', 'SIGUSR2'] as const;
      if (round < 2) {
        while (masters.pid() === old) {
          order(service, 'SIGHUP');
          await pause(5);
        }
      } else {
        for (let count = 0; count < 6; count += 1) {
          await pause(random() * 250);
          if (random() < 0.5) order(service, 'SIGHUP');
          else order(service, others[Math.floor(random() * others.length)] ?? 'SIGUSR1');
        }
      }
      order(service, 'SIGHUP');
      const now = await masters.replaced(old);
      await masters.until(`the reload that was asked for in round ${round}`, () =>
        s.log.slice(since).some(({ msg, pid }) => /^reload \d+ done/.test(msg) && pid !== old),
      );
      await masters.until('as many workers as before', () => masters.workers(now).length >= 1);
      assert.equal(masters.pid(true), null);
      assert.equal(masters.pid(), now);
      await masters.until(
        'the reload to be over',
        () => s.log.slice(since).filter(isBegin).length <= s.log.slice(since).filter(isEnd).length,
      );
      await load.further(20);
    }
    await calm();
    await stop(service);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    it(`${signal} stops the service, both masters, with exit 0, whenever it comes (seed ${seed})`, async (t) => {
      const random = randomFrom(seed + 1);
      for (let round = 0; round < 6; round += 1) {
        const service = await start(t);
        const { s, masters } = service;
        const old = masters.current();
        masters.signal('SIGUSR2', old);
        if (round % 2 === 0) {
          // As close to where the pidfile changes hands as can be had.
          await masters.waitForLine(/^upgrade 1: the new master is ready/);
          await pause(random() * 20);
        } else await pause(random() * 1_500);
        assert.notEqual(order(service, signal), null);
        // Far less than gracefulTimeout: neither master waits for the other one's deadline.
        await masters.gone(stretched(12_000));
        await assertClean(s, { gone: [masters.pidfile, `${masters.pidfile}.2`, join(s.dir, 'app.ctl')] });
      }
    });

  it('TERM to the old one, later: it leaves anyway, and the service goes on', async (t) => {
    const service = await start(t);
    const { masters } = service;
    const old = masters.current();
    const slow = await slowRequest(service, 2_000);
    const now = await masters.inCharge();
    await masters.waitForLine(/^upgrade 1 done/);
    await pause(400);
    masters.signal('SIGTERM', old);
    await slow.answered;
    assert.equal(await masters.replaced(old), now);
    await stop(service);
  });
});

const isBegin = ({ msg }: { msg: string }): boolean => /^reload \d+ started/.test(msg);
const isEnd = ({ msg }: { msg: string }): boolean => /^reload \d+ (done|failed|stopped)/.test(msg);
