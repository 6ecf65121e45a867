/**
 * Starts that fail: `prefork check` says no beforehand, in the lines that the start itself gives. The start ends by itself,
 * soon, with a status that is not 0; no process is left, and nothing on the disk is changed.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { bin, fixture } from '../../support/paths.ts';
import { childrenOf, markedWith } from '../../support/proc.ts';
import { freePort, request } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

interface Place {
  /** A folder with a file, a directory, and a socket that this process listens on. */
  readonly dir: string;
  /** A port that this process listens on. */
  readonly taken: number;
  readonly free: number;
}

interface Row {
  readonly what: string;
  readonly args: (place: Place) => readonly string[];
  /** The environment's PORT. */
  readonly port?: (place: Place) => number;
  /** The lines, with `<dir>`, `<taken>`, `<free>` and `<us>` for what differs. */
  readonly says: readonly string[];
  readonly code?: number;
}

const held = [
  'it is held by <us>',
  'stop that process, or choose another address: --bind, or PORT if the app listens by itself',
];

const rows: readonly Row[] = [
  {
    what: 'the directory of the pidfile is missing',
    args: ({ dir }) => ['-p', `${dir}/nope/app.pid`],
    says: ['cannot write the pidfile <dir>/nope/app.pid: ENOENT, <dir>/nope does not exist'],
  },
  {
    what: 'the pidfile is another file',
    args: ({ dir }) => ['-p', `${dir}/precious.js`],
    says: [
      '<dir>/precious.js is no pidfile: it holds something else than a pid, and is left as it is; choose another path (--pid), or remove it',
    ],
  },
  {
    what: 'the pidfile is a directory',
    args: ({ dir }) => ['-p', `${dir}/folder`],
    says: ['the pidfile <dir>/folder exists and is not a regular file; remove it or choose another path'],
  },
  {
    what: 'the directory of the log is missing',
    args: ({ dir }) => ['--error-log', `${dir}/nope/x.log`],
    says: ["cannot open the log <dir>/nope/x.log: ENOENT: no such file or directory, open '<dir>/nope/x.log'"],
  },
  {
    what: 'the access log is a directory',
    args: ({ dir }) => ['--access-log', `${dir}/folder`],
    says: ["cannot open the access log <dir>/folder: EISDIR: illegal operation on a directory, open '<dir>/folder'"],
  },
  {
    what: 'the directory of the unix socket is missing',
    args: ({ dir }) => ['-b', `unix:${dir}/nope/x.sock`],
    says: ['cannot bind unix:<dir>/nope/x.sock: the directory does not exist (ENOENT)'],
  },
  {
    what: 'a file is in the place of the unix socket',
    args: ({ dir }) => ['-b', `unix:${dir}/precious.js`],
    says: ['cannot bind unix:<dir>/precious.js: the path exists and is not a socket'],
  },
  {
    what: 'no interface has the address',
    args: () => ['-b', '192.0.2.1:8000'],
    says: ['cannot bind 192.0.2.1:8000: no interface of this machine has that address (EADDRNOTAVAIL)'],
  },
  {
    what: 'the descriptor is no socket',
    args: () => ['-b', 'fd://9'],
    says: ['cannot use fd://9: file descriptor 9 is not an open listening socket'],
  },
  {
    what: 'another program has the port',
    args: ({ taken }) => ['-b', `127.0.0.1:${taken}`],
    says: ['cannot bind 127.0.0.1:<taken>: address in use (EADDRINUSE)', ...held],
  },
  {
    what: 'another program has the unix socket',
    args: ({ dir }) => ['-b', `unix:${dir}/taken.sock`],
    says: ['cannot bind unix:<dir>/taken.sock: address in use (EADDRINUSE)', ...held],
  },
  {
    what: 'another program has the port that the app listens on by itself',
    args: () => [],
    port: ({ taken }) => taken,
    says: ['cannot bind *:<taken>: address in use (EADDRINUSE)', ...held],
  },
  {
    what: 'another program has the admin address',
    args: ({ taken, free }) => ['-b', `127.0.0.1:${free}`, '--admin', `127.0.0.1:${taken}`],
    says: ['admin: cannot listen on 127.0.0.1:<taken>: address in use (EADDRINUSE)', ...held],
  },
  {
    what: 'another program has the control socket',
    args: ({ dir, free }) => ['-b', `127.0.0.1:${free}`, '--control-socket', `${dir}/taken.sock`],
    says: ['controlSocket: cannot listen on unix:<dir>/taken.sock: address in use (EADDRINUSE)', ...held],
  },
  {
    what: 'the user is unknown',
    args: () => ['-u', 'nobody-of-that-name'],
    says: ['command line: user: there is no user nobody-of-that-name'],
    code: 2,
  },
  {
    what: 'the file of the environment is missing',
    args: ({ dir }) => ['-c', `${dir}/env.config.mjs`],
    says: [
      "<dir>/env.config.mjs: envFile: cannot read <dir>/nope.env: ENOENT: no such file or directory, open '<dir>/nope.env'",
    ],
    code: 2,
  },
];

describe('a start that fails', () => {
  for (const row of rows) {
    it(`is foretold by prefork check: ${row.what}`, async (t) => {
      const place = await makePlace(t);
      const before = readdirSync(place.dir, { recursive: true });
      const args = [fixture('app.cjs'), '-w', '1', '--log-format', 'json', ...row.args(place)];
      const env = { PORT: String(row.port?.(place) ?? place.free) };
      const checked = await run(t, ['check', ...args], env);
      const started = await run(t, args, env);
      for (const { code, lines } of [checked, started]) {
        assert.deepEqual(lines.map((line) => plain(line, place)).slice(0, row.says.length), row.says);
        if (row.port === undefined) assert.equal(code, row.code ?? 1);
        else assert.notEqual(code, 0);
        assert.doesNotMatch(lines.join('\n'), /bug/);
      }
      assert.deepEqual(readdirSync(place.dir, { recursive: true }), before);
    });
  }

  it('a release command that would fail at a reload is a note: a start does without it', async (t) => {
    for (const [release, says] of [
      ['no-such-command --now', 'note: release: a reload would fail, there is no command no-such-command'],
      ['echo "unclosed', 'note: release: a reload would fail, /bin/sh cannot read it: '],
      ['true && FOO=1 anything', null],
      ['sh -c "exit 1"', null],
    ] as const) {
      const { code, lines } = await run(t, ['check', fixture('app.cjs'), '--release', release], {});
      assert.equal(code, 0, lines.join('\n'));
      assert.equal(lines[0] === '' ? null : (lines[0] ?? '').slice(0, says?.length), says);
    }
  });

  it('a verify command that would fail at a reload is a note', async (t) => {
    const args = ['check', fixture('app.cjs'), '--verify', 'no-such-command --now'];
    const { code, lines } = await run(t, args, {});
    assert.equal(code, 0, lines.join('\n'));
    assert.equal(lines[0], 'note: verify: a reload would fail, there is no command no-such-command');
  });

  it('options that node refuses are named by both', async (t) => {
    const args = [fixture('app.cjs'), '-w', '1', '--node-arg=--bogus', '--log-format', 'json'];
    for (const words of [['check', ...args], args]) {
      const { code, lines } = await run(t, words, { PORT: '0' });
      assert.equal(code, 3);
      assert.match(
        lines.join('\n'),
        /exited .*\(code 9\) before it .*[;:] node refuses an option of nodeArgs or NODE_OPTIONS$/m,
      );
    }
  });

  it('all that is wrong is said at once', async (t) => {
    const { dir } = await makePlace(t);
    const { code, lines } = await run(
      t,
      ['check', fixture('app.cjs'), '-p', `${dir}/nope/a`, '-b', `unix:${dir}/nope/b`],
      {},
    );
    assert.deepEqual([code, lines.length], [1, 2], lines.join('\n'));
  });
});

describe('too few file descriptors', () => {
  // With fewer Node itself does not start, or cannot read its main module.
  for (const limit of [22, 24, 28, 32, 36, 40, 44, 48, 56, 64]) {
    it(`${limit}: it serves, or ends with one line that says so`, async (t) => {
      const { dir, free } = await makePlace(t);
      const command = `for fd in $(ls /proc/self/fd); do [ $fd -gt 2 ] && eval "exec $fd>&-"; done 2>/dev/null; ulimit -n ${limit}; exec "$0" "$@"`;
      const child = spawn(
        '/bin/bash',
        [
          '-c',
          command,
          process.execPath,
          bin,
          fixture('app.cjs'),
          '-b',
          `127.0.0.1:${free}`,
          '-w',
          '1',
          '-p',
          `${dir}/l.pid`,
          '--log-format',
          'json',
        ],
        { cwd: dir, env: { ...process.env, NODE_TEST_CONTEXT: undefined }, stdio: ['ignore', 'ignore', 'pipe'] },
      );
      t.after(() => child.kill('SIGKILL'));
      let text = '';
      child.stderr.on('data', (chunk) => (text += String(chunk)));
      const ended = once(child, 'close') as Promise<[number | null]>;
      const isReady = await until(
        'it to serve or to end',
        () => /"ready: /.test(text) || child.exitCode !== null || child.signalCode !== null,
        {
          within: stretched(20_000),
        },
      ).then(() => child.exitCode === null && child.signalCode === null);
      if (isReady) {
        assert.equal((await request({ port: free }, '/')).status, 200);
        child.kill('SIGTERM');
        assert.deepEqual((await ended)[0], 0, text);
        return;
      }
      assert.notEqual((await ended)[0], 0);
      // Some versions of Node crash themselves with as few.
      if (limit < 28 && (child.signalCode === 'SIGSEGV' || child.signalCode === 'SIGABRT')) return;
      const said = linesOf(text);
      assert.match(said[0] ?? '', /EMFILE.*ulimit -n/, text);
      assert.equal(said.length, 1, text);
    });
  }

  it('a descriptor beyond the limit, that the caller left open: one line, and the end', async (t) => {
    const { dir, free } = await makePlace(t);
    const child = spawn(
      '/bin/bash',
      [
        '-c',
        'exec 200>/dev/null; ulimit -n 100; exec "$0" "$@"',
        process.execPath,
        bin,
        fixture('app.cjs'),
        '-b',
        `127.0.0.1:${free}`,
      ],
      { cwd: dir, env: { ...process.env, NODE_TEST_CONTEXT: undefined }, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    t.after(() => child.kill('SIGKILL'));
    let text = '';
    child.stderr.on('data', (chunk) => (text += String(chunk)));
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 1);
    assert.match(
      text,
      /^prefork: file descriptor \d+, which is open since before the start, is beyond the limit of 100 open files.*\n$/,
    );
  });
});

describe('prefork check beside the service', () => {
  it('finds nothing wrong with what the service itself has, and does not disturb it', async (t) => {
    const { dir, free } = await makePlace(t);
    const port = await freePort();
    const bind = [`127.0.0.1:${port}`, `unix:${dir}/app.sock`];
    const common = [`-p`, `${dir}/app.pid`, '--admin', `127.0.0.1:${free}`];
    const s = await startSupervisor(t, { workers: 1, bind, args: common });
    await s.waitReady();
    const before = childrenOf(s.pid).map(({ pid }) => pid);
    const { code, lines } = await run(
      t,
      ['check', fixture('app.cjs'), '-w', '1', ...common, ...bind.flatMap((each) => ['-b', each])],
      {},
    );
    assert.equal(code, 0, lines.join('\n'));
    for (const label of [`unix:${dir}/app.sock`, `127.0.0.1:${port}`, `127.0.0.1:${free}`])
      assert.ok(lines.includes(`note: ${label} is in use by the running service (pid ${s.pid})`), lines.join('\n'));
    assert.deepEqual(
      childrenOf(s.pid).map(({ pid }) => pid),
      before,
    );
    assert.equal((await request({ socketPath: `${dir}/app.sock` }, '/')).status, 200);
    assert.equal((await request({ port }, '/')).status, 200);
    // Another service that would take the same address is told so.
    const other = await run(t, ['check', fixture('app.cjs'), '-p', `${dir}/b.pid`, '-b', `127.0.0.1:${port}`], {});
    assert.equal(other.code, 1);
    assert.match(other.lines.join('\n'), new RegExp(`held by pid ${s.pid} \\(prefork: master`));
  });
});

async function makePlace(t: TestContext): Promise<Place> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-starts-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'folder'));
  writeFileSync(join(dir, 'precious.js'), 'require("http")');
  writeFileSync(join(dir, 'env.config.mjs'), `export default { envFile: ${JSON.stringify(join(dir, 'nope.env'))} }`);
  const listening = async (at: Server): Promise<Server> => {
    t.after(() => at.close());
    await once(at, 'listening');
    return at;
  };
  const server = await listening(createServer().listen(0, '127.0.0.1'));
  await listening(createServer().listen(join(dir, 'taken.sock')));
  return { dir, taken: (server.address() as { port: number }).port, free: await freePort() };
}

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
}

/** Runs it to its end, after which nothing of it may be left. */
async function run(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const mark = `starts-${process.hrtime.bigint()}`;
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: tmpdir(),
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env, RUN_ID: mark },
    timeout: stretched(30_000),
    killSignal: 'SIGKILL',
  });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  child.stderr.on('data', (chunk) => (text += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  assert.notEqual(code, null, `it did not end: ${text}`);
  await until('no process to be left', () => markedWith(`RUN_ID=${mark}`).length === 0, { within: 5_000 });
  return { code, lines: linesOf(text) };
}

/** What is said of the failure: lines of the command, and of the log what is an error. */
function linesOf(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      if (!line.startsWith('{')) return line.replace(/^prefork: /, '');
      const { level, msg } = JSON.parse(line) as { level: number; msg: string };
      return level >= 50 ? msg : [];
    });
}

function plain(line: string, { dir, taken, free }: Place): string {
  return line
    .replaceAll(dir, '<dir>')
    .replaceAll(`:${taken}`, ':<taken>')
    .replaceAll(`:${free}`, ':<free>')
    .replace(new RegExp(`pid ${process.pid} \\(.*\\)$`), '<us>');
}
