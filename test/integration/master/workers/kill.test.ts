/** Processes die without a word. Clients of the dead process may notice; nobody else, and nobody waits for ever. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { assertResetByDead } from '../../../support/faults.ts';
import { assertClean, assertFree, assertLog, stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { fourKinds, table, total } from '../../../support/load/mix.ts';
import { fdCount, isAlive, listeningOn } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const supervisor = await startSupervisor(t, { workers: 3, ...options });
  return await supervisor.waitReady();
}

function killHard(pid: number): void {
  process.kill(pid, 'SIGKILL');
}

/** Waits until so many workers are ready again, none of them one of these. */
async function replaced(supervisor: Supervisor, dead: readonly number[], count: number): Promise<void> {
  await until('replacements', () => {
    const ready = supervisor.log.filter((line) => /^worker ready /.test(line.msg)).map((line) => Number(line.pid));
    const alive = supervisor.workers().filter((pid) => ready.includes(pid) && !dead.includes(pid));
    return alive.length === count;
  });
}

describe('workers are killed', () => {
  it('KILL-01: one after the other under load: only requests inside the killed worker fail', async (t) => {
    // Who answered last is who has a connection.
    const supervisor = await start(t, { args: ['--no-balance'] });
    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    const killed: number[] = [];
    for (let round = 0; round < 6; round++) {
      await load.heardFrom(supervisor.workers());
      const victim = supervisor.workers()[round % 3];
      assert.ok(victim !== undefined);
      killed.push(victim);
      const since = supervisor.log.length;
      killHard(victim);
      await replaced(supervisor, killed, 3);
      const exited = await supervisor.waitForLog(/^worker exited unasked/, { since });
      const spawned = await supervisor.waitForLog(/^worker spawned/, { since });
      // A worker that had been well is replaced without a penalty; how long a boot takes is the machine's affair.
      assert.ok(
        spawned.time - exited.time < stretched(500),
        `the replacement came ${spawned.time - exited.time} ms late`,
      );
    }
    await load.further(200);
    const report = await load.stop();
    assertResetByDead(report, new Set(killed));
    // A client has one request under way at a time.
    const clients = fourKinds.reduce((sum, group) => sum + group.clients, 0);
    assert.ok(total(report).failed <= clients * killed.length, table(report));
    t.diagnostic(`\n${table(report)}`);
    await stopClean(supervisor);
  });

  it('KILL-02: all at once, three times: nobody is refused, nobody hangs', async (t) => {
    const supervisor = await start(t);
    const load = startLoad(t, { target: supervisor.target, groups: fourKinds });
    await load.further(200);
    for (let round = 0; round < 3; round++) {
      const dead = supervisor.workers();
      const since = performance.now();
      for (const pid of dead) killHard(pid);
      await requestJson(supervisor.target, '/pid');
      t.diagnostic(`first answer ${Math.round(performance.now() - since)} ms after the kill`);
      await replaced(supervisor, dead, 3);
      await load.further(200);
    }
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failedAs('refused'), 0, table(report));
    assert.equal(all.failedAs('client-timeout'), 0, table(report));
    assert.equal(all.failed, all.resets, table(report));
    t.diagnostic(`\n${table(report)}`);
    await stopClean(supervisor);
  });

  it('KILL-03: stopped, connected to, then killed: every client gets an answer or a reset', async (t) => {
    const supervisor = await start(t);
    const fds = fdCount(supervisor.pid);
    const [victim] = supervisor.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGSTOP');
    const sockets = await Promise.all(Array.from({ length: 20 }, () => RawSocket.connected(supervisor.target)));
    for (const socket of sockets) socket.write(head('/pid', { Connection: 'close' }));
    await pause(200);
    killHard(victim);
    const endings = await Promise.all(sockets.map((socket) => socket.waitEnd(1_500)));
    assert.ok(!endings.includes('open'), `somebody hangs: ${endings.join(' ')}`);
    assert.ok(endings.includes('fin'));
    await replaced(supervisor, [victim], 3);
    await until('the master to let go of the dead worker', () => fdCount(supervisor.pid) <= fds);
    await stopClean(supervisor);
  });

  it('KILL-06: a process the app left behind neither holds the port nor keeps the master', async (t) => {
    const supervisor = await start(t);
    const { pid, orphan } = await requestJson(supervisor.target, '/orphan');
    killHard(Number(pid));
    await replaced(supervisor, [Number(pid)], 3);
    const exit = await supervisor.stop();
    assert.ok(exit.ms < stretched(3_000), `the stop took ${exit.ms} ms`);
    assert.deepEqual(listeningOn(supervisor.port), []);
    // It is the app's own, detached on purpose.
    assert.ok(isAlive(Number(orphan)));
    killHard(Number(orphan));
    await assertClean(supervisor);
  });

  it('KILL-07: a worker ended by SIGKILL is logged as an error that says whether it was for its memory', async (t) => {
    const supervisor = await start(t);
    const [victim] = supervisor.workers();
    assert.ok(victim !== undefined);
    killHard(victim);
    const line = await supervisor.waitForLog((each) => each.signal === 'SIGKILL');
    assert.equal(line.level, 50);
    assert.equal(line.pid, victim);
    assert.match(line.msg, /out of memory/);
    await stopClean(supervisor);
  });

  it('KILL-07: a worker that runs out of heap is replaced, and its last words are kept', async (t) => {
    const supervisor = await start(t, { env: { NODE_OPTIONS: '--max-old-space-size=40' } });
    const before = supervisor.workers();
    const outcome = await request(supervisor.target, '/leak-heap', { timeout: 20_000 }).catch(() => 'cut');
    assert.equal(outcome, 'cut');
    await supervisor.waitForLog(/^worker exited unasked \(SIG/);
    await replaced(
      supervisor,
      before.filter((pid) => !isAlive(pid)),
      3,
    );
    assert.match(supervisor.stderr.text, /heap out of memory/i);
    await supervisor.stop();
    await assertClean(supervisor, { allow: /./ });
  });
});

describe('the master is killed', () => {
  /** Everything must be gone, and a new master must start at once over what was left. */
  async function assertRecovered(t: TestContext, supervisor: Supervisor, within: number): Promise<void> {
    const since = performance.now();
    await supervisor.waitExit();
    await until('every process to be gone', () => supervisor.processesLeft().length === 0, { within });
    t.diagnostic(`all gone after ${Math.round(performance.now() - since)} ms`);
    await assertFree(supervisor.port);
  }

  it('KILL-04: idle', async (t) => {
    const supervisor = await start(t);
    killHard(supervisor.pid);
    await assertRecovered(t, supervisor, 2_000);
    await assertClean(supervisor, { code: null });
  });

  it('KILL-04: with a request in flight, which is still answered', async (t) => {
    const supervisor = await start(t);
    const answer = request(supervisor.target, '/slow?ms=1000');
    await supervisor.arrived();
    killHard(supervisor.pid);
    assert.equal((await answer).status, 200);
    await assertRecovered(t, supervisor, 3_000);
    await assertClean(supervisor, { code: null });
  });

  it('KILL-04: with a worker in a loop', async (t) => {
    const supervisor = await start(t);
    const answer = request(supervisor.target, '/spin-forever', { timeout: 20_000 }).catch(() => 'cut');
    await supervisor.arrived();
    killHard(supervisor.pid);
    await assertRecovered(t, supervisor, 5_000);
    assert.equal(await answer, 'cut');
    await assertClean(supervisor, { code: null });
  });

  it('KILL-04: with a worker that is stopped', async (t) => {
    const supervisor = await start(t);
    const [victim] = supervisor.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGSTOP');
    killHard(supervisor.pid);
    await assertRecovered(t, supervisor, 5_000);
    await assertClean(supervisor, { code: null });
  });

  it('KILL-04: the next start takes over the stale pidfile and unix socket at once', async (t) => {
    const first = await start(t, { unix: true, args: ['-p', 'app.pid'] });
    const pidfile = join(first.dir, 'app.pid');
    await until('the pidfile', () => existsSync(pidfile));
    assert.equal(readFileSync(pidfile, 'utf8'), `${first.pid}\n`);
    killHard(first.pid);
    await first.waitExit();
    assert.ok(existsSync(join(first.dir, 'app.sock')) && existsSync(pidfile), 'a killed master cannot tidy up');

    const bind = [`unix:${join(first.dir, 'app.sock')}`];
    const second = await startSupervisor(t, { workers: 2, bind, args: ['-p', pidfile] });
    await second.waitReady();
    const answer = await requestJson({ socketPath: join(first.dir, 'app.sock') }, '/pid');
    assert.ok(second.workers().includes(Number(answer.pid)));
    assert.equal(readFileSync(pidfile, 'utf8'), `${second.pid}\n`);
    await until('the first to be gone', () => first.processesLeft().length === 0);
    // What ended the first one's workers must not have taken the second one's files along.
    await requestJson({ socketPath: join(first.dir, 'app.sock') }, '/pid');
    await stopClean(second, { gone: [pidfile, join(first.dir, 'app.sock')] });
  });

  for (const [what, bug] of [
    ['an exception', 'throw new Error("a bug in the master")'],
    ['an unhandled rejection', 'Promise.reject(new Error("a bug in the master"))'],
  ] as const) {
    it(`KILL-05: ${what} in the master itself ends everything, and says why`, async (t) => {
      const supervisor = await startSupervisor(t, { workers: 2, nodeArgs: ['--import', bugIn(bug)] });
      await supervisor.waitReady();
      writeFileSync(supervisor.levers.gate, '');
      const exit = await supervisor.waitExit();
      assert.notEqual(exit.code, 0);
      await until('the workers to go', () => supervisor.processesLeft().length === 0, { within: 5_000 });
      assert.match(supervisor.stderr.text, /a bug in the master/);
      await assertFree(supervisor.port);
      assertLog(supervisor, /./);
    });
  }
});

/** A module, as a data URL, that does this in the master when its gate is opened, and nothing in its children. */
function bugIn(code: string): string {
  const waiting = `const timer = setInterval(() => {
    if (!existsSync(process.env.GATE_FILE)) return;
    clearInterval(timer);
    ${code};
  }, 20)`;
  const module = `import { existsSync } from 'node:fs'; if (process.argv[1]?.endsWith('prefork.js')) { ${waiting} }`;
  return `data:text/javascript,${encodeURIComponent(module)}`;
}
