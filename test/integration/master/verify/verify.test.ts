/** Catalogue group VFY: a command tries the first worker of a reload, alone, before it meets a client. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { assertClean } from '../../../support/invariants.ts';
import { startLoad } from '../../../support/load/child.ts';
import { fourKinds, table, total } from '../../../support/load/mix.ts';
import { isAlive } from '../../../support/proc.ts';
import { freePort, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const failure = /^reload \d+ failed, nothing was changed: verify command/;

/** What a command asks: as curl would, and it passes if the version is good. */
const smoke = `
const answer = await fetch(process.env.PREFORK_VERIFY_URL + '/version');
const { version, pid } = await answer.json();
console.log('asked ' + version + ' of ' + pid);
if (version !== 'good') { console.error('the version is ' + version); process.exit(7); }
`;

async function startVerified(t: TestContext, verify: string, args: readonly string[] = []): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers: 2, args: [...args, '--verify', verify] });
  writeFileSync(join(s.dir, 'smoke.mjs'), smoke);
  s.set('version', 'v0');
  return await s.waitReady(30_000);
}

describe('a command that tries the canary', () => {
  it('VFY-02 a canary that it finds wanting meets no client, and one that it finds good does', async (t) => {
    const s = await startVerified(t, 'node smoke.mjs');
    const old = (await s.waitWorkers(2)).sort();
    const load = startLoad(t, { target: s.target, groups: fourKinds });
    await load.answered(30);
    s.set('version', 'broken');
    const rejected = await s.reload();
    assert.match(
      rejected.msg,
      /verify command "node smoke.mjs" failed with code 7: asked broken of \d+ \/ the version/,
    );
    assert.deepEqual((await s.waitWorkers(2)).sort(), old, 'the old workers');
    await load.further(20);
    s.set('version', 'good');
    const done = await s.reload();
    assert.match(done.msg, /^reload 2 done/, s.describe());
    const fresh = await s.waitWorkers(2);
    await load.heardFrom(fresh);
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failed, 0, table(report));
    assert.deepEqual([...all.versions.keys()].sort(), ['good', 'v0'], 'versions that clients have met');
    // The one that was tried is one of those that serve.
    const said = s.log.find(({ msg }) => msg.startsWith('verify: asked good of'));
    assert.ok(fresh.includes(Number(said?.msg.split(' ').at(-1))), s.describe());
    await s.stop();
    await assertClean(s, { allow: failure });
  });

  const failures: readonly (readonly [what: string, verify: string, said: RegExp])[] = [
    ['a command that does not exist', 'no-such-command --all', /failed with code 127: .*no-such-command/],
    ['a command that is ended by a signal', 'kill -9 $$', /was ended by SIGKILL/],
    [
      'a command that hangs, with what it has started',
      'sleep 300 & echo "left $!"; wait',
      /did not end within verifyTimeout/,
    ],
  ];
  for (const [what, verify, said] of failures) {
    it(`VFY-03 ${what}: the reload is rejected`, async (t) => {
      const s = await startVerified(t, verify, ['--verify-timeout', `${stretched(500)}ms`]);
      const old = (await s.waitWorkers(2)).sort();
      const { msg } = await s.reload();
      assert.match(msg, failure);
      assert.match(msg, said);
      assert.deepEqual((await s.waitWorkers(2)).sort(), old);
      const left = s.log.find((line) => line.msg.startsWith('verify: left '));
      if (left !== undefined) await until('the end of what it has started', () => !isAlive(Number(left.msg.slice(13))));
      await s.stop();
      await assertClean(s, { allow: failure });
    });
  }

  it('VFY-04 what a command leaves behind ends with it, and a stop waits for none', async (t) => {
    const s = await startVerified(t, 'sleep 300 >/dev/null 2>&1 & echo "left $!"; test ! -e hang || sleep 300');
    assert.match((await s.reload()).msg, /^reload 1 done/, s.describe());
    const [first] = s.log.filter(({ msg }) => msg.startsWith('verify: left '));
    await until('the end of what it left', () => !isAlive(Number(first?.msg.slice(13))));
    writeFileSync(join(s.dir, 'hang'), '');
    const since = s.log.length;
    s.signal('SIGHUP');
    const second = await s.waitForLog(/^verify: left /, { since });
    const { code } = await s.stop();
    assert.equal(code, 0);
    assert.ok(
      !isAlive(Number(second.msg.slice(13))) || (await until('its end', () => !isAlive(Number(second.msg.slice(13))))),
    );
    await assertClean(s, { allow: /^reload 2 failed/ });
  });
});

/** An app, and how a client asks it. */
interface Kind {
  readonly app: string;
  readonly unix?: boolean;
  readonly secure?: boolean;
}

const from = (name: string) => JSON.stringify(join(process.cwd(), 'node_modules', name));
const counted = `let n = 0; const answer = () => JSON.stringify({ pid: process.pid, n: ++n });`;

const kinds: Readonly<Record<string, Kind>> = {
  'node:http that listens': {
    app: `${counted} require('node:http').createServer((_, res) => res.end(answer())).listen(process.env.PORT);`,
  },
  'an exported handler': { app: `${counted} module.exports = (_, res) => res.end(answer());` },
  Express: {
    app: `${counted} const app = require(${from('express')})(); app.get('/', (_, res) => res.send(answer())); app.listen(process.env.PORT);`,
  },
  Fastify: {
    app: `${counted} const app = require(${from('fastify')})(); app.get('/', async () => answer()); app.listen({ port: Number(process.env.PORT) });`,
  },
  'a unix socket': {
    unix: true,
    app: `${counted} module.exports = (_, res) => res.end(answer());`,
  },
  'node:https': {
    secure: true,
    app: `${counted} const fs = require('node:fs'); require('node:https').createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') }, (_, res) => res.end(answer())).listen(process.env.PORT);`,
  },
};

describe('whatever the app is', () => {
  for (const [name, { app, unix = false, secure = false }] of Object.entries(kinds)) {
    it(`VFY-05 ${name}: the command finds it at a loopback address, alone`, async (t) => {
      const s = await startSupervisor(t, {
        app: 'app.cjs',
        workers: 1,
        unix,
        secure,
        args: ['--verify', 'node ask.mjs'],
        env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' },
      });
      for (const file of ['key.pem', 'cert.pem'])
        copyFileSync(join(process.cwd(), 'test/fixtures/tls', file), join(s.dir, file));
      writeFileSync(join(s.dir, 'app.cjs'), app);
      writeFileSync(
        join(s.dir, 'ask.mjs'),
        `import { writeFileSync } from 'node:fs';
         const { PREFORK_VERIFY_URL: url, PREFORK_VERIFY_ADDRESS: address } = process.env;
         const answers = [];
         for (let i = 0; i < 3; i += 1) answers.push(await (await fetch(url)).json());
         writeFileSync('asked', JSON.stringify({ url, address, answers }));`,
      );
      await s.waitReady(30_000);
      const old = await requestJson(s.target, '/');
      const { msg } = await s.reload();
      assert.match(msg, /^reload 1 done/, s.describe());
      const asked = JSON.parse(readFileSync(join(s.dir, 'asked'), 'utf8')) as {
        readonly url: string;
        readonly address: string;
        readonly answers: readonly { readonly pid: number; readonly n: number }[];
      };
      assert.equal(asked.url, `${secure ? 'https' : 'http'}://${asked.address}`);
      assert.match(asked.address, /^127\.0\.0\.1:\d+$/);
      assert.ok(!asked.address.endsWith(`:${s.port}`));
      const pids = new Set(asked.answers.map(({ pid }) => pid));
      assert.equal(pids.size, 1);
      assert.ok(!pids.has(Number(old.pid)));
      assert.deepEqual(
        asked.answers.map(({ n }) => n),
        [1, 2, 3],
        'nobody else has asked it',
      );
      // It serves where the service is, and the private address is closed.
      const now = await requestJson(s.target, '/');
      assert.ok(pids.has(Number(now.pid)));
      const [, port] = asked.address.split(':');
      await assert.rejects(requestJson({ port: Number(port), secure }, '/'));
      await s.stop();
      await assertClean(s);
    });
  }

  it("VFY-06 every address is held back, UDP too, and server.address() is the service's own", async (t) => {
    const further = await freePort();
    const s = await startSupervisor(t, { app: 'app.cjs', workers: 1, args: ['--verify', 'node ask.mjs'] });
    writeFileSync(
      join(s.dir, 'app.cjs'),
      `const http = require('node:http'); const dgram = require('node:dgram'); const fs = require('node:fs');
       let clients = 0; let datagrams = 0;
       const main = http.createServer((req, res) => { if (req.url !== '/verify') clients += 1; res.end(JSON.stringify({ pid: process.pid, clients, datagrams, port: main.address().port, where: process.env.UDP_PORT })); });
       main.listen(process.env.PORT, '127.0.0.1');
       const second = http.createServer((req, res) => { clients += 1; res.end(JSON.stringify({ pid: process.pid })); });
       second.listen(${further}, '127.0.0.1');
       dgram.createSocket('udp4').on('message', () => { datagrams += 1; fs.appendFileSync('datagrams', process.pid + ' '); }).bind(${further}, '127.0.0.1');`,
    );
    writeFileSync(
      join(s.dir, 'ask.mjs'),
      `import { writeFileSync, existsSync } from 'node:fs';
       import { setTimeout } from 'node:timers/promises';
       writeFileSync('running', process.env.PREFORK_VERIFY_ADDRESSES);
       while (!existsSync('go')) await setTimeout(20);
       writeFileSync('asked', await (await fetch(process.env.PREFORK_VERIFY_URL + '/verify')).text());`,
    );
    await s.waitReady(30_000);
    const second = { port: further };
    const { pid: old } = await requestJson(second, '/');
    s.signal('SIGHUP');
    await until('the command', () => existsSync(join(s.dir, 'running')));
    const addresses = readFileSync(join(s.dir, 'running'), 'utf8').split(' ');
    assert.deepEqual(
      addresses.map((each) => each.split('=')[0]),
      [`127.0.0.1:${s.port}`, `127.0.0.1:${further}`],
    );
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    for (let count = 0; count < 40; count += 1) {
      assert.equal((await requestJson(second, '/')).pid, old);
      assert.equal((await requestJson(s.target, '/')).pid, old);
      await new Promise((resolve) => socket.send('x', further, '127.0.0.1', resolve));
    }
    await until('the datagrams', () => readFileSync(join(s.dir, 'datagrams'), 'utf8').split(' ').length > 40);
    const since = s.log.length;
    writeFileSync(join(s.dir, 'go'), '');
    await s.waitForLog(/^reload 1 done/, { since });
    const asked = JSON.parse(readFileSync(join(s.dir, 'asked'), 'utf8')) as Readonly<Record<string, number>>;
    assert.deepEqual([asked.clients, asked.datagrams, asked.port], [0, 0, s.port]);
    const fresh = await requestJson(second, '/');
    assert.equal(fresh.pid, asked.pid);
    await until('a datagram of the new worker', async () => {
      await new Promise((resolve) => socket.send('x', further, '127.0.0.1', resolve));
      return readFileSync(join(s.dir, 'datagrams'), 'utf8').includes(`${String(asked.pid)} `);
    });
    await s.stop();
    await assertClean(s);
  });
});

describe('where the command is not run', () => {
  it('VFY-07 not at the first start', async (t) => {
    const s = await startVerified(t, 'echo ran >> ran');
    assert.ok(!existsSync(join(s.dir, 'ran')));
    assert.match((await s.reload()).msg, /^reload 1 done/);
    assert.equal(readFileSync(join(s.dir, 'ran'), 'utf8'), 'ran\n');
    await s.stop();
    await assertClean(s);
  });
});
