/** The control socket and the commands that use it; the admin address. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from '../../../support/command.ts';
import { stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { fourKinds, table, total } from '../../../support/load/mix.ts';
import { fdCount } from '../../../support/proc.ts';
import { freePort, request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers: 2, ...options, args: ['-p', 'app.pid', ...(options.args ?? [])] });
  await s.waitReady();
  return s;
}

const socketOf = (s: Supervisor): string => join(s.dir, 'app.ctl');
const of = (s: Supervisor): string[] => ['--pid', join(s.dir, 'app.pid')];

async function post(s: Supervisor, path: string, body: string, headers: Record<string, string> = {}) {
  const type = { 'content-type': 'application/json' };
  return await request({ socketPath: socketOf(s) }, path, { method: 'POST', body, headers: { ...type, ...headers } });
}

describe('commands', () => {
  it('status, workers and config say what is; the values of variables are not shown: SEC-04', async (t) => {
    const s = await start(t, { env: { SECRET_X: 's3cr3t' }, args: ['-e', 'TOKEN=s3cr3t'] });
    const { code, stdout } = await runCommand(['status', ...of(s)]);
    assert.equal(code, 0);
    assert.match(stdout, /^app: running, healthy, 2 of 2 workers ready\n/);
    const json = JSON.parse((await runCommand(['status', '--json', ...of(s)])).stdout) as Record<string, unknown>;
    assert.deepEqual([json.version, json.name, json.pid, json.generation, json.state], [1, 'app', s.pid, 1, 'running']);
    const workers = json.workers as Record<string, unknown>[];
    assert.deepEqual(workers.map(({ pid }) => pid).sort(), s.workers().sort());
    for (const name of [
      'slot',
      'id',
      'phase',
      'uptime',
      'requests',
      'inFlight',
      'connections',
      'rss',
      'heapUsed',
      'loopDelayP99',
      'loopUtilisation',
      'restarts',
    ])
      assert.ok(name in (workers[0] ?? {}), name);
    assert.deepEqual((json.listeners as { address: string }[])[0]?.address, `127.0.0.1:${s.port}`);
    const { stdout: config } = await runCommand(['config', ...of(s)]);
    assert.match(config, /"TOKEN": "\*\*\*"/);
    for (const text of [config, stdout, JSON.stringify(json), s.stderr.text]) assert.doesNotMatch(text, /s3cr3t/);
    await stopClean(s, { gone: [socketOf(s)] });
  });

  it('RLD-08 reload --wait: 0 and the new generation, or 1 and the reason, under load', async (t) => {
    const s = await start(t);
    const load = startLoad(t, { target: s.target, groups: fourKinds });
    await load.answered(100);
    const good = await runCommand(['reload', '--wait', ...of(s)]);
    assert.deepEqual([good.code, /^reload 1 done in [\d.]+ s, generation 2 serves\n$/.test(good.stdout)], [0, true]);
    s.set('boot', 'throw');
    const bad = await runCommand(['reload', '--wait', ...of(s)]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /^prefork: reload 2 failed, nothing was changed: .*this version cannot start$/m);
    const { reload } = JSON.parse((await runCommand(['status', '--json', ...of(s)])).stdout) as {
      reload: { last: { verdict: string; reload: number; reason: string } };
    };
    assert.deepEqual([reload.last.verdict, reload.last.reload], ['rejected', 2]);
    s.set('boot', 'ok');
    assert.equal((await runCommand(['reload', '--wait', ...of(s)])).code, 0);
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    await stopClean(s);
  });

  it('reload --wait during a reload waits for its own; without --wait it comes back at once', async (t) => {
    const s = await start(t, { env: { BOOT: 'slow:800' } });
    const asked = await runCommand(['reload', ...of(s)]);
    assert.equal(asked.code, 0);
    await s.waitForLog(/^reload 1 started/);
    const waited = await runCommand(['reload', '--wait', ...of(s)]);
    assert.match(waited.stdout, /^reload 2 done/);
    assert.match(waited.stderr, /^reload [12]: the first new worker boots$/m);
    await stopClean(s);
  });

  it('scale, recycle, reopen, stop', async (t) => {
    const s = await start(t, { args: ['--max-workers', '4'] });
    assert.equal((await runCommand(['scale', '+1', ...of(s)])).code, 0);
    await s.waitWorkers(3);
    assert.equal((await runCommand(['scale', '-2', ...of(s)])).code, 0);
    await s.waitWorkers(1);
    assert.equal((await runCommand(['scale', '3', ...of(s)])).code, 0);
    const before = await s.waitWorkers(3);
    for (const [amount, expected] of [
      ['5', /expected from 1 to 4 workers \(maxWorkers\), got 5/],
      ['0', /expected from 1 to 4/],
      ['lots', /expected N, \+N or -N, got "lots"/],
    ] as const) {
      const { code, stderr } = await runCommand(['scale', amount, ...of(s)]);
      assert.equal(code, 1);
      assert.match(stderr, expected);
      assert.equal(stderr.trim().split('\n').length, 1);
    }
    assert.equal((await runCommand(['recycle', '1', ...of(s)])).code, 0);
    await until(
      'one new worker',
      () => s.workers().filter((pid) => !before.includes(pid)).length === 1 && s.workers().length === 3,
    );
    assert.match((await runCommand(['recycle', '9', ...of(s)])).stderr, /slot: expected one of 0, 1, 2/);
    assert.equal((await runCommand(['recycle', ...of(s)])).code, 0);
    await until(
      'all new workers',
      () => s.workers().length === 3 && s.workers().every((pid) => !before.includes(pid)),
      { within: 30_000 },
    );
    assert.equal((await runCommand(['reopen', ...of(s)])).code, 0);
    const { code, stdout } = await runCommand(['stop', ...of(s)]);
    assert.deepEqual([code, stdout], [0, `stopped (pid ${s.pid})\n`]);
    await s.waitExit();
    await stopClean(s, { gone: [socketOf(s), join(s.dir, 'app.pid')] });
  });

  it('where no service runs, or the words make no sense: one line, and a status that is not 0', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'prefork-none-'));
    t.after(() => rmSync(dir, { recursive: true }));
    writeFileSync(join(dir, 'odd.pid'), 'what');
    writeFileSync(join(dir, 'dead.pid'), '4194000\n');
    const env = { XDG_RUNTIME_DIR: dir };
    for (const [args, code, expected] of [
      [['status'], 1, /^prefork: not running: there is no service of this user$/],
      [['status', '-p', 'no.pid'], 1, /^prefork: not running: there is no .*no\.pid$/],
      [['status', '-p', 'odd.pid'], 1, /^prefork: .*odd\.pid holds no pid$/],
      [['reload', '--wait', '-p', 'dead.pid'], 1, /^prefork: not running: nothing answers for pid 4194000/],
      [['stop', '--socket', 'no.ctl'], 1, /^prefork: no prefork listens on .*no\.ctl$/],
      [['status', '--name', 'shop'], 1, /^prefork: not running: there is no service named shop$/],
      [['scale'], 2, /^prefork: command line: not enough non-option arguments/],
      [['status', '-p'], 2, /^prefork: command line: not enough arguments following: p$/],
      [['stop', '--name', '--now'], 2, /^prefork: command line: not enough arguments following: name$/],
      [['status', '--jsn'], 2, /^prefork: command line: unknown argument: jsn; did you mean --json\?$/],
    ] as const) {
      const ended = await runCommand(args, { cwd: dir, env });
      assert.equal(ended.code, code, args.join(' ') + ended.stderr);
      assert.match(ended.stderr.trim(), expected);
    }
  });

  it('finds a service without a pidfile by its name, or as the only one; says which where there are several', async (t) => {
    const runtime = mkdtempSync(join(tmpdir(), 'prefork-run-'));
    t.after(() => rmSync(runtime, { recursive: true, force: true }));
    const env = { XDG_RUNTIME_DIR: runtime };
    const one = await startSupervisor(t, { workers: 1, env, args: ['-n', 'one'] });
    await one.waitReady();
    assert.equal(lstatSync(join(runtime, 'prefork')).mode & 0o777, 0o700);
    assert.match((await runCommand(['status'], { env, cwd: runtime })).stdout, /^one: running/);
    const two = await startSupervisor(t, { workers: 1, env, args: ['-n', 'two'] });
    await two.waitReady();
    assert.match(
      (await runCommand(['status'], { env, cwd: runtime })).stderr,
      /several services of this user: one \(pid \d+\), two/,
    );
    assert.match((await runCommand(['status', '--name', 'two'], { env })).stdout, /^two: running/);
    await stopClean(one);
    await stopClean(two);
    assert.match((await runCommand(['status'], { env, cwd: runtime })).stderr, /not running/);
  });

  it('finds a service with a pidfile by its name as well, whatever the name, and each only once', async (t) => {
    const runtime = mkdtempSync(join(tmpdir(), 'prefork-run-'));
    t.after(() => rmSync(runtime, { recursive: true, force: true }));
    const env = { XDG_RUNTIME_DIR: runtime };
    const options = { workers: 1, env, args: ['-n', '@acme/my shop'] };
    const s = await start(t, options);
    for (const args of [[], ['--name', '@acme/my shop'], of(s)])
      assert.match(
        (await runCommand(['status', ...args], { env, cwd: runtime })).stdout,
        /^@acme\/my shop: running/,
        `${args}`,
      );
    assert.match((await runCommand(['status', '--name', 'other'], { env })).stderr, /no service named other/);
    // What leads to it is made anew, by the next look at the latest.
    const [link = ''] = readdirSync(join(runtime, 'prefork'));
    assert.equal(realpathSync(join(runtime, 'prefork', link)), socketOf(s));
    // One that was left behind, and leads to the same.
    symlinkSync(socketOf(s), join(runtime, 'prefork', link.replace(/-\d+\.ctl$/, '-4194305.ctl')));
    assert.match((await runCommand(['status'], { env, cwd: runtime })).stdout, /: running/);
    await s.reload();
    assert.match((await runCommand(['stop', '--name', '@acme/my shop'], { env })).stdout, /^stopped/);
    await s.waitExit();
    assert.equal(existsSync(join(runtime, 'prefork', link)), false);
  });

  it('completion: its script asks for the words, and gets those of commands, their options and a start’s', async () => {
    const script = (await runCommand(['completion'])).stdout;
    assert.match(script, /--get-yargs-completions/);
    const wordsFor = async (...words: string[]): Promise<string[]> => {
      const { code, stdout, stderr } = await runCommand(['--get-yargs-completions', 'prefork', ...words]);
      assert.equal(code, 0, stderr);
      return stdout.trim().split('\n');
    };
    const first = await wordsFor('re');
    for (const word of ['reload', 'recycle', 'reopen', 'status', 'stop', 'check'])
      assert.ok(first.includes(word), word);
    assert.ok((await wordsFor('reload', '--')).includes('--wait'));
    assert.ok(!(await wordsFor('reload', '--')).includes('--workers'));
    for (const words of [['--wo'], ['check', '--wo']]) assert.ok((await wordsFor(...words)).includes('--workers'));
  });

  it('init writes a configuration that works, once', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'prefork-init-'));
    t.after(() => rmSync(dir, { recursive: true }));
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ scripts: { start: 'node src/main.js' } }));
    mkdirSync(join(dir, 'src'));
    writeFileSync(join(dir, 'src/main.js'), 'require("http").createServer().listen(0)');
    assert.equal((await runCommand(['init', '--yes'], { cwd: dir })).code, 0);
    assert.match((await runCommand(['check'], { cwd: dir })).stdout, /^OK: \d+ workers for .*src\/main\.js$/m);
    const again = await runCommand(['init', '--yes'], { cwd: dir });
    assert.deepEqual([again.code, /exists already/.test(again.stderr)], [1, true]);
  });
});

describe('SEC-04', () => {
  it('what a configuration holds of secrets is shown nowhere: config, status, metrics, log, process titles', async (t) => {
    const admin = await freePort();
    const s = await startSupervisor(t, {
      workers: 1,
      env: { DB_URL: 's3cr3t-1' },
      config: {
        env: { API_KEY: 's3cr3t-2', OF_SLOT: 's3cr3t-{slot}' },
        args: ['--password=s3cr3t-3'],
        nodeArgs: ['--title=s3cr3t-4'],
        release: 'TOKEN="s3cr3t 5" OTHER=s3cr3t-6 false postgres://me:s3cr3t-7@db --api-token s3cr3t-8',
        statsd: '127.0.0.1:9',
        statsdTags: { key: 's3cr3t-9' },
        admin: `127.0.0.1:${admin}`,
        pidfile: 'app.pid',
        logLevel: 'trace',
      },
    });
    await s.waitReady();
    const told = [(await runCommand(['config', ...of(s)])).stdout];
    assert.match(told[0] ?? '', /TOKEN=\*\*\* OTHER=\*\*\* false postgres:\/\/\*\*\*@db --api-token \*\*\*/);
    const reload = await runCommand(['reload', '--wait', ...of(s)]);
    assert.equal(reload.code, 1);
    assert.match(reload.stderr, /release command "TOKEN=\*\*\*/);
    told.push(reload.stderr, (await runCommand(['status', '--json', ...of(s)])).stdout);
    for (const path of ['/status', '/metrics', '/timeline', '/health/ready'])
      told.push((await request({ port: admin }, path)).body);
    for (const pid of [s.pid, ...s.workers()]) told.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    await stopClean(s, { ports: [admin] });
    told.push(s.stderr.text);
    for (const text of told) assert.doesNotMatch(text, /s3cr3t/);
  });
});

describe('the socket', () => {
  it('SEC-01: mode 0600, nobody else’s', { skip: process.geteuid?.() === 0 ? false : 'needs root' }, async (t) => {
    const s = await start(t, { umask: 0 });
    assert.equal(lstatSync(socketOf(s)).mode & 0o777, 0o600);
    // So that it is the socket that refuses, and not the folder.
    chmodSync(s.dir, 0o755);
    const other = await runCommand(['status', ...of(s)], { uid: 65_534 });
    assert.equal(other.code, 1);
    assert.match(other.stderr, /^prefork: \S+app\.ctl belongs to another user$/m);
    const direct = await runCommand(['stop', '--socket', socketOf(s)], { uid: 65_534 });
    assert.match(direct.stderr, /belongs to another user$/m);
    await stopClean(s);
  });

  it('a master that is stopped is one line after a while, and not a command that hangs', async (t) => {
    const s = await start(t);
    process.kill(s.pid, 'SIGSTOP');
    const { code, stderr } = await runCommand(['status', '--socket', socketOf(s)]);
    process.kill(s.pid, 'SIGCONT');
    assert.deepEqual([code, /no answer within 10 s$/.test(stderr.trim())], [1, true], stderr);
    await stopClean(s);
  });

  it('CTL-02 CTL-03: it survives reloads, and comes back where somebody removes it', async (t) => {
    const s = await start(t);
    assert.match((await s.reload()).msg, /done/);
    assert.equal((await runCommand(['status', ...of(s)])).code, 0);
    unlinkSync(socketOf(s));
    s.signal('SIGHUP');
    await s.waitForLog(/^the control socket was removed by somebody; it is there again/, { within: 30_000 });
    assert.equal((await runCommand(['status', ...of(s)])).code, 0);
    await stopClean(s, { gone: [socketOf(s)] });
  });

  it('a live one is refused where it was asked for by name, a stale one is replaced', async (t) => {
    const s = await start(t);
    const second = await startSupervisor(t, { workers: 1, args: ['--control-socket', socketOf(s)] });
    assert.equal((await second.waitExit()).code, 1);
    assert.match(second.stderr.text, /address in use/);
    assert.equal((await runCommand(['status', ...of(s)])).code, 0);
    process.kill(s.pid, 'SIGKILL');
    await s.waitExit();
    assert.ok(existsSync(socketOf(s)));
    const third = await startSupervisor(t, { workers: 1, args: ['--control-socket', socketOf(s)] });
    await third.waitReady();
    assert.match((await runCommand(['status', '--socket', socketOf(s)])).stdout, /^app: running/);
    await stopClean(third, { gone: [socketOf(s)] });
  });

  it('CTL-01: whatever is sent, the master goes on, and keeps no descriptor', async (t) => {
    const s = await start(t);
    const fds = fdCount(s.pid);
    for (const [path, body, status, headers] of [
      ['/reload', '{"wait":"yes"}', 400, {}],
      ['/reload', '[1]', 400, {}],
      ['/reload', '{"wait"', 400, {}],
      ['/reload', 'wait=1', 415, { 'content-type': 'text/plain' }],
      ['/scale', '{}', 400, {}],
      ['/scale', '{"to":"3"}', 400, {}],
      ['/scale', '{"to":1e9}', 400, {}],
      ['/scale', '{"to":2,"by":1}', 400, {}],
      ['/scale', '{"__proto__":{"to":2}}', 400, {}],
      ['/stop', '{"now":1}', 400, {}],
      ['/recycle', '{"slot":"0; rm"}', 400, {}],
      ['/recycle', '{"slot":-1}', 400, {}],
      ['/status', '{}', 405, {}],
      ['/../../etc/passwd', '{}', 404, {}],
      ['/nothing', '{}', 404, {}],
      ['/reload', 'x'.repeat(200_000), 413, {}],
    ] as const) {
      const answer = await post(s, path, body, headers).catch((error: NodeJS.ErrnoException) => error);
      // Of a body that is too large the rest is not read, and the connection may be gone first.
      if (answer instanceof Error) assert.equal(status, 413, `${path} ${body.slice(0, 40)}: ${answer.message}`);
      else assert.equal(answer.status, status, `${path} ${body.slice(0, 40)}: ${answer.body}`);
    }
    const sockets = Array.from({ length: 100 }, () => connect(socketOf(s)).on('error', () => {}));
    for (const [index, socket] of sockets.entries()) {
      if (index % 4 === 0) socket.write('POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"wa');
      if (index % 4 === 1) socket.write(Buffer.from([0, 255, 1, 2, 10, 13, 10]));
      if (index % 4 === 2) socket.write('x'.repeat(100_000));
    }
    assert.equal((await request(s.target, '/healthz')).status, 200);
    // They keep nobody else out.
    assert.equal((await runCommand(['status', ...of(s)])).code, 0);
    for (const socket of sockets) socket.destroy();
    await until('the descriptors to be closed', () => fdCount(s.pid) <= fds + 1, { within: 20_000 });
    assert.equal((await runCommand(['status', ...of(s)])).code, 0);
    assert.equal(
      s.log.some(({ msg }) => /^reload \d+ started/.test(msg)),
      false,
    );
    await stopClean(s);
  });
});

describe('CTL-01', () => {
  it('thousands of requests at once by clients that do not read, and endless garbage, hold up nobody else', async (t) => {
    const s = await start(t);
    const asking = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_500);
    const sockets = Array.from({ length: 40 }, () => connect(socketOf(s)).on('error', () => {}));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (const [index, socket] of sockets.entries()) {
      socket.pause();
      socket.write(index % 4 === 3 ? 'x'.repeat(2_000_000) : asking);
    }
    const began = performance.now();
    assert.equal((await request({ socketPath: socketOf(s) }, '/status')).status, 200);
    assert.ok(performance.now() - began < stretched(8_000), `${performance.now() - began} ms`);
    for (const socket of sockets) socket.destroy();
    assert.doesNotMatch(s.stderr.text, /MaxListeners/);
    await stopClean(s);
  });
});

describe('the admin address', () => {
  it('SEC-02 SEC-03: read-only, for addresses and not for names, for no other site, and for no other path', async (t) => {
    const port = await freePort();
    const s = await start(t, { args: ['--admin', `127.0.0.1:${port}`] });
    const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      request({ port }, path, { headers, method });
    const status = await get('/status');
    assert.equal(status.status, 200);
    assert.equal(status.headers['cache-control'], 'no-store');
    assert.equal(status.headers['x-content-type-options'], 'nosniff');
    assert.equal(status.headers['access-control-allow-origin'], undefined);
    assert.equal((await get('/health/live')).status, 200);
    const ready = await get('/health/ready');
    assert.deepEqual([ready.status, (JSON.parse(ready.body) as { status: string }).status], [200, 'healthy']);
    assert.equal((await get('/status', { host: 'evil.example' })).status, 421);
    assert.equal((await get('/status', { host: `localhost:${port}` })).status, 200);
    assert.equal((await get('/status', { origin: 'https://evil.example' })).status, 403);
    for (const path of ['/reload', '/stop', '/scale', '/status'])
      assert.equal((await get(path, {}, 'POST')).status, 405);
    for (const path of ['/config', '/%2e%2e/etc/passwd', '/..%5c', `/${'x'.repeat(4_000)}`])
      assert.equal((await get(path)).status, 404);
    for (const method of ['OPTIONS', 'TRACE', 'DELETE']) assert.equal((await get('/status', {}, method)).status, 405);
    await stopClean(s, { ports: [port] });
  });

  it('in use: the service does not start, and says which address', async (t) => {
    const s = await start(t);
    const second = await startSupervisor(t, { workers: 1, args: ['--admin', `127.0.0.1:${s.port}`] });
    assert.equal((await second.waitExit()).code, 1);
    assert.match(second.stderr.text, new RegExp(`admin: cannot listen on 127\\.0\\.0\\.1:${s.port}: .*EADDRINUSE`));
    await stopClean(s);
  });
});
