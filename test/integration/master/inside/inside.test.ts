/** Looking into workers: what is in flight, where they are, a profile, a trace, the heap. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ShownRequests, ShownStack } from '../../../../src/protocol/requests.ts';
import { type CommandEnd, runCommand } from '../../../support/command.ts';
import { stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { fourKinds, table, total } from '../../../support/load/mix.ts';
import { bin, fixture } from '../../../support/paths.ts';
import { fdCount, listensOf } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

const within = stretched(20_000);

async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers: 2, ...options, args: ['-p', 'app.pid', ...(options.args ?? [])] });
  await s.waitReady();
  return s;
}

const socketOf = (s: Supervisor): { socketPath: string } => ({ socketPath: join(s.dir, 'app.ctl') });

/** Runs a command in the folder of the service. */
function run(s: Supervisor, ...words: readonly string[]): Promise<CommandEnd> {
  return runCommand([...words, '--pid', join(s.dir, 'app.pid')], { cwd: s.dir });
}

async function get<T>(s: Supervisor, path: string): Promise<T> {
  const { status, body } = await request(socketOf(s), path);
  assert.equal(status, 200, body);
  return JSON.parse(body) as T;
}

async function post(s: Supervisor, path: string, fields: object) {
  const headers = { 'content-type': 'application/json' };
  return await request(socketOf(s), path, { method: 'POST', body: JSON.stringify(fields), headers, timeout: 60_000 });
}

/** Waits until all of these are in flight, and gives what is shown of them then. */
async function inFlight(s: Supervisor, urls: readonly string[], path = '/requests'): Promise<ShownRequests> {
  return await until(
    `${urls.join(' ')} in flight`,
    async () => {
      const shown = await get<ShownRequests>(s, path);
      return urls.every((url) => shown.requests.some((each) => each.url === url)) ? shown : null;
    },
    { within },
  );
}

/** What is in a file that a command has written. */
function parsed(s: Supervisor, file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(s.dir, file), 'utf8')) as Record<string, unknown>;
}

function assertProfile(profile: Record<string, unknown>): void {
  const { nodes, samples, timeDeltas, startTime, endTime } = profile;
  assert.ok(Array.isArray(nodes) && nodes.length > 3, 'nodes');
  assert.ok(Array.isArray(samples) && Array.isArray(timeDeltas) && samples.length === timeDeltas.length, 'samples');
  assert.ok(samples.length > 10, `${samples.length} samples`);
  const ids = new Set(nodes.map((node) => (node as { id: number }).id));
  assert.ok(samples.every((sample) => ids.has(sample as number)));
  assert.ok(Number(endTime) > Number(startTime));
}

function assertSnapshot(snapshot: Record<string, unknown>): void {
  const { meta, node_count: count } = snapshot.snapshot as { meta: { node_fields: unknown[] }; node_count: number };
  assert.ok(meta.node_fields.length > 3 && count > 1_000);
  assert.equal((snapshot.nodes as unknown[]).length, count * meta.node_fields.length, 'it is complete');
}

const leftovers = (s: Supervisor): string[] => readdirSync(s.dir).filter((name) => name.includes('.part'));

describe('INS-01 what is in flight', () => {
  it('INS-01 many requests with long URLs are shown, and nobody is killed for them', async (t) => {
    const s = await start(t, { workers: 1 });
    const [pid] = s.workers();
    const padding = 'x'.repeat(8_000);
    const sent = Array.from({ length: 80 }, () => request(s.target, `/slow?ms=${stretched(2_000)}&${padding}`));
    const shown = await until(
      'all of them in flight',
      async () => {
        const found = await get<ShownRequests>(s, '/requests?most=100');
        return found.requests.length === 80 ? found : null;
      },
      { within },
    );
    assert.ok(shown.requests.every(({ url }) => url.length === 500));
    assert.ok((await Promise.all(sent)).every(({ status }) => status === 200));
    assert.deepEqual(s.workers(), [pid]);
    await stopClean(s);
  });

  it('is shown with where it is, the oldest first, and without its query on the admin address', async (t) => {
    const port = await freePort();
    const s = await start(t, { args: ['--admin', `127.0.0.1:${port}`] });
    const slow = request(s.target, '/slow?ms=60000&token=secret').catch(() => {});
    await inFlight(s, ['/slow?ms=60000&token=secret']);
    const upload = RawSocket.open(s.target);
    upload.write(`${head('/upload', { 'content-length': '1000' }, 'POST')}abc`);
    await inFlight(s, ['/upload']);
    const stream = RawSocket.open(s.target);
    stream.write(head('/stream?gate=1'));
    const shown = await inFlight(s, ['/stream?gate=1']);
    const told = shown.requests.map(({ method, url, phase }) => [method, url, phase]);
    assert.deepEqual(told, [
      ['GET', '/slow?ms=60000&token=secret', 'app'],
      ['POST', '/upload', 'body'],
      ['GET', '/stream?gate=1', 'sending'],
    ]);
    assert.equal(shown.inFlight, 3);
    assert.deepEqual(shown.silent, []);
    const ages = shown.requests.map(({ age }) => age);
    assert.deepEqual(
      [...ages].sort((a, b) => b - a),
      ages,
    );
    for (const { pid, slot } of shown.requests) assert.ok(s.workers().includes(pid) && (slot === 0 || slot === 1));

    const { body } = await request({ port }, '/requests');
    assert.match(body, /"url":"\/slow"/);
    assert.doesNotMatch(body, /secret/);
    assert.equal((await request({ port }, '/stack')).status, 404);
    for (const path of ['/profile', '/heap', '/trace'])
      assert.notEqual((await request({ port }, path, { method: 'POST', body: '{"slot":0}' })).status, 200);

    const [first] = shown.requests;
    const one = await run(s, 'requests', String(first?.slot));
    assert.match(one.stdout, /^ *AGE +SLOT +METHOD +PHASE +URL\n/);
    assert.match(one.stdout, /s +\d +GET +in the app +\/slow\?ms=60000&token=secret$/m);
    const all = await run(s, 'requests');
    assert.match(all.stdout, /reading the body +\/upload$/m);
    assert.match(all.stdout, /^3 in flight$/m);
    upload.close();
    stream.close();
    s.signal('SIGKILL');
    await slow;
  });

  it('is shown of HTTP/2 as well', async (t) => {
    const port = await freePort();
    const s = await start(t, { env: { H2_PORT: String(port) } });
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    const ask = (headers: http2.OutgoingHttpHeaders, endStream = true): http2.ClientHttp2Stream => {
      const stream = session.request(headers, { endStream });
      stream.on('error', () => {});
      return stream;
    };
    ask({ ':path': '/slow?ms=60000' });
    ask({ ':path': '/upload', ':method': 'POST' }, false).write('abc');
    const { requests } = await inFlight(s, ['/slow?ms=60000', '/upload']);
    const phases = Object.fromEntries(requests.map(({ url, phase }) => [url, phase]));
    assert.deepEqual(phases, { '/slow?ms=60000': 'app', '/upload': 'body' });
    session.destroy();
  });

  it('is shown of a client that does not read', async (t) => {
    const s = await start(t, { app: fixture('inside/big.cjs') });
    const reader = connect(s.port, '127.0.0.1');
    reader.on('error', () => {});
    reader.pause();
    reader.write(head('/big'));
    const { requests } = await until(
      'the client to be waited for',
      async () => {
        const shown = await get<ShownRequests>(s, '/requests');
        return shown.requests.some(({ phase }) => phase === 'client') ? shown : null;
      },
      { within },
    ).finally(() => reader.destroy());
    assert.deepEqual(
      requests.map(({ url, phase }) => [url, phase]),
      [['/big', 'client']],
    );
    await stopClean(s);
  });

  it('of a blocked worker is shown, and said to be blocked', async (t) => {
    const s = await start(t);
    const blocked = request(s.target, '/spin-forever').catch(() => {});
    const shown = await until(
      'a silent worker',
      async () => {
        const now = await get<ShownRequests>(s, '/requests');
        return now.silent.length === 1 ? now : null;
      },
      { within },
    );
    assert.deepEqual(
      shown.requests.map(({ url, phase }) => [url, phase]),
      [['/spin-forever', 'app']],
    );
    const { stdout } = await run(s, 'requests');
    assert.match(stdout, /does not answer: its event loop is blocked; prefork stack [01] shows where/);
    s.signal('SIGKILL');
    await blocked;
  });
});

describe('INS-02 the stack of each worker', { skip: process.platform !== 'linux' && 'needs Linux' }, () => {
  it('is that of the loop that blocks it, or says what is waited for', async (t) => {
    const s = await start(t);
    const blocked = request(s.target, '/spin-forever').catch(() => {});
    const { workers } = await until(
      'a worker that is blocked',
      async () => {
        const now = await get<{ workers: readonly ShownStack[] }>(s, '/stack');
        // It may still be on its way there.
        return now.workers.some(({ stack }) => /^at spinForever /.test(stack[0] ?? '')) ? now : null;
      },
      { within },
    );
    const running = workers.find(({ state }) => state === 'running');
    assert.match(running?.stack[0] ?? '', /^at spinForever \(.*fixtures\/app\.cjs:\d+:\d+\)$/);
    assert.deepEqual(
      running?.requests.map(({ url }) => url),
      ['/spin-forever'],
    );
    assert.equal(workers.filter(({ state }) => state === 'waiting').length, 1);
    const { stdout } = await run(s, 'stack');
    assert.match(stdout, /^ {4}at spinForever \(/m);
    assert.match(stdout, /its event loop turns; it waits for /);
    const refused = await run(s, 'profile', String(running?.slot), '--for', '1s');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /does not answer: its event loop is blocked; prefork stack [01] shows where/);
    assert.deepEqual(leftovers(s), []);
    s.signal('SIGKILL');
    await blocked;
  });

  it('is asked for as often as anybody likes, and no worker is taken for hostile', async (t) => {
    const s = await start(t, { workers: 1 });
    const before = s.workers();
    const ask = async (): Promise<void> => {
      for (let count = 0; count < 100; count += 1) await Promise.all([get(s, '/stack'), get(s, '/requests')]);
    };
    await Promise.all([ask(), ask()]);
    assert.deepEqual(s.workers(), before);
    await stopClean(s);
  });
});

describe('INS-03 a profile and a trace', () => {
  it('are taken under load, and no request is lost: the files are what DevTools and Perfetto read', async (t) => {
    const s = await start(t);
    const load = startLoad(t, { target: s.target, groups: fourKinds });
    await load.answered(100);
    const [profile, trace] = await Promise.all([
      run(s, 'profile', '0', '--for', '2s', '-o', 'a.cpuprofile'),
      run(s, 'trace', '1', '--for', '1500ms', '-o', 'a.trace.json'),
    ]);
    assert.equal(profile.code, 0, profile.stderr);
    assert.equal(trace.code, 0, trace.stderr);
    await load.further(100);
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    assert.equal(total(report).sent, total(report).answered + total(report).failed);
    assertProfile(parsed(s, 'a.cpuprofile'));
    const { traceEvents } = parsed(s, 'a.trace.json') as { traceEvents: { name: string; ph: string }[] };
    assert.ok(traceEvents.some(({ name }) => name === 'http.server.request'));
    assert.equal(statSync(join(s.dir, 'a.cpuprofile')).mode & 0o777, 0o600);
    assert.match(profile.stderr, /^slot 0 \(pid \d+\): a profile of 2 s is taken; it goes on serving/);
    // No inspector is open, and none was.
    for (const pid of s.workers())
      assert.deepEqual(
        listensOf(pid).filter(({ port }) => port !== s.port),
        [],
      );
    await stopClean(s);
  });

  it('have a name of their own, go to stdout, and are one at a time of a worker', async (t) => {
    const s = await start(t);
    const named = await run(s, 'profile', '1', '--for', '0.2s');
    assert.equal(named.code, 0, named.stderr);
    const [file = ''] = readdirSync(s.dir).filter((name) => name.endsWith('.cpuprofile'));
    assert.match(file, /^app-slot1-\d{8}T\d{6}Z\.cpuprofile$/);
    const printed = await run(s, 'profile', '1', '--for', '300ms', '-o', '-');
    assertProfile(JSON.parse(printed.stdout) as Record<string, unknown>);

    const first = post(s, '/profile', { slot: 0, seconds: 60 }).catch(() => null);
    await s.waitForLog(/an operator takes a profile of the worker for 60 s/);
    const second = await run(s, 'heap', '0', '-o', 'b.heapsnapshot');
    assert.equal(second.code, 1);
    assert.match(second.stderr, /the worker of slot 0 is being looked into already/);
    assert.ok(!existsSync(join(s.dir, 'b.heapsnapshot')));
    assert.deepEqual(leftovers(s), []);
    // The worker is recycled in the middle: the profile is as long as its life.
    await run(s, 'recycle', '0');
    const early = await first;
    assert.equal(early?.status, 200);
    assert.match(String(early.headers['prefork-note']), /the worker was told to leave: it covers/);
    assertProfile(JSON.parse(early.body) as Record<string, unknown>);
    await stopClean(s);
  });

  it('leave nothing if they are given up, or if the worker dies; a file that was there stays as it was', async (t) => {
    const s = await start(t);
    const kept = join(s.dir, 'kept.cpuprofile');
    writeFileSync(kept, 'precious');
    const begin = async () => {
      const since = s.log.length;
      const words = ['profile', '0', '--for', '60s', '-o', 'kept.cpuprofile', '--pid', join(s.dir, 'app.pid')];
      const child = spawn(process.execPath, [bin, ...words], { cwd: s.dir, stdio: ['ignore', 'ignore', 'pipe'] });
      t.after(() => child.kill('SIGKILL'));
      let said = '';
      child.stderr.on('data', (chunk) => (said += String(chunk)));
      const ended = once(child, 'close') as Promise<[number | null]>;
      await s.waitForLog(/an operator takes a profile/, { since });
      return { child, since, end: async () => ({ code: (await ended)[0], said }) };
    };
    const given = await begin();
    given.child.kill('SIGINT');
    const { code, said } = await given.end();
    assert.equal(code, 130);
    assert.match(said, /the profile was given up; there is no file/);
    await s.waitForLog(/there is no profile of the worker/, { since: given.since });
    // The worker is free again at once.
    assert.equal((await run(s, 'profile', '0', '--for', '100ms', '-o', 'c.cpuprofile')).code, 0);

    const doomed = await begin();
    const { workers } = await get<{ workers: { slot: number; pid: number }[] }>(s, '/status');
    process.kill(workers.find(({ slot }) => slot === 0)?.pid ?? 0, 'SIGKILL');
    const end = await doomed.end();
    assert.equal(end.code, 1);
    assert.match(end.said, /the worker of slot 0: the worker went away before it was done/);
    assert.equal(readFileSync(kept, 'utf8'), 'precious');
    assert.deepEqual(leftovers(s), []);
    await s.waitWorkers(2);
    await stopClean(s);
  });

  it('are refused in one line for what cannot be, before anything is begun', async (t) => {
    const s = await start(t);
    const lines: readonly (readonly [words: readonly string[], expected: RegExp])[] = [
      [['profile', '7'], /^prefork: there is no slot 7; expected one of 0, 1\n$/],
      [['profile', 'x'], /^prefork: expected the number of a slot, got "x"\n$/],
      [['stack', '7'], /^prefork: slot: expected one of 0, 1\n$/],
      [['requests', '-1'], /^prefork: /],
      [['profile', '0', '--for', 'soon'], /^prefork: --for: expected a time such as 500ms, 10s or 2m, .*got "soon"\n$/],
      [['profile', '0', '--for', '1h'], /^prefork: --for: expected a time/],
      [['profile', '0', '--for', '0'], /^prefork: --for: expected a time/],
      [['profile', '0', '-o', 'none/x'], /^prefork: cannot write none\/x: its folder is not there\n$/],
      [['heap', '0', '-o', '.'], /^prefork: cannot write \.: it is a folder\n$/],
      [['heap', '0', '--for', '1s'], /^prefork: command line: unknown argument: for\n$/],
    ];
    for (const [words, expected] of lines) {
      const { code, stderr } = await run(s, ...words);
      assert.ok(code === 1 || code === 2, words.join(' '));
      assert.match(stderr, expected, words.join(' '));
    }
    assert.ok(!s.log.some(({ msg }) => /an operator takes/.test(msg)));
    for (const fields of [
      {},
      { slot: '0' },
      { slot: 9 },
      { slot: 0.5 },
      { slot: 0, seconds: 'x' },
      { slot: 0, seconds: 1e9 },
    ])
      assert.equal((await post(s, '/profile', fields)).status, 400, JSON.stringify(fields));
    const full = await run(s, 'trace', '0', '--for', '200ms', '-o', '/dev/full');
    assert.match(full.stderr, /cannot write \/dev\/full: the disk is full/);
    await stopClean(s);
  });
});

describe('INS-04 a heap snapshot', () => {
  it('stops its worker and no client: others serve meanwhile, and it is not taken for stuck', async (t) => {
    const timeout = stretched(1_500);
    const s = await start(t, {
      args: ['--timeout', `${timeout}ms`],
      env: { SNAPSHOT_MS: String(timeout * 2) },
      config: { nodeArgs: ['--require', fixture('inside/slow-snapshot.cjs')] },
    });
    const [fds = 0] = s.workers().map(fdCount);
    const before = s.workers();
    const load = startLoad(t, { target: s.target, groups: fourKinds });
    await load.answered(100);
    const { code, stderr } = await run(s, 'heap', '0', '-o', 'a.heapsnapshot');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /it stops until a snapshot of its heap \(.*\) is taken; other workers serve meanwhile/);
    await load.further(100);
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    assertSnapshot(parsed(s, 'a.heapsnapshot'));
    assert.deepEqual(s.workers(), before, 'no worker was replaced');
    assert.ok(!s.log.some(({ msg }) => /stuck|is blocked/.test(msg)), s.describe());
    // It takes connections again, and its file is closed.
    await until(
      'both to serve',
      async () => {
        const pids = new Set<unknown>();
        for (let count = 0; count < 20; count += 1)
          pids.add((JSON.parse((await request(s.target, '/pid')).body) as { pid: unknown }).pid);
        return pids.size === 2;
      },
      { within },
    );
    await until('no descriptor to be left', () => s.workers().every((pid) => fdCount(pid) <= fds + 3), { within });
    await stopClean(s);
  });

  it('that is given up in the middle ends, and its worker serves on', async (t) => {
    const timeout = stretched(1_500);
    const s = await start(t, {
      workers: 1,
      args: ['--timeout', `${timeout}ms`],
      env: { SNAPSHOT_MS: String(timeout * 2) },
      config: { nodeArgs: ['--require', fixture('inside/slow-snapshot.cjs')] },
    });
    const before = s.workers();
    const running = run(s, 'heap', '0', '-o', 'a.heapsnapshot');
    await s.waitForLog(/stops for a heap snapshot/);
    await pause(timeout / 2);
    const given = runCommand(['heap', '0', '-o', '/dev/null', '--pid', join(s.dir, 'app.pid')]);
    assert.equal((await given).code, 1);
    assert.equal((await running).code, 0);
    const again = await runCommand(['heap', '0', '-o', 'b.heapsnapshot', '--pid', join(s.dir, 'app.pid')], {
      cwd: s.dir,
      interruptAfter: stretched(1_500),
    });
    assert.ok(again.code === 130 || again.code === 0, again.stderr);
    await s.waitServing('/healthz', stretched(20_000));
    assert.deepEqual(s.workers(), before);
    assert.deepEqual(leftovers(s), []);
    assert.ok(!s.log.some(({ msg }) => /stuck|is blocked/.test(msg)), s.describe());
    await stopClean(s);
  });
});
