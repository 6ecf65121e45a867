/** nodemon restarts what it runs by SIGUSR2, to every process below it, and waits until they are gone. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LogReader } from '../../../support/log-reader.ts';
import { bin, fixtureApp } from '../../../support/paths.ts';
import { childrenOf, isAlive, markedWith } from '../../../support/proc.ts';
import { freePort, request } from '../../../support/request.ts';
import { until } from '../../../support/until.ts';

/** As nodemon does: a shell runs the command; it is started anew when all of its processes are gone. */
const nodemon = `
const { spawn } = require('node:child_process');
const run = () => spawn('sh', ['-c', process.argv[2] + '; true'], { stdio: 'inherit' }).on('exit', run);
run();
`;

interface Run {
  readonly child: ChildProcess;
  readonly log: LogReader;
  readonly port: number;
  readonly marker: string;
}

/** Runs the command below a script of this name. */
async function below(t: TestContext, script: string): Promise<Run> {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-nodemon-'));
  const path = join(dir, script);
  writeFileSync(path, nodemon);
  const port = await freePort();
  const command = [process.execPath, bin, fixtureApp, '-w', '2', '-b', `127.0.0.1:${port}`, '--control-socket', 'none'];
  const marker = randomUUID();
  const env: NodeJS.ProcessEnv = { ...process.env, RUN_ID: marker };
  for (const name of ['NODE_TEST_CONTEXT', 'PORT', 'WEB_CONCURRENCY']) delete env[name];
  const child = spawn(process.execPath, [path, command.join(' ')], {
    cwd: dir,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(async () => {
    await until('the end of all processes', () => {
      const left = markedWith(`RUN_ID=${marker}`);
      for (const pid of left) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
      return left.length === 0;
    });
    rmSync(dir, { recursive: true, force: true });
  });
  const run: Run = { child, log: new LogReader(child.stderr), port, marker };
  await until('the service', () => run.log.lines.find(({ msg }) => msg.startsWith('ready: ')), { within: 15_000 });
  return run;
}

function masters({ log }: Run): number[] {
  return log.lines.filter(({ msg }) => msg.startsWith('prefork starts')).map(({ pid }) => Number(pid));
}

function saidOf({ log }: Run, what: RegExp): number {
  return log.lines.filter(({ msg }) => what.test(msg)).length;
}

describe('below nodemon', () => {
  it('SIGUSR2 stops the master, and the next one is a child of nodemon again', async (t) => {
    const run = await below(t, 'nodemon.js');
    const [first = 0] = masters(run);
    assert.equal(saidOf(run, /^nodemon has started this master/), 1);
    const workers = childrenOf(first).map(({ pid }) => pid);
    for (const pid of [first, ...workers, first]) if (isAlive(pid)) process.kill(pid, 'SIGUSR2');
    await until('the next service', () => saidOf(run, /^ready: /) === 2, { within: 20_000 });
    const [, second = 0] = masters(run);
    assert.equal(saidOf(run, /^stopped/), 1);
    assert.equal(saidOf(run, /upgrade/), 0);
    assert.equal(isAlive(first), false);
    assert.deepEqual(masters(run), [first, second]);
    assert.equal((await request({ port: run.port }, '/healthz')).status, 200);
    assert.equal(saidOf(run, /cannot bind/), 0);
  });

  it('the master stops when nodemon is gone', async (t) => {
    const run = await below(t, 'nodemon.js');
    const [first = 0] = masters(run);
    run.child.kill('SIGKILL');
    await until('the end of the master', () => !isAlive(first), { within: 20_000 });
    assert.equal(saidOf(run, /^stopped/), 1);
  });

  it('below anything else SIGUSR2 is an upgrade', async (t) => {
    const run = await below(t, 'nodemon-like.js');
    const [first = 0] = masters(run);
    assert.equal(saidOf(run, /^nodemon/), 0);
    process.kill(first, 'SIGUSR2');
    await until('the new master', () => masters(run).length === 2, { within: 20_000 });
    await until('the end of the old one', () => !isAlive(first), { within: 20_000 });
    assert.equal((await request({ port: run.port }, '/healthz')).status, 200);
  });
});
