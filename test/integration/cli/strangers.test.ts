/** Commands against a socket that is no prefork's: nothing of what it says steers the terminal, and it ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from '../../support/command.ts';

const isRoot = process.geteuid?.() === 0;
const other = 65_534;

/** What may be on a terminal: printable characters of any language, spaces and the ends of lines. */
const unplain = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u;

/** One of each kind that does something to a terminal, or to who reads it. */
const hostile = [
  '\u001b]0;PWNED\u0007\u001b[2J\u001b[31m',
  '\u009b31m\u0090q\u009c\u007f\u0008\u0000',
  '\u202e\u202a\u2066\u2069\u200b\u200f\ufeff\u{e0041}',
  'two\r\nlines\u2028three\u2029four\u0085five\u000bsix\u000cseven',
].join('');

const figures = { slot: 0, id: 1, pid: 7, generation: 1, phase: hostile, reason: hostile, uptime: 1, heartbeatAge: 1 };
const end = { reload: 3, upgrade: 3, pid: 9, verdict: hostile, generation: 1, reason: hostile, duration: 1 };
const status = {
  version: 1,
  ...{ prefork: hostile, node: hostile, name: hostile, state: hostile, health: hostile, app: hostile },
  ...{ pid: 1, uptime: 1, generation: 1, wanted: 1, ready: 1, [hostile]: hostile },
  reload: { running: { reload: 3, step: hostile, uptime: 1 }, last: end },
  upgrade: { running: { upgrade: 1, step: hostile, pid: 1 }, last: { ...end, verdict: 'failed' } },
  listeners: [{ address: hostile, queues: 1, backlog: 1, waiting: 1 }],
  workers: [{ ...figures, requests: 1, requestsPerSecond: 1, inFlight: 1, [hostile]: hostile }],
};
const entries = [
  { seq: 1, time: hostile, kind: hostile, level: hostile, text: hostile, slot: 0, worker: 1, stack: [] },
];

type Answer = (path: string, response: ServerResponse) => void;

const polite: Answer = (path, response) => {
  const answers: Readonly<Record<string, unknown>> = {
    '/status': status,
    '/timeline': { entries },
    '/config': { name: hostile, [hostile]: [hostile] },
    '/scale': { workers: 3 },
    '/reload': end,
    '/upgrade': end,
  };
  response.end(JSON.stringify(answers[path] ?? {}));
};

function folderFor(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-strangers-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function listen(t: TestContext, path: string, answer: Answer): Promise<Server> {
  const server = createServer((request, response) => answer(request.url ?? '', response));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

const commands: readonly (readonly string[])[] = [
  ['status'],
  ['status', '--json'],
  ['workers'],
  ['workers', '--json'],
  ['top', '--once'],
  ['config'],
  ['reload'],
  ['reload', '--wait'],
  ['upgrade'],
  ['upgrade', '--wait'],
  ['scale', '+1'],
  ['recycle'],
  ['recycle', '0'],
  ['reopen'],
];

function assertPlain(text: string, what: string): void {
  for (const line of text.split('\n')) {
    const found = unplain.exec(line);
    assert.equal(found, null, `${what}: ${JSON.stringify(line)}`);
  }
  assert.doesNotMatch(text, /bug in prefork/, what);
}

describe('a socket that is no prefork’s', () => {
  for (const words of commands) {
    it(`cannot steer the terminal: prefork ${words.join(' ')}`, async (t) => {
      const socket = join(folderFor(t), 'app.ctl');
      await listen(t, socket, polite);
      const { stdout, stderr } = await runCommand([...words, '--socket', socket], { env: { COLUMNS: '5000' } });
      assertPlain(stdout + stderr, words.join(' '));
      assert.ok((stdout + stderr).length > 5);
      if (words.includes('--json') || words[0] === 'config')
        assert.ok(JSON.stringify(JSON.parse(stdout)).includes(JSON.stringify(hostile)), 'JSON means what it was');
    });

    it(`cannot steer it by a refusal either: prefork ${words.join(' ')}`, async (t) => {
      const socket = join(folderFor(t), 'app.ctl');
      await listen(t, socket, (_, response) => {
        response.writeHead(409);
        response.end(JSON.stringify({ error: { code: hostile, message: `no${hostile}no` } }));
      });
      const { code, stdout, stderr } = await runCommand([...words, '--socket', socket]);
      assert.equal(code, 1);
      assertPlain(stdout + stderr, words.join(' '));
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    });
  }

  it('cannot steer it by what is no status: each field of another type', async (t) => {
    const socket = join(folderFor(t), 'app.ctl');
    const answers: unknown[] = [];
    for (const name of ['name', 'pid', 'uptime', 'prefork', 'reload', 'upgrade', 'listeners', 'workers'])
      for (const value of [hostile, [hostile], { toString: hostile }, null, 1])
        answers.push({ ...status, [name]: value });
    for (const name of ['phase', 'requestsPerSecond', 'slot', 'rss', 'reason'])
      answers.push({ ...status, workers: [{ ...figures, [name]: { [hostile]: hostile } }] });
    let at = 0;
    await listen(t, socket, (path, response) =>
      path === '/status' ? response.end(JSON.stringify(answers[at])) : polite(path, response),
    );
    for (; at < answers.length; at += 4) {
      for (const words of [['status'], ['top', '--once']]) {
        const { stdout, stderr } = await runCommand([...words, '--socket', socket]);
        assertPlain(stdout + stderr, `${words.join(' ')} of answer ${at}`);
      }
    }
  });

  const bodies: readonly (readonly [string, Answer])[] = [
    ['without an end', (_, response) => void flood(response)],
    ['nested without an end', (_, response) => response.end(`${'['.repeat(200_000)}${']'.repeat(200_000)}`)],
    ['that is no JSON', (_, response) => response.end(hostile)],
    ['that is null', (_, response) => response.end('null')],
    [
      'of a million workers',
      (_, response) => response.end(JSON.stringify({ ...status, workers: Array(1_000_000).fill({}) })),
    ],
  ];
  for (const [what, answer] of bodies) {
    it(`gets no answer believed ${what}`, async (t) => {
      const socket = join(folderFor(t), 'app.ctl');
      await listen(t, socket, answer);
      const { code, stdout, stderr } = await runCommand(['status', '--socket', socket]);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^prefork: \S+app\.ctl answers, but not as prefork does/);
      assertPlain(stderr, what);
    });
  }

  it('does not hold a command for ever: an answer byte by byte', async (t) => {
    const socket = join(folderFor(t), 'app.ctl');
    await listen(t, socket, (_, response) => {
      const timer = setInterval(() => response.write(' '), 500);
      response.on('close', () => clearInterval(timer));
    });
    const { code, stderr } = await runCommand(['status', '--socket', socket]);
    assert.equal(code, 1);
    assert.match(stderr, /no answer within 10 s/);
  });
});

async function flood(response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(1 << 20, 'x');
  while (!response.destroyed)
    if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
}

describe('a folder or a socket of another user', { skip: isRoot ? false : 'it takes root to have one' }, () => {
  /** A folder such as /tmp. */
  function shared(t: TestContext): string {
    const folder = folderFor(t);
    chmodSync(folder, 0o1777);
    return folder;
  }

  async function plant(t: TestContext, path: string, uid: number): Promise<void> {
    await listen(t, path, polite);
    chownSync(path, uid, uid);
    chmodSync(path, 0o666);
  }

  const refused =
    /^prefork: \S+ belongs to another user: it is \w+ \(uid 65534\)'s; run this command as that user, or remove it/;

  for (const [whose, uid] of [
    ['root', 0],
    ['a user', 1_234],
  ] as const) {
    it(`is not looked into: ${whose}'s runtime folder that another user made first`, async (t) => {
      const folder = shared(t);
      const squatted = join(folder, `prefork-${uid}`);
      mkdirSync(squatted);
      chmodSync(squatted, 0o755);
      chownSync(squatted, other, other);
      await plant(t, join(squatted, 'app-1.ctl'), other);
      const env = { TMPDIR: folder, XDG_RUNTIME_DIR: undefined };
      for (const words of [['status'], ['stop'], ['status', '--name', 'app'], ['top', '--once']]) {
        const { code, stdout, stderr } = await runCommand(words, { env, cwd: folder, uid });
        assert.deepEqual([code, stdout], [1, ''], words.join(' '));
        assert.match(
          stderr,
          /^prefork: services are not looked for .*prefork-\d+ belongs to \w+ \(uid 65534\); remove it/,
        );
        assertPlain(stderr, words.join(' '));
      }
    });
  }

  it('is not looked into if it is a link, or open to others', async (t) => {
    const folder = shared(t);
    const real = join(folder, 'real');
    mkdirSync(real, { mode: 0o700 });
    await plant(t, join(real, 'app-1.ctl'), 0);
    symlinkSync(real, join(folder, 'prefork-0'));
    const env = { TMPDIR: folder, XDG_RUNTIME_DIR: undefined };
    assert.match((await runCommand(['status'], { env, cwd: folder })).stderr, /is not a directory; remove it/);
    rmSync(join(folder, 'prefork-0'));
    mkdirSync(join(folder, 'prefork-0'));
    chmodSync(join(folder, 'prefork-0'), 0o777);
    assert.match((await runCommand(['status'], { env, cwd: folder })).stderr, /is open to others; chmod go= it/);
  });

  it('is not believed where everybody can put one, by its path or beside a pidfile', async (t) => {
    const folder = shared(t);
    await plant(t, join(folder, 'app.ctl'), other);
    writeFileSync(join(folder, 'app.pid'), '1\n');
    for (const words of [
      ['status', '--socket', join(folder, 'app.ctl')],
      ['stop', '--pid', join(folder, 'app.pid')],
      ['reload', '--pid', join(folder, 'app.pid')],
    ]) {
      const { code, stdout, stderr } = await runCommand(words);
      assert.deepEqual([code, stdout], [1, ''], words.join(' '));
      assert.match(stderr, refused);
    }
    // Nor by a user who is not root.
    const { code, stderr } = await runCommand(['status', '--socket', join(folder, 'app.ctl')], { uid: 1_234 });
    assert.equal(code, 1);
    assert.match(stderr, /^prefork: \S+ belongs to another user: it is \w+ \(uid 65534\)'s$/m);
  });

  it('is not followed: a link that another user made, and a folder in which everybody can replace files', async (t) => {
    const folder = shared(t);
    const own = join(folder, 'own');
    mkdirSync(own, { mode: 0o700 });
    await plant(t, join(own, 'app.ctl'), 0);
    const link = join(folder, 'link.ctl');
    symlinkSync(join(own, 'app.ctl'), link);
    (await import('node:fs')).lchownSync(link, other, other);
    assert.match((await runCommand(['status', '--socket', link])).stderr, /belongs to another user: the link is/);
    chmodSync(own, 0o777);
    const { code, stderr } = await runCommand(['status', '--socket', join(own, 'app.ctl')]);
    assert.equal(code, 1);
    assert.match(stderr, /everybody can replace files in \S+own; chmod o-w it/);
  });

  it('is steered by root if it is where only its owner can have put it, and whose words these are is said', async (t) => {
    const folder = shared(t);
    const theirs = join(folder, 'theirs');
    mkdirSync(theirs);
    chmodSync(theirs, 0o755);
    chownSync(theirs, other, other);
    await plant(t, join(theirs, 'app.ctl'), other);
    const { code, stdout, stderr } = await runCommand(['status', '--socket', join(theirs, 'app.ctl')]);
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^prefork: note: \S+app\.ctl belongs to \w+ \(uid 65534\): what it says is what that user says$/m,
    );
    assert.equal(stderr.trim().split('\n').length, 1, 'it is said once');
    assertPlain(stdout, 'status');
    // A third user could have put it there.
    chmodSync(theirs, 0o777);
    assert.equal((await runCommand(['status', '--socket', join(theirs, 'app.ctl')])).code, 1);
  });

  it('cannot hold a command by what is no pidfile', async (t) => {
    const folder = folderFor(t);
    for (const path of ['/dev/zero', folder]) {
      const { code, stderr } = await runCommand(['status', '--pid', path]);
      assert.equal(code, 1);
      assert.match(stderr, /^prefork: (?:cannot read|\S+ holds no pid)/);
    }
  });
});
