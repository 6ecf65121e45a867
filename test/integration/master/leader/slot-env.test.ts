/** Catalogue group SLOT: what in a worker's environment depends on its slot. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LeaderFile } from '../../../support/leader-file.ts';
import { fixture } from '../../../support/paths.ts';
import { freePort, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const timeout = stretched(120_000);

interface Names {
  readonly instance?: string;
  readonly slot?: string;
  readonly own?: string;
  readonly file?: string;
  readonly spare?: string;
}

interface Answer {
  readonly pid: number;
  readonly slot: number;
  readonly atLoad: Names;
  readonly inOnSlot: Names | null;
  readonly now: Names;
}

async function start(t: TestContext, options: SupervisorOptions): Promise<Supervisor> {
  const s = await startSupervisor(t, { app: fixture('leader/slot.mjs'), ...options });
  return await s.waitReady(30_000);
}

/** An answer of each of these workers, by slot. */
async function answers(s: Supervisor, pids: readonly number[]): Promise<ReadonlyMap<number, Answer>> {
  const found = new Map<number, Answer>();
  await until(`an answer of ${pids.join()}`, async () => {
    const answer = (await requestJson(s.target, '/')) as unknown as Answer;
    if (pids.includes(answer.pid)) found.set(answer.slot, answer);
    return found.size === pids.length;
  });
  return found;
}

describe('the slot in the environment', { timeout }, () => {
  it('SLOT-01: NODE_APP_INSTANCE, PREFORK_SLOT and {slot}, 0 to N-1, the same after a replacement and a reload', async (t) => {
    const s = await start(t, {
      workers: 3,
      // As started by PM2.
      env: { NODE_APP_INSTANCE: '7', OTHER: '{slot}' },
      config: { env: { OWN: 'port 400{slot}, {slot} {Slot} {}' }, app: fixture('leader/slot.mjs') },
      app: null,
    });
    const expected = (slot: number): Names => ({
      instance: `${slot}`,
      slot: `${slot}`,
      own: `port 400${slot}, ${slot} {Slot} {}`,
    });
    const check = async (pids: readonly number[]): Promise<ReadonlyMap<number, Answer>> => {
      const all = await answers(s, pids);
      assert.deepEqual([...all.keys()].sort(), [0, 1, 2]);
      for (const [slot, { atLoad, inOnSlot, now }] of all)
        for (const names of [atLoad, inOnSlot, now]) assert.deepEqual({ ...names }, expected(slot));
      return all;
    };
    const first = await check(await s.waitWorkers(3));
    const victim = first.get(1)?.pid;
    assert.ok(victim !== undefined);
    const since = s.log.length;
    process.kill(victim, 'SIGKILL');
    await s.waitForLog(/^worker ready/, { since });
    const second = await check(await s.waitWorkers(3));
    assert.notEqual(second.get(1)?.pid, victim);
    assert.equal(second.get(0)?.pid, first.get(0)?.pid);
    await s.reload();
    await check(await s.waitWorkers(3));
    await s.stop();
  });

  it('SLOT-02: what env and envFile set themselves stands; the release command has no slot', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefork-slot-'));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'app.env'), 'FROM_FILE=/var/log/{slot}.log\nPREFORK_SLOT=mine\n');
    const own = await start(t, {
      workers: 2,
      args: ['--env-file', join(folder, 'app.env'), '-e', 'NODE_APP_INSTANCE=web-{slot}'],
      config: { release: `sh -c 'env > ${join(folder, 'released')}'` },
    });
    const all = await answers(own, await own.waitWorkers(2));
    assert.deepEqual({ ...all.get(1)?.now }, { instance: 'web-1', slot: 'mine', file: '/var/log/1.log' });
    await own.reload();
    const released = readFileSync(join(folder, 'released'), 'utf8');
    assert.doesNotMatch(released, /^(NODE_APP_INSTANCE|FROM_FILE)=/m);
    assert.match(released, /^PREFORK_SLOT=mine$/m);
    await own.stop();
  });

  it('SLOT-03: a spare finds none at its load, and has them before onSlot is called; a start with both says so', async (t) => {
    const s = await start(t, { workers: 1, args: ['--spares', '1', '-e', 'OWN=400{slot}'] });
    await s.waitForLog(/^a spare has no slot while it loads the app: what env sets with \{slot\} \(OWN\)/);
    await s.waitForLog(/^spare ready/);
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGKILL');
    const answer = await until('the spare to serve', async () => {
      const found = (await requestJson(s.target, '/')) as unknown as Answer;
      return found.pid === victim ? null : found;
    });
    assert.deepEqual({ ...answer.atLoad }, { spare: '1' });
    const expected = { instance: '0', slot: '0', own: '4000' };
    assert.deepEqual({ ...answer.inOnSlot }, expected);
    assert.deepEqual({ ...answer.now }, expected);
    await s.stop();
  });

  it('LEAD-11: plain node leads at once; a thread, and what a worker forks, does not', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefork-slot-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const run = async (app: string, env: Readonly<Record<string, string>>): Promise<string> => {
      const path = join(folder, `plain-${Object.keys(env).join()}`);
      const file = new LeaderFile(path);
      const child = spawn(process.execPath, [fixture(app)], {
        env: { ...process.env, LEADER_FILE: path, PORT: String(await freePort()), ...env },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      t.after(() => child.kill('SIGKILL'));
      let said = '';
      child.stderr.on('data', (chunk) => (said += String(chunk)));
      const isForked = Object.keys(env).length > 0;
      await until('a line', () => (isForked ? said.includes('onLeader') : file.last() === child.pid));
      assert.equal(file.begun().length, isForked ? 0 : 1);
      child.kill('SIGTERM');
      await once(child, 'exit');
      return said;
    };
    assert.equal(await run('leader/app.mjs', {}), '');
    for (const name of ['PREFORK_SLOT', 'PREFORK_SPARE'])
      assert.match(await run('leader/app.mjs', { [name]: '1' }), /PREFORK_NO_LEADER/);
  });
});
