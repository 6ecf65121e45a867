/** `prefork top` on a real terminal: what it shows, what its keys do, and that the terminal is as before afterwards. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from '../support/command.ts';
import { startLoad } from '../support/load/child.ts';
import { startService } from '../support/masters.ts';
import { bin } from '../support/paths.ts';
import { isAlive } from '../support/proc.ts';
import { stretched } from '../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../support/supervisor.ts';
import { prompt, startTmux, type Tmux, withoutTmux } from '../support/tmux.ts';
import { until } from '../support/until.ts';

const skip = withoutTmux();
const top = `${process.execPath} ${bin} top -p app.pid`;

async function start(t: TestContext, workers = 2): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers, args: ['-p', 'app.pid'] });
  return await s.waitReady(30_000);
}

/** Opens it, with something on the screen before. */
async function open(t: TestContext, s: Supervisor, env: Readonly<Record<string, string>> = {}): Promise<Tmux> {
  const tmux = await startTmux(t, s.dir, { env });
  await tmux.type("printf 'was %s\\n' there; stty -a > modes-before");
  await tmux.sees(/^was there$/m);
  await tmux.type(top);
  await tmux.sees(/^[+]slot +pid/m);
  return tmux;
}

/** The prompt is back, and what was there; the terminal's modes are as they were; echo works. */
async function assertRestored(tmux: Tmux): Promise<void> {
  await until('the terminal as it was', async () => {
    const { alternate, cursor, wrap } = await tmux.modes();
    return !alternate && cursor && wrap;
  });
  await tmux.sees(new RegExp(`was there[\\s\\S]*${prompt} *\\n*$`));
  await tmux.type('stty -a > modes-after; cmp modes-before modes-after && echo the same');
  await tmux.sees(/^the same$/m);
  assert.match(await tmux.screen(), /cmp modes-before/);
}

/** Column of a table. */
async function column(tmux: Tmux, name: string): Promise<string[]> {
  const lines = await tmux.lines();
  const title = lines.findIndex((line) => /\bslot\b.*\bpid\b/.test(line));
  const end = (lines[title] ?? '').search(new RegExp(`${name}\\b`)) + name.length;
  const rows = lines.slice(title + 1).filter((line) => /^ +\d+ +[-\d]+ +\d+ /.test(line));
  return rows.map((line) => line.slice(0, end).trim().split(/\s+/).at(-1) ?? '');
}

describe('prefork top', { skip, timeout: stretched(120_000) }, () => {
  it('shows the service and its workers, live', async (t) => {
    const s = await start(t);
    const tmux = await open(t, s);
    const [first = '', second = ''] = await tmux.lines();
    assert.match(
      first,
      /^app: running, healthy {2}2\/2 workers ready {2}generation 1 \(\d+\.\d+\.\d+(, commit [\da-f]{7,})?\) {2}[\d.]+ requests\/s$/,
    );
    assert.match(second, new RegExp(`^prefork \\d\\S+  Node v\\d\\S+  pid ${s.pid}  up `));
    const pids = await column(tmux, 'pid');
    assert.deepEqual(pids.map(Number).sort(), s.workers().sort());
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'idle', clients: 3 }] });
    await load.answered(50);
    await tmux.sees(/ready {2}generation 1 \(\d+\.\d+\.\d+(, commit [\da-f]{7,})?\) {2}[1-9]\d*(\.\d)? requests\/s/);
    await until('latencies', async () => (await column(tmux, 'p99')).some((text) => /^[\d.]+m?s$/.test(text)), {
      within: 20_000,
    });
    const [victim = 0] = s.workers();
    process.kill(victim, 'SIGKILL');
    await tmux.sees(/\d\d:\d\d:\d\d .*exited unasked/);
    await until('the restart', async () => (await column(tmux, 'restarts')).includes('1'), { within: 20_000 });
  });

  it('keys sort, scale, recycle, reload, and say what they did or why not', async (t) => {
    const s = await start(t);
    const tmux = await open(t, s);
    await tmux.press('Right');
    await tmux.sees(/ [+]pid .*[\s\S]*sorted by pid, smallest first/);
    await tmux.press('S');
    await tmux.sees(/ -pid .*[\s\S]*sorted by pid, largest first/);
    const pids = (await column(tmux, 'pid')).map(Number);
    assert.deepEqual(
      pids,
      pids.toSorted((a, b) => b - a),
    );
    await tmux.press('Left');
    await tmux.press('+');
    await tmux.sees(/3\/3 workers ready[\s\S]*\n3 workers from now on/);
    await tmux.press('-', '-');
    await tmux.sees(/1\/1 workers ready[\s\S]*\n1 workers from now on/);
    await tmux.press('-');
    await tmux.sees(/\nexpected from 1 to \d+ workers \(maxWorkers\), got 0/);
    await tmux.press('+');
    await tmux.sees(/2\/2 workers ready/);
    const before = await until('two workers', async () => {
      const now = await column(tmux, 'pid');
      return now.length === 2 && !now.includes('-') ? now : null;
    });
    await tmux.press('j', 'c');
    await tmux.sees(/the worker of slot \d is being replaced/);
    await until(
      'one other worker',
      async () => {
        const now = await column(tmux, 'pid');
        return now.length === 2 && now[0] === before[0] && now[1] !== before[1];
      },
      { within: 20_000 },
    );
    await tmux.press('r');
    await tmux.sees(/last reload 1 completed in [\s\S]*\nreload 1 completed, generation 2 serves/);
    await tmux.press('?');
    await tmux.sees(/q, Ctrl-C +quit/);
    await tmux.press('r');
    await tmux.sees(/slot +pid/);
    assert.doesNotMatch(await tmux.screen(), /reload 2/);
  });

  it('follows the size of the terminal, and scrolls', async (t) => {
    const s = await start(t, 5);
    const tmux = await open(t, s, { NO_COLOR: '1' });
    await tmux.sees(/restarts\n/);
    assert.doesNotMatch(await tmux.run('capture-pane', '-p', '-e'), /\[(?:\d;)*3[0-7]m/);
    await tmux.resize(60, 8);
    await tmux.sees(/ 1-3 of 5\n/);
    assert.doesNotMatch(await tmux.screen(), /restarts/);
    await tmux.press('NPage');
    await tmux.sees(/ 2-4 of 5\n/);
    await tmux.press('End');
    await tmux.sees(/ 3-5 of 5\n/);
    await tmux.resize(120, 30);
    const text = await tmux.sees(/restarts\n/);
    assert.doesNotMatch(text, /of 5/);
    assert.equal((await column(tmux, 'pid')).length, 5);
  });

  it('gives the terminal back: q, Ctrl-C, signals, Ctrl-Z, a bug', async (t) => {
    const s = await start(t);
    // A bug of ours, for whoever sends USR2.
    const bug = 'data:text/javascript,process.on(`SIGUSR2`,()=>{throw(new(Error)(`a_bug`))})';
    const tmux = await open(t, s, { NODE_OPTIONS: `--import=${bug}` });
    const again = async (): Promise<void> => {
      await tmux.type("clear; printf 'was %s\\n' there");
      await tmux.sees(/^was there$/m);
      await tmux.type(`${top}; echo status $?`);
      await tmux.sees(/^[+]slot +pid/m);
      assert.deepEqual(await tmux.modes(), { alternate: true, cursor: false, wrap: false });
    };
    await tmux.press('C-z');
    await assertRestored(tmux);
    await tmux.type('fg');
    await tmux.sees(/^[+]slot +pid/m);
    await tmux.press('q');
    await assertRestored(tmux);
    for (const [end, status] of [
      ['C-c', 0],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
      ['SIGUSR2', 1],
    ] as const) {
      await again();
      if (end === 'C-c') await tmux.press(end);
      else process.kill(await tmux.running(), end);
      await tmux.sees(new RegExp(`^status ${status}$`, 'm'));
      if (end === 'SIGUSR2') assert.match(await tmux.screen(), /Error: a_bug/);
      await assertRestored(tmux);
    }
  });

  it('ends when its terminal is gone', async (t) => {
    const s = await start(t);
    const tmux = await open(t, s);
    const pid = await tmux.running();
    await tmux.kill();
    await until('the end of top', () => !isAlive(pid));
  });

  it('a supervisor that is stopped: keys go on, q quits at once, and what was asked for does not hold it up', async (t) => {
    const s = await start(t);
    const tmux = await open(t, s);
    process.kill(s.pid, 'SIGSTOP');
    await tmux.press('+', '?');
    await tmux.sees(/q, Ctrl-C +quit/);
    await tmux.press('q');
    await tmux.sees(new RegExp(`was there[\\s\\S]*${prompt} *\\n*$`), 6_000);
    await assertRestored(tmux);
    process.kill(s.pid, 'SIGCONT');
  });

  it('a supervisor that is killed: the terminal is back, one line says so', async (t) => {
    const s = await start(t);
    const tmux = await open(t, s);
    process.kill(s.pid, 'SIGKILL');
    await tmux.sees(/^prefork: app is gone: no prefork listens on .*app\.ctl$/m);
    await assertRestored(tmux);
  });

  it('goes on with the master that takes over', async (t) => {
    const { s, masters } = await startService(t);
    const tmux = await open(t, s);
    const old = masters.current();
    masters.signal('SIGUSR2');
    await masters.replaced(old);
    const now = masters.current();
    assert.notEqual(now, old);
    await tmux.sees(new RegExp(`pid ${now}  up [\\s\\S]*another master serves now: pid ${now}`));
    await tmux.press('+');
    await tmux.sees(/3\/3 workers ready/);
    await masters.stop();
    await tmux.sees(/^prefork: app (has stopped|is gone: .*)$/m);
    await assertRestored(tmux);
  });

  it('finds the new master where the socket has its pid in its name', async (t) => {
    const runtime = mkdtempSync(join(tmpdir(), 'prefork-run-'));
    t.after(() => rmSync(runtime, { recursive: true, force: true }));
    const env = { XDG_RUNTIME_DIR: runtime };
    const s = await startSupervisor(t, { workers: 1, args: ['--name', 'shop'], env });
    await s.waitReady(30_000);
    const tmux = await startTmux(t, s.dir, { env });
    await tmux.type(`${process.execPath} ${bin} top --name shop`);
    await tmux.sees(new RegExp(`pid ${s.pid}  up `));
    s.signal('SIGUSR2');
    const text = await tmux.sees(/\nanother master serves now: pid \d+/, 40_000);
    const [, pid] = /master serves now: pid (\d+)/.exec(text) ?? [];
    assert.notEqual(Number(pid), s.pid);
    await tmux.press('q');
    await tmux.sees(new RegExp(`${prompt} *\\n*$`));
  });

  it('without a terminal it says so; --once is plain text; no service is one line', async (t) => {
    const s = await start(t);
    const run = (args: readonly string[]) => runCommand(['top', ...args], { cwd: s.dir });
    const refused = await run(['-p', 'app.pid']);
    assert.deepEqual([refused.code, refused.stdout], [1, '']);
    assert.match(refused.stderr, /^prefork: top needs a terminal; prefork status .*\n$/);
    const once = await run(['-p', 'app.pid', '--once']);
    assert.deepEqual([once.code, once.stderr], [0, '']);
    assert.match(once.stdout, /^app: running[\s\S]*\n\+slot +pid .* restarts\n +0 +\d+ +1 ready/);
    assert.doesNotMatch(once.stdout.replaceAll('\n', ''), /\p{Cc}/u);
    const nobody = await run(['-p', join(s.dir, 'nobody.pid'), '--once']);
    assert.deepEqual([nobody.code, nobody.stdout], [1, '']);
    assert.match(nobody.stderr, /^prefork: not running: there is no .*\n$/);
  });
});
