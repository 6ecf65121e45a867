/** In a terminal: what it tells of its window, and what somebody sends. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bin, fixture } from '../../../support/paths.ts';
import { childrenOf, isAlive } from '../../../support/proc.ts';
import { freePort, request } from '../../../support/request.ts';
import { stays, until } from '../../../support/until.ts';

const hasScript = spawnSync('script', ['--version']).status === 0 && spawnSync('stty', ['--version']).status === 0;
const skip = hasScript ? false : 'needs script(1) and stty(1)';

interface InTerminal {
  readonly master: number;
  readonly port: number;
  readonly log: () => string;
  readonly workers: () => number[];
  /** Changes the size of the window. */
  readonly resize: () => void;
}

/** Runs the service in a terminal of its own, its standard input not from there. */
async function start(t: TestContext, { background = false } = {}): Promise<InTerminal> {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-terminal-'));
  const port = await freePort();
  const [pidfile, log] = [join(dir, 'app.pid'), join(dir, 'log')];
  const command = `${process.execPath} ${bin} ${fixture('app.cjs')} -b 127.0.0.1:${port} -w 2 -p ${pidfile}`;
  // With job control a command in the background is a group of its own.
  const line = background
    ? `set -m; ${command} </dev/null >${log} 2>&1 & wait`
    : `${command} </dev/null >${log} 2>&1; true`;
  const terminal = spawn('script', ['-qec', `sh -c '${line}'`, join(dir, 'typescript')], { stdio: 'ignore', cwd: dir });
  const pid = () => (existsSync(pidfile) ? Number(readFileSync(pidfile, 'utf8')) : 0);
  t.after(async () => {
    const master = pid();
    if (master > 1 && isAlive(master)) process.kill(master, 'SIGTERM');
    await until('the end of the service', () => master === 0 || !isAlive(master), { within: 30_000 });
    terminal.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const master = await until('the service', () => (pid() > 1 ? pid() : null), { within: 30_000 });
  const workers = () =>
    childrenOf(master)
      .filter(({ title }) => title.startsWith('prefork: worker'))
      .map((child) => child.pid);
  await until('its workers', () => workers().length === 2 && /"ready: /.test(readFileSync(log, 'utf8')), {
    within: 30_000,
  });
  const device = terminalOf(master);
  let columns = 80;
  const resize = () => {
    columns += 7;
    assert.equal(spawnSync('stty', ['-F', device, 'cols', String(columns)]).status, 0);
  };
  return { master, port, log: () => readFileSync(log, 'utf8'), workers, resize };
}

/** By its number, see proc_pid_stat(5): the lower byte and the upper twelve bits are the minor one. */
function terminalOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const number = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4]);
  assert.ok(number > 0, 'it has a terminal');
  return `/dev/pts/${(number & 0xff) | ((number >> 12) & 0xfff00)}`;
}

test('SIG-08 a resized window is nothing to a service in the foreground, also if its stdin is no terminal', {
  skip,
}, async (t) => {
  const { port, workers, resize, log } = await start(t);
  const before = workers();
  for (let i = 0; i < 3; i += 1) resize();
  await stays('the same workers', () => before.every((pid) => workers().includes(pid)), 500);
  assert.equal((await request({ port }, '/pid')).status, 200);
  assert.doesNotMatch(log(), /retire/);
});

test('SIG-08 a WINCH that somebody sends to a service in the background of a terminal counts', { skip }, async (t) => {
  const { master, workers, resize, log } = await start(t, { background: true });
  const before = workers();
  resize();
  await stays('the same workers', () => before.every((pid) => workers().includes(pid)), 300);
  process.kill(master, 'SIGWINCH');
  await until('no workers', () => workers().length === 0, { within: 30_000 });
  assert.match(log(), /all workers retire/);
});
