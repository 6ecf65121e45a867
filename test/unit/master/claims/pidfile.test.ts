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
import { Pidfile } from '../../../../src/master/claims/pidfile.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'prefork-pidfile-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
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
  const pidfile = new Pidfile(path);
  pidfile.write();
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  assert.equal(lstatSync(path).mode & 0o777, 0o644 & ~process.umask());
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
  pidfile.remove();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('SOCK-04 pidfile: stale or malformed content is replaced', async (t) => {
  const unrelated = await live(t, 'some other program');
  const contents = [
    '',
    'abc',
    '-1',
    '0',
    '1',
    '99999999',
    '1e3',
    `${unrelated}`,
    '9'.repeat(1_000_000),
    '\u0000\u0001',
  ];
  for (const content of contents) {
    const path = join(folder(t), 'app.pid');
    writeFileSync(path, content);
    const pidfile = new Pidfile(path);
    pidfile.check();
    pidfile.write();
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`, JSON.stringify(content.slice(0, 20)));
  }
  process.kill(unrelated, 0);
});

test('BOOT-06 pidfile: one that a live master holds is refused and left alone', async (t) => {
  const other = await live(t, 'prefork: master [other]');
  const path = join(folder(t), 'app.pid');
  writeFileSync(path, `${other}\n`);
  const pidfile = new Pidfile(path);
  assert.throws(
    () => pidfile.check(),
    (error) => error instanceof AlreadyRunningError && error.message.includes(`pid ${other}`),
  );
  assert.throws(() => pidfile.write(), AlreadyRunningError);
  pidfile.remove();
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
    assert.throws(() => new Pidfile(join(path, name)).write(), FileError, name);
  }
  assert.equal(readFileSync(precious, 'utf8'), 'untouched');
  assert.deepEqual(readdirSync(path).sort(), ['dangling.pid', 'folder.pid', 'link.pid', 'precious']);
});

test('SOCK-03 pidfile: a file that is not ours any more is not removed', (t) => {
  const path = join(folder(t), 'app.pid');
  const pidfile = new Pidfile(path);
  pidfile.write();
  writeFileSync(path, '4242\n');
  pidfile.remove();
  assert.equal(readFileSync(path, 'utf8'), '4242\n');
});

test('pidfile: a directory that is missing is a clear error', (t) => {
  const path = join(folder(t), 'missing', 'app.pid');
  assert.throws(
    () => new Pidfile(path).write(),
    (error) => error instanceof FileError && error.message.includes(path),
  );
});

test("UPG-01 pidfile: beside the predecessor's, as Gunicorn's .2, and then in its place", async (t) => {
  const path = join(folder(t), 'app.pid');
  const predecessor = await live(t, 'prefork: master [app]');
  writeFileSync(path, `${predecessor}\n`);
  const pidfile = new Pidfile(path, predecessor);
  pidfile.check();
  pidfile.write();
  assert.deepEqual(
    [readFileSync(path, 'utf8'), readFileSync(`${path}.2`, 'utf8')],
    [`${predecessor}\n`, `${process.pid}\n`],
  );
  pidfile.promote();
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  pidfile.remove();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('UPG-02 pidfile: a new master that goes takes its own away, and no other', async (t) => {
  const path = join(folder(t), 'app.pid');
  const predecessor = await live(t, 'prefork: master');
  writeFileSync(path, `${predecessor}\n`);
  const pidfile = new Pidfile(path, predecessor);
  pidfile.write();
  pidfile.remove();
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
  // One that was killed could not.
  writeFileSync(`${path}.2`, '4194000\n');
  new Pidfile(path).removeSecond(1234);
  assert.ok(readdirSync(join(path, '..')).includes('app.pid.2'), 'not one of another pid');
  new Pidfile(path).removeSecond(4_194_000);
  assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
});

test('UPG-04 pidfile: held by a third master, it is refused', async (t) => {
  const path = join(folder(t), 'app.pid');
  const [predecessor, third] = [await live(t, 'prefork: master'), await live(t, 'prefork: master')];
  writeFileSync(path, `${third}\n`);
  assert.throws(() => new Pidfile(path, predecessor).check(), AlreadyRunningError);
  writeFileSync(path, `${predecessor}\n`);
  const pidfile = new Pidfile(path, predecessor);
  pidfile.write();
  writeFileSync(path, `${third}\n`);
  assert.throws(() => pidfile.promote(), AlreadyRunningError);
});
