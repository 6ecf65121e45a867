/** What the log says of workers that are blocked, debugged, or never ready; and what the master does not do for it. */
// Runs alone: its workers spin.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { stopClean } from '../../../support/invariants.ts';
import type { LogLine } from '../../../support/log-reader.ts';
import { fixture } from '../../../support/paths.ts';
import { isAlive } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

const app = fixture('stuck/app.cjs');
const timeout = `${stretched(4_000)}ms`;
const isRoot = process.geteuid?.() === 0;

async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, { app, workers: 1, args: ['--timeout', timeout], ...options });
  return await s.waitReady();
}

const isFatal = ({ msg, level }: LogLine): boolean => /event loop is blocked/.test(msg) && level === 50;

/** Blocks a worker, and gives the line before its end. */
async function fatalLine(s: Supervisor, path: string): Promise<LogLine> {
  const socket = RawSocket.open(s.target).write(head(path));
  const line = await s.waitForLog(isFatal, { within: stretched(20_000) });
  assert.notEqual(await socket.waitEnd(), 'open');
  return line;
}

/** A folder that every user can read. */
function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-evidence-'));
  t.after(() => rmSync(dir, { recursive: true }));
  chmodSync(dir, 0o755);
  return dir;
}

describe('stuck workers, and the boundary to them', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  it('SEC-09: a worker that plays an inspector is not connected to, and is explained all the same', async (t) => {
    const notes = join(folder(t), 'notes');
    const s = await start(t, { env: { NOTES: notes } });
    const { msg } = await fatalLine(s, '/fake');
    assert.match(msg, /at spin \(.*stuck\/app\.cjs:\d+:\d+\)/);
    assert.equal(existsSync(notes), false, 'somebody came');
    await s.waitWorkers(1);
    await stopClean(s);
  });

  it('SEC-09: a file that only root can read is no source map', { skip: isRoot ? false : 'needs root' }, async (t) => {
    const dir = folder(t);
    const map = join(dir, 'secret.map');
    const script = join(dir, 'script.cjs');
    writeFileSync(map, JSON.stringify({ version: 3, sources: ['SECRET'], names: [], mappings: 'AAAA' }), {
      mode: 0o600,
    });
    writeFileSync(script, `for (;;);\n//# sourceMappingURL=${map}\n`);
    // Its own folder is closed to others, and Node looks for a package.json where it starts.
    const s = await start(t, { args: ['--timeout', timeout, '-u', 'nobody'], cwd: dir, env: { SCRIPT: script } });
    const line = await fatalLine(s, '/mapped');
    assert.match(line.msg, /script\.cjs:1:/);
    assert.doesNotMatch(JSON.stringify(s.log), /SECRET/);
    await stopClean(s);
  });

  it('HB-09: captures: false asks no worker', async (t) => {
    const s = await start(t, { config: { timeout, captures: false }, args: [] });
    const { msg, stack } = await fatalLine(s, '/spin');
    assert.match(msg, /where is not known: captures is off/);
    assert.deepEqual(stack, []);
    await s.waitWorkers(1);
    await stopClean(s);
  });

  it('HB-09: an app that listens to SIGUSR1 gets none of prefork’s', async (t) => {
    const block = stretched(3_000);
    const s = await start(t, {
      args: ['--timeout', '0'],
      config: { captureOutput: true },
      env: { BLOCK_MS: String(block) },
    });
    await request(s.target, '/deaf', { timeout: 3 * block });
    const { msg } = await s.waitForLog(/event loop is blocked/);
    assert.match(msg, /the app listens to SIGUSR1/);
    await request(s.target, '/');
    assert.ok(!s.log.some((line) => /the app got SIGUSR1/.test(line.msg)), s.describe());
    await stopClean(s);
  });

  it('HB-09: what Node’s own code blocks is told by the app’s line', async (t) => {
    const s = await start(t);
    const { msg, stack } = await fatalLine(s, '/sort');
    assert.match(msg, /blocked for [\d.]+ s at spin \(.*app\.cjs/);
    assert.ok(
      Array.isArray(stack) && stack.some((frame) => /^at sort \(<anonymous>\)/.test(String(frame))),
      String(stack),
    );
    await stopClean(s);
  });
});

describe('boots that hang', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  const hang = async (t: TestContext, env: Readonly<Record<string, string>>): Promise<string> => {
    const args = ['--boot-timeout', `${stretched(2_000)}ms`];
    const s = await startSupervisor(t, { app, workers: 1, args, env: { WHEN: 'boot', ...env } });
    const { msg } = await s.waitForLog(/^worker does not become ready/, { within: stretched(20_000) });
    await s.waitForLog(/^worker gets SIGABRT: boot timeout/);
    assert.equal((await s.waitExit()).code, 3);
    return msg;
  };

  it('HB-11: one that blocks is told with its place', async (t) => {
    assert.match(await hang(t, { WORK: 'spin' }), /its event loop is blocked at spin \(.*stuck\/app\.cjs:\d+:\d+\)$/);
  });

  it('HB-11: one that waits is told with what it waits for', async (t) => {
    assert.match(
      await hang(t, { WORK: 'wait', LISTEN: 'no' }),
      /its event loop turns, but it has not come to listen; it waits for .*Timeout/,
    );
  });
});

/** Pauses the main thread behind an inspector, as a breakpoint does. */
async function pauseAt(t: TestContext, port: number): Promise<() => void> {
  const list = await request({ port }, '/json/list');
  const [target] = JSON.parse(list.body) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  t.after(() => socket.terminate());
  let isPaused = false;
  socket.on('message', (data) => {
    if (String(data).includes('Debugger.paused')) isPaused = true;
  });
  await new Promise((resolve) => socket.once('open', resolve));
  let id = 0;
  const send = (method: string): void => {
    id += 1;
    socket.send(JSON.stringify({ id, method }));
  };
  send('Debugger.enable');
  send('Debugger.pause');
  await until('the pause', () => isPaused);
  return () => send('Debugger.resume');
}

describe('workers that are debugged', () => {
  for (const how of ['nodeArgs', 'NODE_OPTIONS'] as const) {
    it(`HB-10: --inspect by ${how}: a port each, and a breakpoint is no block`, async (t) => {
      const port = await freePort();
      const option = `--inspect=127.0.0.1:${port}`;
      const limit = stretched(2_000);
      const asked = how === 'nodeArgs' ? { nodeArgs: [option] } : { env: { NODE_OPTIONS: option } };
      const config = { timeout: `${limit}ms`, blockedWarning: '500ms', ...asked };
      const s = await startSupervisor(t, { app, config, args: [], workers: 2 });
      await s.waitReady();
      await s.waitForLog(/the workers are debugged \(--inspect\)/);
      const pids = s.workers();
      const resume = await pauseAt(t, port);
      await (await pauseAt(t, port + 1))();
      await pause(1.5 * limit);
      assert.deepEqual(s.workers(), pids, s.describe());
      assert.ok(!s.log.some(({ msg }) => /event loop is blocked|^worker gets/.test(msg)), s.describe());
      resume();
      assert.equal((await request(s.target, '/')).status, 200);
      assert.match((await s.reload()).msg, /done/);
      // Node waits for a debugger at the exit of a process, and one is still attached.
      await until('the old workers to leave', () => pids.every((pid) => !isAlive(pid)), { within: stretched(10_000) });
      await stopClean(s, { allow: /Debugger|debugger|For help/ });
    });
  }
});
