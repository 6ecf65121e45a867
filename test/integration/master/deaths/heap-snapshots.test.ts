/** Heap snapshots of workers that are retired for their memory, and folders in which there can be none. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '../../../support/command.ts';
import { stopClean } from '../../../support/invariants.ts';
import { fixture } from '../../../support/paths.ts';
import { request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const app = fixture('deaths/app.ts');

describe('heap snapshots', { concurrency: 2 }, () => {
  it('HEAP-01 a worker past maxMemory leaves one that DevTools can read, in a folder of its own', async (t) => {
    const s = await startSupervisor(t, {
      ...{ app, workers: 1 },
      args: ['--max-memory', '150MB', '--heap-snapshots', 'heap'],
    });
    await s.waitReady(30_000);
    const folder = join(s.dir, 'heap');
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    const [grown] = s.workers();
    // It is replaced only some time after its birth.
    for (let count = 0; count < 6; count += 1) await request(s.target, '/grow');
    const line = await s.waitForLog(/^heap snapshot written: /, { within: stretched(40_000) });
    assert.match(line.msg, /\.heapsnapshot \(\d+\.\d MB in \d+\.\d s\); open it with Chrome DevTools, Memory, Load$/);
    assert.equal(line.pid, grown);
    const [file, ...rest] = readdirSync(folder);
    assert.deepEqual([rest.length, join(folder, file ?? '')], [0, line.snapshot]);
    assert.equal(statSync(String(line.snapshot)).mode & 0o777, 0o600);
    const { snapshot, nodes } = JSON.parse(readFileSync(String(line.snapshot), 'utf8')) as {
      snapshot: { node_count: number };
      nodes: number[];
    };
    assert.ok(snapshot.node_count > 1_000 && nodes.length > snapshot.node_count);
    await until('the worker to leave', () => s.log.some(({ msg, pid }) => /^worker left/.test(msg) && pid === grown));
    assert.equal((await request(s.target, '/')).status, 200);
    await stopClean(s, { allow: /maxMemory/ });
  });

  for (const [title, make, expected] of [
    ['is a file', (path: string) => writeFileSync(path, ''), /is no folder/],
    [
      'everybody can write to',
      (path: string) => {
        mkdirSync(path);
        chmodSync(path, 0o777);
      },
      /others than its owner can write to/,
    ],
    [
      'everybody can read',
      (path: string) => {
        mkdirSync(path);
        chmodSync(path, 0o755);
      },
      /others than its owner can read it, and a snapshot has secrets: chmod 700/,
    ],
  ] as const) {
    it(`HEAP-02 a folder that ${title} ends a start, and prefork check says so, in one line`, async (t) => {
      const s = await startSupervisor(t, { app, workers: 1 });
      await s.waitReady(30_000);
      const folder = join(s.dir, 'heap');
      make(folder);
      for (const command of [['check'], []]) {
        const args = [...command, app, '-b', '127.0.0.1:0', '--max-memory', '1GB', '--heap-snapshots', folder];
        const { code, stderr } = await runCommand(args, { cwd: s.dir });
        assert.equal(code, 1);
        const lines = stderr.split('\n').filter((line) => line.includes('heapSnapshots'));
        assert.equal(lines.length, 1);
        assert.match(lines[0] ?? '', expected);
      }
      await stopClean(s);
    });
  }

  it('HEAP-02 prefork check leaves no folder behind, and says of one that cannot be made why', async (t) => {
    const s = await startSupervisor(t, { app, workers: 1 });
    await s.waitReady(30_000);
    const checked = (folder: string) =>
      runCommand(['check', app, '-b', '127.0.0.1:0', '--heap-snapshots', folder], { cwd: s.dir });
    const good = await checked(join(s.dir, 'heap'));
    assert.equal(good.code, 0, good.stderr);
    assert.ok(!readdirSync(s.dir).includes('heap'));
    const bad = await checked(join(s.dir, 'no', 'such', 'heap'));
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /heapSnapshots: \S+ cannot be used: ENOENT/);
    await stopClean(s);
  });
});
