import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AlreadyRunningError, FileError } from '../../../../src/errors.ts';
import { checkPidfile, Pidfile, staleNote } from '../../../../src/master/claims/pidfile.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'prefork-pidfile-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function claim(path: string, predecessor: number | null = null): Pidfile {
  return new Pidfile({ path: () => path, isDue: () => true, predecessor });
}

/** A live process; `title` is what `ps` shows for it. */
function live(t: TestContext, title: string): Promise<number> {
  const child = spawn(
    process.execPath,
    ['-e', `process.title = ${JSON.stringify(title)}; console.log(1); setInterval(() => {}, 1e6)`],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  t.after(() => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', () => resolve(child.pid ?? 0));
  });
}

test('SOCK-05 pidfile: our pid and a newline, no temporary left, mode 0644', (t) => {
  const path = join(folder(t), 'app.pid');
  const pidfile = claim(path);
  pidfile.ensure();
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  assert.equal(lstatSync(path).mode & 0o777, 0o644 & ~process.umask());
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
  pidfile.release();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('SOCK-04 pidfile: a stale one is replaced, and so is one that holds nothing', async (t) => {
  const unrelated = await live(t, 'some other program');
  const contents: readonly (readonly [content: string, note: RegExp | null])[] = [
    ['', null],
    [' \n', null],
    ['0', null],
    ['1\n', null],
    ['\0'.repeat(16), null],
    ['99999999', /is stale \(there is no process 99999999\)/],
    ['9999999999\n', /is stale \(there is no process 9999999999\)/],
    [`${unrelated}`, new RegExp(`is stale \\(pid ${unrelated} is another program now, some other pro`)],
  ];
  for (const [content, note] of contents) {
    const path = join(folder(t), 'app.pid');
    writeFileSync(path, content);
    const pidfile = claim(path);
    checkPidfile(path);
    if (note === null) assert.equal(staleNote(path), null);
    else assert.match(staleNote(path) ?? '', note);
    pidfile.ensure();
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`, JSON.stringify(content.slice(0, 20)));
  }
  process.kill(unrelated, 0);
});

test('SOCK-04 pidfile: a file that is none is refused and left as it is, at the start and at every later look', async (t) => {
  const master = await live(t, 'prefork: master [other]');
  const contents = [
    'abc',
    '-1',
    '1e3',
    '12 34',
    '9'.repeat(1_000_000),
    `4242\n${' '.repeat(40)}x`,
    '\u0000\u0001',
    '{"pid": 1}',
    "require('http')",
  ];
  for (const content of contents) {
    const dir = folder(t);
    const path = join(dir, 'app.js');
    const refused = (error: unknown) =>
      error instanceof FileError &&
      error.message ===
        `${path} is no pidfile: it holds something else than a pid, and is left as it is; choose another path (--pid), or remove it`;
    writeFileSync(path, content);
    const pidfile = claim(path);
    assert.throws(() => checkPidfile(path), refused, content.slice(0, 20));
    assert.throws(() => pidfile.ensure(), refused);
    assert.throws(() => claim(path, master).ensure(), refused);
    pidfile.release();
    assert.equal(readFileSync(path, 'utf8'), content);
    assert.deepEqual(readdirSync(dir), ['app.js']);
  }
});

test('SOCK-04 pidfile: one that has become another file is neither replaced nor removed', (t) => {
  const path = join(folder(t), 'app.pid');
  const pidfile = claim(path);
  pidfile.ensure();
  writeFileSync(path, 'notes');
  assert.throws(() => pidfile.takeOver(), FileError);
  pidfile.release();
  assert.equal(readFileSync(path, 'utf8'), 'notes');
});

test('BOOT-06 pidfile: one that a live master holds is refused and left alone', async (t) => {
  const other = await live(t, 'prefork: master [other]');
  const path = join(folder(t), 'app.pid');
  writeFileSync(path, `${other}\n`);
  const pidfile = claim(path);
  assert.throws(
    () => checkPidfile(path),
    (error) => error instanceof AlreadyRunningError && error.message.includes(`pid ${other}`),
  );
  assert.throws(() => pidfile.ensure(), AlreadyRunningError);
  pidfile.release();
  assert.equal(readFileSync(path, 'utf8'), `${other}\n`);
});

test('SEC-05 pidfile: links and other things in the way are neither followed nor removed', (t) => {
  const path = folder(t);
  const precious = join(path, 'precious');
  writeFileSync(precious, 'untouched');
  symlinkSync(precious, join(path, 'link.pid'));
  symlinkSync(join(path, 'nowhere'), join(path, 'dangling.pid'));
  mkdirSync(join(path, 'folder.pid'));
  for (const name of ['link.pid', 'dangling.pid', 'folder.pid']) {
    assert.throws(() => claim(join(path, name)).ensure(), FileError, name);
  }
  assert.equal(readFileSync(precious, 'utf8'), 'untouched');
  assert.deepEqual(readdirSync(path).sort(), ['dangling.pid', 'folder.pid', 'link.pid', 'precious']);
});

test('SOCK-03 pidfile: a file that is not ours any more is not removed', (t) => {
  const path = join(folder(t), 'app.pid');
  const pidfile = claim(path);
  pidfile.ensure();
  writeFileSync(path, '4242\n');
  pidfile.release();
  assert.equal(readFileSync(path, 'utf8'), '4242\n');
});

test('pidfile: a directory that is missing is a clear error', (t) => {
  const path = join(folder(t), 'missing', 'app.pid');
  assert.throws(
    () => claim(path).ensure(),
    (error) => error instanceof FileError && error.message.includes(path),
  );
  assert.throws(() => checkPidfile(path), {
    message: `cannot write the pidfile ${path}: ENOENT, ${join(path, '..')} does not exist`,
  });
  // A file in the place of the directory.
  writeFileSync(join(path, '..'), '');
  assert.throws(() => checkPidfile(path), {
    message: `cannot write the pidfile ${path}: ENOTDIR, ${join(path, '..')} is not a directory`,
  });
});

test("UPG-01 pidfile: beside the predecessor's, as Gunicorn's .2, and then in its place", async (t) => {
  const path = join(folder(t), 'app.pid');
  const predecessor = await live(t, 'prefork: master [app]');
  writeFileSync(path, `${predecessor}\n`);
  const pidfile = claim(path, predecessor);
  checkPidfile(path, predecessor);
  pidfile.ensure();
  assert.deepEqual(
    [readFileSync(path, 'utf8'), readFileSync(`${path}.2`, 'utf8')],
    [`${predecessor}\n`, `${process.pid}\n`],
  );
  pidfile.takeOver();
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  pidfile.release();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('UPG-02 pidfile: a new master that goes takes its own away, and no other', async (t) => {
  const path = join(folder(t), 'app.pid');
  const predecessor = await live(t, 'prefork: master');
  writeFileSync(path, `${predecessor}\n`);
  const pidfile = claim(path, predecessor);
  pidfile.ensure();
  pidfile.release();
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
});

test('UPG-02 pidfile: what a new master that was killed left beside ours goes, and nothing else', async (t) => {
  const path = join(folder(t), 'app.pid');
  const pidfile = claim(path);
  pidfile.ensure();
  for (const content of [`${await live(t, 'prefork: master')}\n`, 'no pid']) {
    writeFileSync(`${path}.2`, content);
    pidfile.ensure();
    assert.equal(readFileSync(`${path}.2`, 'utf8'), content);
  }
  writeFileSync(`${path}.2`, '4194000\n');
  pidfile.ensure();
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
  rmSync(path);
  mkdirSync(`${path}.2`);
  pidfile.ensure();
  // Ours, which somebody has removed, is there again.
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid', 'app.pid.2']);
});

test('SOCK-08 pidfile: one that was removed comes back; what somebody has put in its place is left alone, and told', async (t) => {
  const path = join(folder(t), 'app.pid');
  const restored: string[] = [];
  const pidfile = new Pidfile({ path: () => path, isDue: () => true, onRestored: (at) => restored.push(at) });
  pidfile.ensure();
  rmSync(path);
  pidfile.ensure();
  pidfile.ensure();
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  assert.deepEqual(restored, [path]);
  for (const content of ['a note', '', `${await live(t, 'prefork: master [other]')}\n`]) {
    rmSync(path);
    writeFileSync(path, content);
    assert.throws(() => pidfile.ensure(), /is not ours any more: .* is in its place; it is left alone/);
    assert.equal(readFileSync(path, 'utf8'), content);
  }
  rmSync(path);
  mkdirSync(path);
  assert.throws(() => pidfile.ensure(), FileError);
  rmSync(path, { recursive: true });
  rmSync(join(path, '..'), { recursive: true });
  assert.throws(() => pidfile.ensure(), FileError);
  mkdirSync(join(path, '..'));
  pidfile.ensure();
  // Of another master that has taken over it is not ours to write.
  pidfile.yield();
  rmSync(path);
  pidfile.ensure();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('UPG-02 pidfile: after a new master that had taken over and is gone, ours is in its place again', async (t) => {
  const path = join(folder(t), 'app.pid');
  const pidfile = claim(path);
  pidfile.ensure();
  // Not yet taken by the new one: nothing is done, not even for a moment.
  const { ino } = lstatSync(path);
  pidfile.takeOver();
  assert.equal(lstatSync(path).ino, ino);
  pidfile.yield();
  writeFileSync(path, '4194000\n');
  pidfile.ensure();
  assert.equal(readFileSync(path, 'utf8'), '4194000\n', 'as long as it may live it is left alone');
  pidfile.takeOver();
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  pidfile.release();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('pidfile: it follows the settings, once it is due', (t) => {
  const dir = folder(t);
  let [name, isDue]: [string | null, boolean] = ['a.pid', false];
  const pidfile = new Pidfile({ path: () => (name === null ? null : join(dir, name)), isDue: () => isDue });
  pidfile.ensure();
  assert.deepEqual(readdirSync(dir), []);
  isDue = true;
  for (const [next, there] of [
    ['a.pid', ['a.pid']],
    ['b.pid', ['b.pid']],
    [null, []],
  ] as const) {
    name = next;
    pidfile.ensure();
    assert.deepEqual(readdirSync(dir), there);
  }
});

test('UPG-04 pidfile: held by a third master, it is refused', async (t) => {
  const path = join(folder(t), 'app.pid');
  const [predecessor, third] = [await live(t, 'prefork: master'), await live(t, 'prefork: master')];
  writeFileSync(path, `${third}\n`);
  assert.throws(() => checkPidfile(path, predecessor), AlreadyRunningError);
  writeFileSync(path, `${predecessor}\n`);
  const pidfile = claim(path, predecessor);
  pidfile.ensure();
  writeFileSync(path, `${third}\n`);
  assert.throws(() => pidfile.takeOver(), AlreadyRunningError);
});
