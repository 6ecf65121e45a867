/** What an app tells prefork of its health, and what prefork tells the world: CTL-05. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { stopClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { total } from '../../../support/load/mix.ts';
import { fixture } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

const app = fixture('health/app.mjs');

interface Ready {
  readonly status: string;
  readonly components: Readonly<Record<string, { readonly status: string; readonly error?: string }>>;
  readonly workers: { readonly ready: number; readonly wanted: number };
  readonly version: string | null;
  readonly uptime: number;
}

async function ready(s: Supervisor, path = '/health/ready'): Promise<{ code: number; body: Ready }> {
  const { status, body } = await request(s.target, path);
  return { code: status, body: JSON.parse(body) as Ready };
}

async function becomes(s: Supervisor, status: string, within = 20_000): Promise<void> {
  await until(`readiness to be ${status}`, async () => (await ready(s)).body.status === status, { within });
}

function start(t: TestContext, options: SupervisorOptions): Promise<Supervisor> {
  return startSupervisor(t, { app, workers: 2, ...options });
}

/** A working directory whose files steer the app from its first line on. */
function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-health-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

describe('health paths on the app’s own port', () => {
  it('CTL-05: live and ready are answered ahead of the app, with GET and HEAD; anything else is the app’s', async (t) => {
    const s = await start(t, { args: ['--health'] });
    await s.waitReady();
    await becomes(s, 'healthy');
    const live = await request(s.target, '/health/live');
    assert.equal(live.status, 200);
    assert.match(live.headers['content-type'] ?? '', /json/);
    assert.equal(live.headers['cache-control'], 'no-store');
    const { code, body } = await ready(s);
    assert.equal(code, 200);
    assert.deepEqual([body.status, body.workers], ['healthy', { ready: 2, wanted: 2 }]);
    assert.match(String(body.version), /^\d+\.\d+\.\d+/);
    const silent = await request(s.target, '/health/ready?from=probe', { method: 'HEAD' });
    assert.deepEqual([silent.status, silent.body], [200, '']);
    for (const path of ['/health', '/health/ready/', '/health/readyx', '/other'])
      assert.equal((await requestJson(s.target, path)).url, path);
    assert.equal((await requestJson(s.target, '/health/live', { method: 'POST' })).url, '/health/live');
    await stopClean(s);
  });

  it('are the app’s without the setting; paths of one’s own turn it on', async (t) => {
    const plain = await start(t, {});
    await plain.waitReady();
    assert.equal((await requestJson(plain.target, '/health/live')).url, '/health/live');
    await stopClean(plain);
    const own = await start(t, { args: ['--health-live', '/livez', '--health-ready', '/readyz'] });
    await own.waitReady();
    assert.equal((await request(own.target, '/livez')).status, 200);
    await until('readiness', async () => (await ready(own, '/readyz')).code === 200);
    assert.equal((await requestJson(own.target, '/health/live')).url, '/health/live');
    await stopClean(own);
  });

  it('readiness is degraded while workers are missing, not_ready below readyQuorum, healthy again by itself', async (t) => {
    const s = await start(t, { args: ['--health', '--ready-quorum', '2'], workers: 3 });
    await s.waitReady();
    await becomes(s, 'healthy');
    writeFileSync(join(s.dir, 'bad-start'), '');
    const [one, two] = s.workers();
    process.kill(Number(one), 'SIGKILL');
    await becomes(s, 'degraded');
    process.kill(Number(two), 'SIGKILL');
    await becomes(s, 'not_ready');
    assert.equal((await ready(s)).code, 503);
    assert.equal((await request(s.target, '/health/live')).status, 200);
    rmSync(join(s.dir, 'bad-start'));
    await becomes(s, 'healthy', 60_000);
    await stopClean(s, { allow: /no cache to warm/ });
  });

  it('CTL-05: the admin address answers while every worker is blocked, and says whether they are', async (t) => {
    const admin = await freePort();
    const s = await startSupervisor(t, { workers: 2, args: ['--health', '--admin', `127.0.0.1:${admin}`] });
    await s.waitReady();
    const workers = s.workers();
    for (const pid of workers) process.kill(pid, 'SIGSTOP');
    try {
      for (const path of ['/health/live', '/health/ready', '/status', '/metrics']) {
        const began = performance.now();
        assert.equal((await request({ port: admin }, path)).status, 200, path);
        assert.ok(performance.now() - began < stretched(5_000), `${path} waits for no worker`);
      }
    } finally {
      for (const pid of workers) process.kill(pid, 'SIGCONT');
    }
    await stopClean(s, { ports: [admin] });
  });

  it('over HTTP/2 as well', async (t) => {
    const s = await startSupervisor(t, { app: fixture('node/http2-plain.mjs'), workers: 1, args: ['--health'] });
    await s.waitReady();
    const session = http2.connect(`http://127.0.0.1:${s.port}`);
    t.after(() => session.destroy());
    const status = await new Promise<number>((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({ ':path': '/health/live' });
      stream.on('response', (headers) => resolve(Number(headers[':status'])));
      stream.on('error', reject);
      stream.resume();
    });
    assert.equal(status, 200);
    session.close();
    await stopClean(s);
  });
});

describe('checks of the app', () => {
  it('a worker is ready when its startup work is done and its critical checks pass', async (t) => {
    const cwd = folderWith(t, { check: 'refused' });
    const s = await start(t, { args: ['--health'], cwd });
    await s.waitForLog(/^worker is not ready yet: health check "database" fails: refused/);
    await pause(600);
    assert.equal(
      s.log.some(({ msg }) => /^worker ready/.test(msg)),
      false,
    );
    writeFileSync(join(cwd, 'check'), 'ok');
    await s.waitReady(30_000);
    await becomes(s, 'healthy');
    const { components } = (await ready(s)).body;
    assert.deepEqual(components, {
      database: { status: 'healthy', critical: true },
      mail: { status: 'healthy', critical: false },
    });
    await stopClean(s);
  });

  it('BAD: a reload whose health check fails changes nothing, and says which; so does one whose startup work throws', async (t) => {
    const cwd = folderWith(t, { check: 'ok' });
    const s = await start(t, { args: ['--boot-timeout', `${stretched(4_000)}ms`], cwd });
    await s.waitReady();
    const load = startLoad(t, {
      target: s.target,
      groups: [
        { kind: 'idle', clients: 4 },
        { kind: 'fresh', clients: 1, think: 20 },
      ],
    });
    const before = s.workers();
    writeFileSync(join(cwd, 'check'), 'hang');
    const { msg } = await s.reload(60_000);
    assert.match(msg, /^reload 1 failed, nothing was changed: .*bootTimeout: health check "database" fails: no answer/);
    // The verdict comes first, the end of the one that failed a moment later.
    assert.deepEqual((await s.waitWorkers(2)).sort(), before.sort());
    writeFileSync(join(cwd, 'check'), 'ok');
    writeFileSync(join(cwd, 'bad-start'), '');
    assert.match((await s.reload(60_000)).msg, /failed, nothing was changed: .*no cache to warm/);
    rmSync(join(cwd, 'bad-start'));
    assert.match((await s.reload(60_000)).msg, /done/);
    assert.equal(total(await load.stop()).failed, 0);
    await stopClean(s, { allow: /no cache/ });
  });

  it('a check that fails later turns readiness 503 and ends no worker', async (t) => {
    const cwd = folderWith(t, { check: 'ok' });
    const s = await start(t, { args: ['--health'], cwd });
    await s.waitReady();
    await becomes(s, 'healthy');
    const before = s.workers();
    writeFileSync(join(cwd, 'check'), 'the database is away');
    // Each worker looks for itself, and hears a little later of the others: all of them say so after a while.
    let inRow = 0;
    await until(
      'every worker to say so',
      async () => {
        const { code, body } = await ready(s);
        const says = code === 503 && body.components.database?.error === 'the database is away';
        inRow = says ? inRow + 1 : 0;
        return inRow === 10;
      },
      { within: 20_000 },
    );
    writeFileSync(join(cwd, 'check'), 'ok');
    await becomes(s, 'healthy');
    assert.deepEqual(s.workers(), before);
    await stopClean(s);
  });

  it('hooks run in their order, and a drain waits for background work', async (t) => {
    const cwd = folderWith(t, {});
    const s = await start(t, { workers: 1, cwd });
    await s.waitReady();
    const told = await requestJson(s.target, '/later');
    assert.deepEqual([told.supervised, told.slot, told.worker, told.generation, told.name], [true, 0, 1, 1, 'app']);
    await stopClean(s);
    const said = readFileSync(join(cwd, 'notes'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.replace(/ \d+$/, ''));
    assert.deepEqual(said, ['started', 'drains', 'later', 'shut down']);
  });

  it('all of it is harmless under plain node', () => {
    const script = `
      import { health, onDrain, onShutdown, onStart, waitUntil, worker } from 'prefork';
      health.check('a', () => { throw new Error('b') });
      onStart(() => {}); onDrain(() => {}); onShutdown(() => {}); waitUntil(Promise.reject(new Error('c')));
      console.log(JSON.stringify([worker.supervised, worker.slot, await health.run()]));`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(app, '..'),
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const [supervised, slot, [result]] = JSON.parse(stdout) as [boolean, null, [{ name: string; error: string }]];
    assert.deepEqual([supervised, slot, result.name, result.error], [false, null, 'a', 'b']);
  });
});

describe('stopping behind a load balancer', () => {
  it('drainDelay: readiness says 503 at once, accepting goes on, nobody is refused until then', async (t) => {
    const s = await start(t, { args: ['--health', '--drain-delay', '2'] });
    await s.waitReady();
    await becomes(s, 'healthy');
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'fresh', clients: 2, think: 20 }] });
    await load.answered(10);
    const before = performance.now();
    s.signal('SIGTERM');
    await until('a 503 that says so', async () => {
      const { code, body } = await ready(s);
      return code === 503 && body.status === 'draining';
    });
    await load.further(20);
    const report = await load.stop();
    assert.equal(total(report).failed, 0);
    await s.waitExit();
    assert.ok(performance.now() - before >= 1_900);
    await stopClean(s);
  });

  it('a second TERM ends the delay', async (t) => {
    const s = await start(t, { args: ['--drain-delay', '60'] });
    await s.waitReady();
    s.signal('SIGTERM');
    await s.waitForLog(/^stopping \(graceful\); readiness says 503/);
    // Within a second it would be the first one again.
    await pause(1_100);
    s.signal('SIGTERM');
    await s.waitExit();
    await stopClean(s);
  });

  it('rejectWhileDraining: what arrives during the stop is turned away, what is under way is finished', async (t) => {
    const s = await start(t, { workers: 1, args: ['--reject-while-draining', '--health'] });
    await s.waitReady();
    const slow = request(s.target, '/slow');
    const kept = await RawSocket.connected(s.target);
    await kept.write(head('/first')).waitFor(/"url":"\/first"/);
    s.signal('SIGTERM');
    await s.waitForLog(/^worker retires/);
    await kept.write(head('/second')).waitFor(/HTTP\/1\.1 503/);
    assert.match(kept.text, /retry-after: 5/i);
    assert.match(kept.text, /connection: close/i);
    assert.equal((await slow).status, 200);
    await s.waitExit();
    await stopClean(s);
  });
});

describe('keepAlive', () => {
  it('outlasts a proxy’s idle time by default, and leaves what the app has set', async (t) => {
    for (const [args, env, expected] of [
      [[], {}, /keep-alive: timeout=75/i],
      [['--keep-alive', '30'], {}, /keep-alive: timeout=30/i],
      [['--keep-alive', '0'], {}, /keep-alive: timeout=5/i],
      [[], { KEEP_ALIVE: '9000' }, /keep-alive: timeout=9/i],
    ] as const) {
      const s = await start(t, { workers: 1, args, env });
      await s.waitReady();
      const socket = await RawSocket.connected(s.target);
      await socket.write(head('/x')).waitFor(/"url":"\/x"/);
      assert.match(socket.text, expected);
      socket.close();
      await stopClean(s);
    }
  });
});
