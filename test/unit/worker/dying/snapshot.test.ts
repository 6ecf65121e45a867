/** A heap snapshot on the way out: where, whose, how many; and when there is none. */
import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { BootInfo, SnapshotMessage, WorkerMessage } from '../../../../src/protocol/messages.ts';
import { HeapSnapshot, type Means, maxHeap } from '../../../../src/worker/dying/snapshot.ts';

const megabyte = 1024 * 1024;
/** The time of day in names of files. */
const midnight = ['T00', '00', '00', '000Z'].join('-');
const plenty: Means = {
  heapUsed: () => 10 * megabyte,
  availableMemory: () => 1_000 * megabyte,
  freeDisk: () => 1_000 * megabyte,
  write: (path) => writeFileSync(path, '{"snapshot":{}}'),
};

function inFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-snapshots-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function write(folder: string, means: Partial<Means> = {}, time = 60_000, name = 'shop'): SnapshotMessage {
  const told: WorkerMessage[] = [];
  const settings = { name, heapSnapshots: folder } as unknown as BootInfo['settings'];
  const channel = { send: (message: WorkerMessage) => void told.push(message) };
  new HeapSnapshot(channel, { slot: 1, settings }, { ...plenty, ...means }).write(performance.now() + time);
  const [message] = told;
  assert.ok(told.length === 1 && message?.type === 'snapshot');
  return message;
}

describe('a heap snapshot', () => {
  it('HEAP-01 is a file of its own that only its user can read', (t) => {
    const folder = inFolder(t);
    const { file, bytes, problem } = write(folder);
    assert.equal(problem, null);
    assert.match(file ?? '', /^shop-\d{4}-\d\d-\d\dT[\d-]+Z-slot1-\d+\.heapsnapshot$/);
    const path = join(folder, file ?? '');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(bytes, readFileSync(path).length);
    assert.deepEqual(readdirSync(folder), [file], 'and nothing else is left');
  });

  it('HEAP-01 the newest three of the service stay, and what is not its own', (t) => {
    const folder = inFolder(t);
    const older = [1, 2, 3, 4].map((day) => `shop-2020-01-0${day}${midnight}-slot0-7.heapsnapshot`);
    const others = ['notes.txt', `shop-admin-2020-01-01${midnight}-slot0-7.heapsnapshot`];
    const abandoned = `shop-2020-01-09${midnight}-slot0-7.heapsnapshot.part`;
    for (const name of [...older, ...others, abandoned]) writeFileSync(join(folder, name), '');
    utimesSync(join(folder, abandoned), 1, 1);
    const { file } = write(folder);
    assert.deepEqual(readdirSync(folder).sort(), [...older.slice(2), ...others, file ?? ''].sort());
  });

  it('HEAP-01 is not written through a link, nor over a file', (t) => {
    const folder = inFolder(t);
    const victim = join(inFolder(t), 'victim');
    writeFileSync(victim, 'precious');
    t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2020, 0, 1) });
    symlinkSync(victim, join(folder, `shop-2020-01-01${midnight}-slot1-${process.pid}.heapsnapshot.part`));
    const { file, problem } = write(folder);
    assert.equal(file, null);
    assert.match(problem ?? '', /EEXIST/);
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
  });

  for (const [title, means, time, expected] of [
    ['a heap too large to be opened', { heapUsed: () => maxHeap + 1 }, 60_000, /larger than 1024 MB/],
    ['no memory for it', { availableMemory: () => 50 * megabyte }, 60_000, /needs 84 MB of memory, and 50 MB are free/],
    ['no room on the disk', { freeDisk: () => megabyte }, 60_000, /needs 84 MB in .*, and 1 MB are free/],
    ['no time', {}, 300, /may take 1\.0 s, and 0\.3 s are left of gracefulTimeout/],
    [
      'a disk that is full after all',
      {
        write: () => {
          throw new Error('ENOSPC: no space left on device');
        },
      },
      60_000,
      /ENOSPC/,
    ],
  ] as const) {
    it(`HEAP-02 there is none with ${title}, and the reason is told`, (t) => {
      const folder = inFolder(t);
      const { file, problem } = write(folder, means, time);
      assert.equal(file, null);
      assert.match(problem ?? '', expected);
      assert.deepEqual(readdirSync(folder), []);
    });
  }

  it('HEAP-02 there is none in a folder that is gone', (t) => {
    assert.match(write(join(inFolder(t), 'gone'), { freeDisk: () => 1e12 }).problem ?? '', /ENOENT/);
  });

  it('HEAP-01 a name that is no name of a file does not leave the folder', (t) => {
    const folder = inFolder(t);
    assert.match(write(folder, {}, 60_000, '../../etc/x y').file ?? '', /^\.\._\.\._etc_x_y-/);
  });
});
