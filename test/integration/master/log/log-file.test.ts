/** `errorLog`: a file that logrotate may move away, truncate or make unwritable. LOG-01 to LOG-03. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext, test } from 'node:test';
import { request } from '../../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

interface Line {
  readonly msg: string;
  readonly worker?: number;
}

/** In a folder that is there before the master is. */
async function started(t: TestContext): Promise<{ s: Supervisor; folder: string; path: string }> {
  const folder = join('/tmp', `prefork-log-${process.pid}-${Math.random().toString(36).slice(2)}`);
  mkdirSync(folder);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'error.log');
  const s = await startSupervisor(t, { workers: 2, args: ['--error-log', path] });
  await until('the start in the log', () => linesOf(folder).some(({ msg }) => msg.startsWith('ready: ')), {
    within: 20_000,
  });
  return { s, folder, path };
}

/** Of all files of the log, old ones first; every line is a whole one. */
function linesOf(folder: string): Line[] {
  return readdirSync(folder)
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

const count = (folder: string, pattern: RegExp): number =>
  linesOf(folder).filter(({ msg }) => pattern.test(msg)).length;

describe('errorLog', () => {
  it('LOG-01: USR1 goes on in a new file; over ten rotations under reloads no line is lost, doubled or cut', async (t) => {
    const { s, folder, path } = await started(t);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    for (let round = 1; round <= 10; round += 1) {
      s.signal('SIGHUP');
      renameSync(path, `${path}.${round}`);
      s.signal('SIGUSR1');
      await until('the new file', () => existsSync(path), { within: 5_000 });
      await until('the reload', () => count(folder, /^reload \d+ done/) >= round, { within: 30_000 });
    }
    const spawned = linesOf(folder).filter(({ msg }) => msg === 'worker spawned');
    const ids = spawned.map(({ worker }) => Number(worker)).sort((a, b) => a - b);
    assert.deepEqual(
      ids,
      Array.from({ length: 22 }, (_, index) => index + 1),
    );
    assert.equal(count(folder, /^log files reopened/), 10);
    await s.stop();
    assert.equal(count(folder, /^stopped$/), 1);
  });

  it('LOG-02: where it is truncated instead, it goes on at the start', async (t) => {
    const { s, folder, path } = await started(t);
    truncateSync(path);
    s.signal('SIGHUP');
    await until('the reload', () => count(folder, /^reload 1 done/) === 1, { within: 30_000 });
    assert.equal(readFileSync(path).includes(0), false);
    await s.stop();
  });

  it('LOG-03: where it cannot be opened anew, it goes on where it was, and says so', async (t) => {
    const { s, folder, path } = await started(t);
    const away = `${folder}-away`;
    renameSync(folder, away);
    t.after(() => rmSync(away, { recursive: true, force: true }));
    s.signal('SIGUSR1');
    await until('the warning', () => count(away, /cannot open the log .*the log goes on where it was/) === 1, {
      within: 10_000,
    });
    s.signal('SIGHUP');
    await until('the reload', () => count(away, /^reload 1 done/) === 1, { within: 30_000 });
    renameSync(away, folder);
    renameSync(path, `${path}.1`);
    s.signal('SIGUSR1');
    await until('the new file', () => existsSync(path), { within: 5_000 });
    await s.stop();
    assert.match(readFileSync(path, 'utf8'), /"msg":"stopped"/);
  });

  it('SEC-05: it is never written through a link; a folder that is missing is one line', async (t) => {
    const folder = join('/tmp', `prefork-link-${process.pid}`);
    mkdirSync(folder);
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'victim'), 'precious');
    symlinkSync(join(folder, 'victim'), join(folder, 'link.log'));
    for (const [file, reason] of [
      ['link.log', /^prefork: cannot open the log .*link\.log: it is a symbolic link/],
      ['no/such.log', /^prefork: cannot open the log .*such\.log: ENOENT/],
    ] as const) {
      const s = await startSupervisor(t, { workers: 1, args: ['--error-log', join(folder, file)] });
      assert.equal((await s.waitExit()).code, 1);
      assert.match(s.stderr.text, reason);
      assert.equal(s.stderr.text.trim().split('\n').length, 1);
    }
    assert.equal(readFileSync(join(folder, 'victim'), 'utf8'), 'precious');
  });
});

test('RES-04: on a full disk the service lives, says so elsewhere, and the log goes on when there is room', async (t) => {
  if (process.geteuid?.() !== 0) return t.skip('only root can mount a small disk');
  const folder = mkdtempSync(join(tmpdir(), 'prefork-small-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const disk = join(folder, 'disk');
  const wrapper = join(folder, 'node');
  mkdirSync(disk);
  // In a mount namespace of its own, which ends with it.
  const inside = `mount -t tmpfs -o size=64k small "$0" && exec "${process.execPath}" "$@"`;
  writeFileSync(wrapper, `#!/bin/sh\nexec unshare -m --propagation private sh -c '${inside}' "${disk}" "$@"\n`, {
    mode: 0o755,
  });
  const s = await startSupervisor(t, { node: wrapper, workers: 1, args: ['--error-log', join(disk, 'app.log')] });
  await s.waitServing();
  const there = `/proc/${s.pid}/root${disk}`;
  const log = (): string => readFileSync(`${there}/app.log`, 'utf8');
  await until('the log', () => /ready: 1 workers/.test(log()), { within: 10_000 });
  try {
    for (;;) appendFileSync(`${there}/fill`, 'x'.repeat(4_096));
  } catch {
    // Full.
  }
  const before = log().length;
  for (let reload = 1; reload <= 12; reload++) {
    const [old] = s.workers();
    s.signal('SIGHUP');
    await until('a new worker', () => s.workers().length === 1 && s.workers()[0] !== old, { within: 20_000 });
    assert.equal((await request(s.target, '/')).status, 200);
  }
  const complaints = s.stderr.text.match(/^prefork: the log .* cannot be written: .*ENOSPC/gm) ?? [];
  assert.equal(complaints.length, 1, s.stderr.text);
  assert.ok(log().length - before < 8_192);
  rmSync(`${there}/fill`);
  s.signal('SIGHUP');
  await until('the log to go on', () => /could not be written for a while: 0 of its lines/.test(log()), {
    within: 20_000,
  });
  // What waited is there: nothing was lost yet.
  await until('all of the story', () => /reload 13 done/.test(log()), { within: 20_000 });
  for (let reload = 1; reload <= 13; reload++) assert.match(log(), new RegExp(`reload ${reload} done`));
  assert.equal((await s.stop()).code, 0);
});
