/** P1: as the first process of a PID namespace, as in a container, without Docker. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { bin } from '../../../support/paths.ts';
import { childrenOf, isAlive } from '../../../support/proc.ts';
import { freePort, request } from '../../../support/request.ts';
import { until } from '../../../support/until.ts';

const init = ['tini', 'docker-init'].find((name) => spawnSync(name, ['--version']).error === undefined);
const isPossible = process.platform === 'linux' && spawnSync('unshare', ['-pfm', '--mount-proc', 'true']).status === 0;
const skip = isPossible ? false : 'needs root, and unshare of util-linux';

/** Each request leaves two processes behind whose parent is gone, and which end with the statuses that are prefork's own. */
const app = `
  const { spawn } = require('node:child_process');
  require('node:http').createServer((req, res) => {
    if (req.url !== '/orphan') return res.end(String(process.pid));
    spawn('sh', ['-c', '(exit 3) & (exit 4) & exit 0'], { stdio: 'ignore' }).once('close', () => res.end('left'));
  }).listen(0);`;

class Namespace {
  readonly port: number;
  readonly #child: ChildProcess;
  #log = '';
  #code: number | null | undefined;

  constructor(t: TestContext, port: number, before: readonly string[]) {
    this.port = port;
    const dir = mkdtempSync(join(tmpdir(), 'prefork-one-'));
    writeFileSync(join(dir, 'app.cjs'), app);
    const command = [...before, process.execPath, bin, 'app.cjs', '-w', '1', '-b', `127.0.0.1:${port}`];
    this.#child = spawn('unshare', ['--pid', '--fork', '--mount-proc', '--kill-child', ...command], { cwd: dir });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk) => (this.#log += String(chunk)));
    }
    this.#child.once('exit', (code) => {
      this.#code = code;
    });
    t.after(async () => {
      const first = this.#first();
      if (first !== undefined && isAlive(first)) process.kill(first, 'SIGKILL');
      await until('the namespace to end', () => this.#code !== undefined, { within: 10_000 });
      rmSync(dir, { recursive: true });
    });
  }

  #first(): number | undefined {
    return childrenOf(this.#child.pid ?? 0)[0]?.pid;
  }

  get log(): string {
    return this.#log;
  }

  signal(signal: NodeJS.Signals): void {
    const pid = this.#first();
    assert.ok(pid !== undefined, this.#log);
    process.kill(pid, signal);
  }

  zombies(): number {
    const all = (pid: number): number =>
      childrenOf(pid).reduce((sum, child) => sum + (child.state === 'Z' ? 1 : 0) + all(child.pid), 0);
    return all(this.#child.pid ?? 0);
  }

  async logged(pattern: RegExp): Promise<void> {
    await until(String(pattern), () => pattern.test(this.#log), {
      within: 30_000,
      abort: () => (this.#code === undefined ? null : this.#log),
    });
  }

  async exit(): Promise<number | null> {
    return await until('its exit', () => (this.#code === undefined ? false : { code: this.#code }), {
      within: 30_000,
    }).then(({ code }) => code);
  }

  async leaveOrphans(count: number): Promise<void> {
    for (let left = 0; left < count; left += 1) {
      assert.equal((await request({ port: this.port }, '/orphan')).status, 200);
    }
  }
}

async function start(t: TestContext, before: readonly string[] = []): Promise<Namespace> {
  const namespace = new Namespace(t, await freePort(), before);
  await namespace.logged(/ready: 1 workers serve/);
  return namespace;
}

describe('as PID 1', { skip }, () => {
  for (const [signal, code] of [
    ['SIGTERM', 0],
    ['SIGINT', 0],
    ['SIGQUIT', 0],
  ] as const) {
    it(`P1-01: ${signal} stops it, with status ${code}, after a reload by SIGHUP`, async (t) => {
      const namespace = await start(t);
      assert.equal((await request({ port: namespace.port }, '/')).status, 200);
      namespace.signal('SIGHUP');
      await namespace.logged(/reload 1 done/);
      namespace.signal(signal);
      assert.equal(await namespace.exit(), code);
      assert.match(namespace.log, /"msg":"stopped"/);
    });
  }

  it('P1-02: orphans of the app, whatever their exit status, end nothing; at the start it advises an init', async (t) => {
    const namespace = await start(t);
    assert.match(namespace.log, /"level":40[^\n]*prefork is PID 1[^\n]*--init/);
    await namespace.leaveOrphans(20);
    // This is what an init is for.
    assert.ok(namespace.zombies() > 0);
    namespace.signal('SIGHUP');
    await namespace.logged(/reload 1 done/);
    assert.equal((await request({ port: namespace.port }, '/')).status, 200);
    assert.doesNotMatch(namespace.log, /"level":(50|60)|exited unasked/);
    namespace.signal('SIGTERM');
    assert.equal(await namespace.exit(), 0);
  });

  it('P1-01: an upgrade would end the container: it is refused, and nothing changes', async (t) => {
    const namespace = await start(t);
    namespace.signal('SIGUSR2');
    await namespace.logged(/upgrade 1 failed, nothing was changed: the container/);
    assert.equal((await request({ port: namespace.port }, '/')).status, 200);
    namespace.signal('SIGTERM');
    assert.equal(await namespace.exit(), 0);
  });

  it('P1-02: under an init no zombie is left, and there is no advice', {
    skip: init ? false : 'no tini',
  }, async (t) => {
    const namespace = await start(t, [init ?? '', '--']);
    assert.doesNotMatch(namespace.log, /PID 1/);
    await namespace.leaveOrphans(100);
    await until('the zombies to be reaped', () => namespace.zombies() === 0, { within: 10_000 });
    namespace.signal('SIGTERM');
    assert.equal(await namespace.exit(), 0);
  });
});
