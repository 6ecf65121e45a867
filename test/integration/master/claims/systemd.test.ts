/** Catalogue groups SDN and BIND-07 without systemd: its side of NOTIFY_SOCKET and of LISTEN_FDS is played here. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { bindHandle, handleAddress } from '../../../../src/system/node-internals.ts';
import { assertClean, stopClean } from '../../../support/invariants.ts';
import { openNotifySocket, withoutNotify } from '../../../support/notify-socket.ts';
import { fixture } from '../../../support/paths.ts';
import { listeningOn } from '../../../support/proc.ts';
import { freePort, request, requestJson } from '../../../support/request.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor, writeConfig } from '../../../support/supervisor.ts';
import { stays, until } from '../../../support/until.ts';

const ofServiceManager = /^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_)/;

describe('notification', { skip: withoutNotify() }, () => {
  it('SDN-01: READY when the first worker is ready, RELOADING and READY around each reload, STOPPING, STATUS', async (t) => {
    const manager = await openNotifySocket(t);
    const s = await startSupervisor(t, { workers: 2, env: { NOTIFY_SOCKET: manager.path } });
    await manager.assignment(/^READY=1$/);
    assert.ok(s.log.some(({ msg }) => msg.startsWith('worker ready')));
    await manager.assignment(/^STATUS=2\/2 workers ready, generation 1$/);
    if (process.geteuid?.() === 0) assert.deepEqual([...new Set(manager.notices.map(({ pid }) => pid))], [s.pid]);

    let since = manager.notices.length;
    const before = process.hrtime.bigint() / 1_000n;
    await s.reload();
    await manager.assignment(/^STATUS=2\/2 workers ready, generation 2$/, since);
    await manager.assignment(/^READY=1$/, since);
    assert.deepEqual(transitions(manager.assignments(since)), ['RELOADING=1', 'READY=1']);
    const stamp = BigInt((await manager.assignment(/^MONOTONIC_USEC=\d+$/, since)).slice(15));
    assert.ok(stamp >= before && stamp <= process.hrtime.bigint() / 1_000n);
    const together = manager.notices.slice(since).find(({ text }) => text.startsWith('RELOADING=1\n'));
    assert.match(together?.text ?? '', /^RELOADING=1\nMONOTONIC_USEC=/, 'in one datagram');

    since = manager.notices.length;
    s.set('boot', 'throw');
    await s.reload();
    await manager.assignment(
      /^STATUS=2\/2 workers ready, generation 2; reload 2 failed, nothing was changed: Error: this version cannot start/,
      since,
    );
    await manager.assignment(/^READY=1$/, since);
    assert.deepEqual(transitions(manager.assignments(since)), ['RELOADING=1', 'READY=1']);

    since = manager.notices.length;
    await s.stop();
    await assertClean(s);
    assert.deepEqual(transitions(manager.assignments(since)), ['STOPPING=1']);
    const statuses = manager.assignments().filter((each) => each.startsWith('STATUS='));
    for (const [index, status] of statuses.entries()) assert.notEqual(status, statuses[index - 1], 'only what is new');
  });

  it('SDN-01: what an app says of its failure adds no assignment', async (t) => {
    const manager = await openNotifySocket(t);
    const dir = mkdtempSync(join(tmpdir(), 'prefork-test-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const app = join(dir, 'app.mjs');
    writeFileSync(app, `import http from 'node:http'; http.createServer((q, r) => r.end()).listen(3000);`);
    const s = await startSupervisor(t, { workers: 1, app, env: { NOTIFY_SOCKET: manager.path } });
    await manager.assignment(/^READY=1$/);
    writeFileSync(app, `throw new Error('bad \\r\\nMAINPID=1\\nSTOPPING=1\\u2028\\u0007')`);
    const since = manager.notices.length;
    await s.reload();
    await manager.assignment(/^STATUS=.*reload 1 failed/, since);
    await s.stop();
    for (const each of manager.assignments())
      assert.match(each, /^(READY=1|RELOADING=1|STOPPING=1|MONOTONIC_USEC=\d+|STATUS=.*)$/);
    assert.deepEqual(transitions(manager.assignments(since)), ['RELOADING=1', 'READY=1', 'STOPPING=1']);
  });

  it('SDN-02: pings at half the time that is allowed, and none while the master does not run', async (t) => {
    const manager = await openNotifySocket(t);
    const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '2000000' };
    const s = await startSupervisor(t, { workers: 1, env });
    const pings = () => manager.notices.filter(({ text }) => text.includes('WATCHDOG=1'));
    await until('five pings', () => pings().length >= 5, { within: 30_000 });
    const [first, fifth] = [pings()[0]?.at ?? 0, pings()[4]?.at ?? 0];
    // Late on a busy machine, but never much more often than asked.
    assert.ok(fifth - first > 3_000, `five pings within ${fifth - first} ms`);
    s.signal('SIGSTOP');
    // One may be on its way.
    await until('silence', async () => {
      const count = pings().length;
      await stays('no ping', () => pings().length === count, 2_500);
      return true;
    });
    s.signal('SIGCONT');
    const count = pings().length;
    await until('pings again', () => pings().length > count, { within: 30_000 });
    await stopClean(s);
  });

  it('SDN-02: a watchdog that watches another process is none of ours', async (t) => {
    const manager = await openNotifySocket(t);
    const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '200000', WATCHDOG_PID: '1' };
    const s = await startSupervisor(t, { workers: 1, env });
    await manager.assignment(/^READY=1$/);
    await stays('no ping', () => !manager.assignments().includes('WATCHDOG=1'), 1_000);
    await stopClean(s);
  });

  it('SDN-04: no variable of the service manager reaches a worker, the release command or the config', async (t) => {
    const manager = await openNotifySocket(t);
    const handle = held();
    t.after(() => handle.close());
    const release = 'env | grep -E "^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_)" || echo clean';
    const s = await startPassed(t, [handle.fd], {
      config: `export default { workers: 1, release: ${JSON.stringify(release)}, env: { OF_CONFIG: Object.keys(process.env).join(' ') } }`,
      env: { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '20000000', LISTEN_FDNAMES: 'http' },
    });
    await manager.assignment(/^READY=1$/);
    await s.reload();
    const { env } = (await requestJson({ port: handle.port }, '/env')) as { env: Record<string, string> };
    assert.deepEqual(
      Object.keys(env).filter((name) => ofServiceManager.test(name)),
      [],
    );
    assert.ok(env.OF_CONFIG?.includes('PATH'));
    assert.deepEqual(
      env.OF_CONFIG?.split(' ').filter((name) => ofServiceManager.test(name)),
      [],
    );
    const said = s.log.filter(({ msg }) => msg.startsWith('release: ')).map(({ msg }) => msg);
    assert.equal(said[0], 'release: clean', JSON.stringify(said));
    // The socket itself: a worker has what it was given, and no other child has any.
    const socket = `socket:[${listeningOn(handle.port)[0]?.inode}]`;
    for (const { pid, title } of s.children()) {
      const count = title.startsWith('prefork: worker') ? 1 : 0;
      assert.equal(socketsOf(pid).filter((each) => each === socket).length, count, title);
    }
    await stopClean(s);
  });

  it('nobody listens: one warning, the service runs, and it stops in time', async (t) => {
    const s = await startSupervisor(t, {
      workers: 1,
      env: { NOTIFY_SOCKET: '/nonexistent/socket', WATCHDOG_USEC: '200000' },
    });
    const { level } = await s.waitForLog(/^systemd-notify failed: .*(No such file|Failed)/);
    assert.equal(level, 40);
    await s.reload();
    assert.equal((await request(s.target, '/pid')).status, 200);
    await stopClean(s);
    assert.equal(s.log.filter(({ msg }) => msg.startsWith('systemd-notify')).length, 1);
  });

  it('what could not be told is told later', async (t) => {
    const manager = await openNotifySocket(t);
    const path = `${manager.path}.later`;
    const s = await startSupervisor(t, { workers: 1, env: { NOTIFY_SOCKET: path } });
    await s.waitForLog(/^systemd-notify failed/);
    renameSync(manager.path, path);
    await manager.assignment(/^READY=1$/);
    await manager.assignment(/^STATUS=1\/1 workers ready/);
    await stopClean(s);
  });
});

it('SDN-01: without systemd-notify one warning says what to do, and the service runs', async (t) => {
  const s = await startSupervisor(t, {
    workers: 1,
    env: { NOTIFY_SOCKET: '/nonexistent/socket', PATH: '/nonexistent' },
  });
  await s.waitForLog(/^systemd-notify is not installed: .*install it/);
  await s.reload();
  await stopClean(s);
  assert.equal(s.log.filter(({ msg }) => msg.includes('systemd-notify')).length, 1);
});

it('without NOTIFY_SOCKET nothing is started for it', async (t) => {
  const s = await startSupervisor(t, {
    workers: 1,
    env: { NOTIFY_SOCKET: undefined, WATCHDOG_USEC: '20000', PATH: '/nonexistent' },
  });
  await s.waitReady();
  await stopClean(s);
  assert.ok(!s.stderr.text.includes('systemd-notify'));
});

describe('BIND-07 passed sockets', () => {
  it('are the addresses where bind is not set; they outlive workers, reloads and the service', async (t) => {
    const handle = held();
    t.after(() => handle.close());
    const { port, fd } = handle;
    const s = await startPassed(t, [fd], { workers: 2 });
    await s.waitForLog(/^prefork starts .* on fd:\/\/3 \(127\.0\.0\.1:\d+\)$/);
    await s.waitReady();
    const [inode] = listeningOn(port).map((socket) => socket.inode);
    assert.equal((await request({ port }, '/pid')).status, 200);
    for (const pid of s.workers()) process.kill(pid, 'SIGKILL');
    assert.equal((await request({ port }, '/pid')).status, 200);
    await s.reload();
    assert.equal((await request({ port }, '/pid')).status, 200);
    await s.stop();

    // Who comes while there is no service waits for the next one.
    const early = request({ port }, '/version', { timeout: 30_000 });
    const next = await startPassed(t, [fd], { workers: 2 });
    assert.equal((await early).status, 200);
    assert.equal(listeningOn(port)[0]?.inode, inode);
    await next.waitReady();
    await next.stop();
    assert.equal(next.exit?.code, 0, next.describe());
  });

  it('may be unix sockets: their paths are the service manager’s', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'prefork-test-'));
    const path = join(dir, 'passed.sock');
    const handle = bindHandle(path, -1, -1, null, 0);
    assert.ok(typeof handle !== 'number');
    t.after(() => {
      handle.close();
      rmSync(dir, { recursive: true, force: true });
    });
    const before = statSync(path);
    for (let start = 1; start <= 2; start += 1) {
      const s = await startPassed(t, [handle.fd], { workers: 1 });
      await s.waitReady();
      await s.reload();
      assert.equal((await request({ socketPath: path }, '/pid')).status, 200);
      await stopClean(s);
      const after = statSync(path);
      assert.deepEqual([after.ino, after.mode], [before.ino, before.mode]);
    }
  });

  it('can be left by a reload, and served again by the next', async (t) => {
    const handle = held();
    t.after(() => handle.close());
    const other = await freePort();
    const s = await startPassed(t, [handle.fd], { workers: 1, config: {} });
    await s.waitReady();
    const config = join(s.dir, 'supervisor.config.mjs');
    writeConfig(config, { bind: [`127.0.0.1:${other}`] });
    assert.match((await s.reload()).msg, /done/);
    assert.equal((await request({ port: other }, '/pid')).status, 200);
    writeConfig(config, { bind: ['fd://3'] });
    assert.match((await s.reload()).msg, /done/);
    assert.equal((await request({ port: handle.port }, '/pid')).status, 200);
    await until('the other address to be let go', () => listeningOn(other).length === 0);
    await s.stop();
    assert.equal(s.exit?.code, 0, s.describe());
  });

  it('are not used where LISTEN_PID is another process', async (t) => {
    const handle = held();
    t.after(() => handle.close());
    const port = await freePort();
    const env = { LISTEN_FDS: '1', LISTEN_PID: '1', PORT: String(port) };
    const s = await startSupervisor(t, { workers: 1, bind: null, inherit: [handle.fd], env });
    await s.waitReady();
    assert.equal((await request({ port }, '/pid')).status, 200);
    await stopClean(s);
  });

  it('go by their names, and one that nobody serves is warned of', async (t) => {
    const handles = [held(), held()] as const;
    t.after(() => {
      for (const handle of handles) handle.close();
    });
    const s = await startPassed(
      t,
      handles.map(({ fd }) => fd),
      {
        workers: 1,
        bind: ['fd://web'],
        env: { LISTEN_FDNAMES: 'other:web' },
      },
    );
    await s.waitForLog(/passes a socket that bind does not name \(fd:\/\/3, or fd:\/\/other\)/);
    await s.waitReady();
    assert.equal((await request({ port: handles[1].port }, '/pid')).status, 200);
    await s.stop();
    const wrong = await startPassed(t, [handles[0].fd], { bind: ['fd://web'], env: { LISTEN_FDNAMES: 'other' } });
    assert.equal((await wrong.waitExit()).code, 2);
    assert.match(wrong.stderr.text, /bind: expected the name of a socket.*"web"; there is fd:\/\/other/);
  });

  it('that are no listening sockets are refused, each with what it is instead', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    const udp = createSocket('udp4');
    t.after(() => {
      server.close();
      udp.close();
    });
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    const accepted = new Promise<void>((resolve) =>
      server.once('connection', (socket) => {
        socket.on('error', () => {});
        resolve();
      }),
    );
    await until('the server', () => server.listening);
    const client = connect((server.address() as { port: number }).port, '127.0.0.1');
    client.on('error', () => {});
    t.after(() => client.destroy());
    await accepted;
    const fdOf = (socket: object): number => (socket as { _handle: { fd: number } })._handle.fd;
    const udpFd = (udp as unknown as { _handle?: { fd: number } })._handle?.fd;
    const cases: [number, RegExp][] = [
      [fdOf(client), /fd:\/\/3: .* not an open listening socket but a connection; .*Accept=no/],
    ];
    if (udpFd !== undefined && udpFd >= 0)
      cases.push([udpFd, /not an open listening socket but a socket of datagrams/]);
    for (const [fd, pattern] of cases) {
      const s = await startPassed(t, [fd], { workers: 1 });
      assert.equal((await s.waitExit()).code, 1, s.describe());
      assert.match(s.stderr.text, pattern);
      assert.deepEqual(s.processesLeft(), []);
    }
    const nothing = await startPassed(t, [], { workers: 1, env: { LISTEN_FDS: '1' } });
    assert.equal((await nothing.waitExit()).code, 1, nothing.describe());
    assert.match(nothing.stderr.text, /fd:\/\/3: file descriptor 3 is not an open listening socket/);
  });
});

const transitions = (assignments: readonly string[]): string[] =>
  assignments.filter((each) => /^(READY|RELOADING|STOPPING)=/.test(each));

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** A socket as a service manager holds it: bound, and never accepted from by its holder. */
function held(): { readonly fd: number; readonly port: number; close(): void } {
  const handle = bindHandle('127.0.0.1', 0, 4, null, 0);
  assert.ok(typeof handle !== 'number');
  const port = handleAddress(handle)?.port;
  assert.ok(port !== undefined);
  return { fd: handle.fd, port, close: () => handle.close() };
}

/** Starts it as a service manager does: the sockets from fd 3 on, and LISTEN_PID its own pid. */
function startPassed(t: TestContext, fds: readonly number[], options: SupervisorOptions): Promise<Supervisor> {
  const node = process.env.PREFORK_TEST_NODE ?? process.execPath;
  return startSupervisor(t, {
    bind: null,
    ...options,
    inherit: fds,
    node: fixture('systemd/listen-pid.sh'),
    env: { TEST_NODE: node, LISTEN_FDS: String(fds.length), ...options.env },
  });
}
