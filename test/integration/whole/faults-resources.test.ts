/** The machine has no more: descriptors, room for the log, readers of it. */
// Runs alone: it takes memory, disk and descriptors away from the machine.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { app, replaced, start } from '../../support/faults.ts';
import { stopClean } from '../../support/invariants.ts';
import { fdCount, residentSize } from '../../support/proc.ts';
import { head, RawSocket } from '../../support/raw.ts';
import { request, requestJson } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

describe('RES: the machine has no more', { concurrency: 3 }, () => {
  it('RES-01: no file descriptors for the master: no slot is lost, and all is well once there are some', async (t) => {
    const s = await start(t);
    const limit = (files: string): void => {
      execFileSync('prlimit', ['--pid', String(s.pid), `--nofile=${files}`]);
    };
    const before = s.workers();
    const most = String(fdCount(s.pid) - 6);
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${s.pid}/limits`, 'utf8'))?.[1];
    limit(`${most}:`);
    const since = s.log.length;
    for (const pid of before.slice(0, 2)) process.kill(pid, 'SIGKILL');
    const line = await s.waitForLog(/^worker could not be spawned/, { since });
    assert.match(line.msg, /EMFILE|too many open files/i);
    // The third serves on, and a reload is refused rather than half done.
    assert.equal((await requestJson(s.target, '/pid')).pid, before[2]);
    assert.doesNotMatch((await s.reload()).msg, /done/);
    assert.equal((await requestJson(s.target, '/pid')).pid, before[2]);
    assert.equal(s.exit, null);
    limit(`${soft}:`);
    await replaced(s, before.slice(0, 2));
    assert.match((await s.reload()).msg, /done/);
    await stopClean(s);
  });

  it('RES-03: the node binary is away for a while: the others serve on, the slot is filled when it is back', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'prefork-node-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const node = join(dir, 'node');
    copyFileSync(process.execPath, node);
    const s = await start(t, { node });
    const before = s.workers();
    renameSync(node, `${node}.away`);
    const since = s.log.length;
    const [victim] = before;
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGKILL');
    const line = await s.waitForLog(/^worker could not be spawned/, { since });
    assert.match(line.msg, /ENOENT/);
    assert.doesNotMatch((await s.reload()).msg, /done/);
    assert.ok(before.slice(1).includes(Number((await requestJson(s.target, '/pid')).pid)));
    renameSync(`${node}.away`, node);
    await replaced(s, [victim]);
    assert.match((await s.reload()).msg, /done/);
    await stopClean(s);
  });

  it('RES-02: no file descriptors for the workers, 200 clients: none hangs, no worker dies, and it passes', async (t) => {
    const s = await start(t, { workers: 2 });
    const before = s.workers();
    for (const pid of before) execFileSync('prlimit', ['--pid', String(pid), '--nofile=64:']);
    const sockets = Array.from({ length: 200 }, () =>
      RawSocket.open(s.target).write(head('/slow?ms=2500', { Connection: 'close' })),
    );
    const endings = await Promise.all(sockets.map((socket) => socket.waitEnd(15_000)));
    const answered = sockets.filter(({ responses }) => responses === 1).length;
    const count = (ending: string): number => endings.filter((each) => each === ending).length;
    t.diagnostic(`${answered} answered; ended ${count('fin')} in order, ${count('reset')} by reset`);
    assert.equal(count('open'), 0, 'somebody hangs');
    assert.equal(count('refused'), 0);
    // Node accepts and closes what it has no descriptor for: how many are served in the meantime is its business.
    assert.ok(answered > 0, 'nobody was answered');
    await s.waitForLog(/^worker runs out of file descriptors, with \d+ connections/);
    for (let look = 0; look < 10; look++) assert.equal((await request(s.target, '/pid')).status, 200);
    assert.deepEqual(s.workers(), before);
    await stopClean(s);
  });

  /** Starts a supervisor through a shell that arranges its output. */
  function through(t: TestContext, redirect: string, options: SupervisorOptions = {}): Promise<Supervisor> {
    return startSupervisor(t, {
      workers: 2,
      node: '/bin/sh',
      nodeArgs: ['-c', `exec '${process.execPath}' "$@" ${redirect}`, 'sh'],
      ...options,
    });
  }

  /** All that an operator does, where the log cannot be read. */
  async function assertWorks(s: Supervisor): Promise<void> {
    await s.waitServing('/pid');
    const before = await s.waitWorkers(2);
    for (let look = 0; look < 20; look++) assert.equal((await request(s.target, '/pid')).status, 200);
    s.signal('SIGHUP');
    await until('new workers', () => s.workers().length === 2 && s.workers().every((pid) => !before.includes(pid)), {
      within: 20_000,
    });
    const [victim] = s.workers();
    assert.ok(victim !== undefined);
    process.kill(victim, 'SIGKILL');
    await until('the replacement', () => s.workers().length === 2 && !s.workers().includes(victim));
    await s.waitServing('/pid');
  }

  it('RES-04: stderr and stdout on a full disk: the service lives, reloads and stops', async (t) => {
    if (!existsSync('/dev/full')) return t.skip('there is no /dev/full');
    const s = await through(t, '>/dev/full 2>/dev/full', { app });
    await assertWorks(s);
    await stopClean(s);
  });

  it('RES-05: stderr and stdout closed from the start: the service lives, reloads and stops', async (t) => {
    const s = await through(t, '>&- 2>&-');
    await assertWorks(s);
    await stopClean(s);
  });

  it('RES-05: whoever read the log is gone: the service lives, reloads and stops', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'prefork-fifo-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const fifo = join(dir, 'log');
    execFileSync('mkfifo', [fifo]);
    const reader = spawn('head', ['-n', '3', fifo], { stdio: 'ignore' });
    t.after(() => reader.kill('SIGKILL'));
    const s = await through(t, `>'${fifo}' 2>&1`);
    await until('the reader to have had enough', () => reader.exitCode !== null);
    await assertWorks(s);
    await stopClean(s);
  });

  it('RES-06: nobody reads the log while a worker writes without end: the others answer, and it stops', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'prefork-fifo-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const fifo = join(dir, 'log');
    execFileSync('mkfifo', [fifo]);
    // Open for reading, and never read.
    const descriptor = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    t.after(() => closeSync(descriptor));
    const limit = stretched(3_000);
    const s = await through(t, `2>'${fifo}'`, { app, args: ['--timeout', `${limit}ms`] });
    await s.waitServing('/pid');
    await s.waitWorkers(2);
    const spam = RawSocket.open(s.target).write(head('/spam?n=1000000'));
    const until3 = performance.now() + 2 * limit;
    let worst = 0;
    while (performance.now() < until3) worst = Math.max(worst, (await request(s.target, '/pid')).ms);
    t.diagnostic(
      `worst answer ${Math.round(worst)} ms; the writer's client: ${spam.ending} after ${Math.round(spam.ms)} ms`,
    );
    assert.ok(worst < stretched(5_000), `somebody waited ${worst} ms`);
    assert.ok(residentSize(s.pid) < 250e6, `the master has ${residentSize(s.pid)} bytes`);
    spam.close();
    await stopClean(s);
  });
});
