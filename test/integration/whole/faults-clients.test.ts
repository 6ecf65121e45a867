/** Configurations that break at a HUP, and clients that misbehave, are slow, or are many. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { app, assertFew, start, withLoad } from '../../support/faults.ts';
import { assertClean, stopClean } from '../../support/invariants.ts';
import { isAlive } from '../../support/proc.ts';
import { head, RawSocket } from '../../support/raw.ts';
import { requestJson } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { writeConfig } from '../../support/supervisor.ts';
import { pause, until } from '../../support/until.ts';

describe('a config that is not what it was at a HUP', { concurrency: 3 }, () => {
  for (const [name, harm] of [
    ['deleted', (path: string) => rmSync(path)],
    ['half written', (path: string) => writeFileSync(path, 'export default { workers: 3, timeo')],
    ['empty', (path: string) => writeFileSync(path, '')],
  ] as const) {
    it(`CFG: ${name}: the reload is refused with a reason, nobody notices, and the next one is fine`, async (t) => {
      const s = await start(t, { config: { timeout: 20 } });
      const load = withLoad(t, s);
      await load.answered(50);
      const before = s.workers();
      const path = join(s.dir, 'supervisor.config.mjs');
      harm(path);
      assert.match((await s.reload()).msg, /^reload 1 failed, nothing was changed: ./);
      assert.deepEqual(s.workers(), before);
      writeConfig(path, { timeout: 21 });
      assert.match((await s.reload()).msg, /^reload 2 done/);
      await load.further(50);
      await assertFew(load, 0);
      await stopClean(s);
    });
  }
});

describe('CONN: clients that misbehave, or are many', () => {
  it('CONN-09: a thousand connections that are reset during a HUP: nobody else notices, and the log stays short', async (t) => {
    const s = await start(t);
    const load = withLoad(t, s);
    await load.answered(50);
    const since = s.log.length;
    const reload = s.reload();
    for (let round = 0; round < 20; round++) {
      const sockets = await Promise.all(Array.from({ length: 50 }, () => RawSocket.connected(s.target)));
      for (const [index, socket] of sockets.entries()) {
        if (index % 2 === 0) socket.write(head(index % 4 === 0 ? '/slow?ms=100' : '/stream?chunks=50'));
        socket.reset();
      }
    }
    assert.match((await reload).msg, /done/);
    await load.further(50);
    await assertFew(load, 0);
    assert.ok(s.log.length - since < 40, `${s.log.length - since} lines`);
    await stopClean(s);
  });

  it('CONN MIG-05: 10,000 idle keep-alive connections at a reload: none ends, and each is answered by a new worker', async (t) => {
    const most = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
    if (most < 12_000) return t.skip(`this process may have no more than ${most} files`);
    const s = await start(t);
    const old = s.workers();
    const sockets: RawSocket[] = [];
    while (sockets.length < 10_000) {
      const batch = await Promise.all(Array.from({ length: 100 }, () => RawSocket.connected(s.target)));
      for (const socket of batch) socket.write(head('/pid'));
      await until('the answers', () => batch.every(({ responses }) => responses === 1));
      sockets.push(...batch);
    }
    assert.match((await s.reload()).msg, /done/);
    await until('the old workers to be gone', () => s.workers().every((pid) => !old.includes(pid)), { within: 40_000 });
    for (let from = 0; from < sockets.length; from += 100) {
      const batch = sockets.slice(from, from + 100);
      for (const socket of batch) socket.write(head('/pid'));
      await until('the answers', () => batch.every(({ ending, responses }) => ending !== 'open' || responses === 2));
    }
    const ended = sockets.filter(({ ending, responses }) => ending !== 'open' || responses < 2).length;
    assert.equal(ended, 0, `${ended} connections ended`);
    for (const socket of sockets) socket.close();
    await stopClean(s);
  });

  it('CON-07: a download and an upload of 100 MiB across a reload: every byte', async (t) => {
    const s = await start(t, { app });
    const mib = 100;
    const before = s.workers();
    const got = createHash('sha256');
    let size = 0;
    const download = http.get({ port: s.port, path: `/download?mib=${mib}`, agent: false });
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      download.on('response', resolve).on('error', reject);
    });
    response.on('data', (bytes: Buffer) => {
      got.update(bytes);
      size += bytes.length;
    });
    const downloaded = new Promise<boolean>((resolve) => response.on('close', () => resolve(response.complete)));
    await until('the first MiB', () => size > 1024 * 1024);
    response.pause();

    const part = randomBytes(1024 * 1024);
    const sent = createHash('sha256');
    const upload = http.request({
      port: s.port,
      path: '/upload',
      method: 'POST',
      agent: false,
      headers: { 'content-length': mib * part.length },
    });
    const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
      upload.on('error', reject).on('response', (res) => {
        let text = '';
        res.on('data', (bytes: Buffer) => {
          text += String(bytes);
        });
        res.on('end', () => resolve(JSON.parse(text) as Record<string, unknown>));
      });
    });
    const write = (): Promise<void> =>
      new Promise((resolve) => {
        sent.update(part);
        if (upload.write(part)) resolve();
        else upload.once('drain', resolve);
      });
    for (let count = 0; count < mib / 2; count++) await write();
    assert.match((await s.reload()).msg, /done/);
    for (let count = mib / 2; count < mib; count++) await write();
    upload.end();
    const { size: uploaded, sha256, pid } = await answer;
    assert.equal(uploaded, mib * part.length);
    assert.equal(sha256, sent.digest('hex'));
    assert.ok(before.includes(Number(pid)), 'the upload ended where it began');
    response.resume();
    assert.equal(await downloaded, true, `the download was cut after ${size} bytes`);
    assert.equal(size, mib * 1024 * 1024);
    const wanted = createHash('sha256');
    const chunk = Buffer.alloc(1024 * 1024, 'prefork ');
    for (let count = 0; count < mib; count++) wanted.update(chunk);
    assert.equal(got.digest('hex'), wanted.digest('hex'));
    await until('the old workers to go', () => before.every((each) => !isAlive(each)));
    await stopClean(s);
  });

  it('CONN-01 CONN-03: clients of a byte a second: what had begun is answered across a reload, where it began', async (t) => {
    const s = await start(t, { app });
    const before = s.workers();
    const bytes = 8;
    const clients = Array.from({ length: 20 }, () =>
      RawSocket.open(s.target).write(head('/upload', { 'Content-Length': String(bytes), Connection: 'close' }, 'POST')),
    );
    const trickle = (async () => {
      for (let sent = 0; sent < bytes; sent += 1) {
        for (const client of clients) client.write('x');
        await pause(1_000);
      }
    })();
    await pause(1_500);
    assert.match((await s.reload()).msg, /done/);
    await trickle;
    await until('every client to be answered', () => clients.every(({ responses }) => responses === 1), {
      within: 20_000,
    });
    for (const { text } of clients) {
      const { size, pid } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as {
        size: number;
        pid: number;
      };
      assert.equal(size, bytes);
      assert.ok(before.includes(pid));
    }
    await until('the old workers to go', () => before.every((each) => !isAlive(each)), { within: 40_000 });
    await stopClean(s);
  });

  it('DRAIN: an upload that stalls for ever does not hold a stop past its limit', async (t) => {
    const s = await start(t, { app, args: ['--graceful-timeout', '2'] });
    const stalled = RawSocket.open(s.target).write(
      `${head('/upload', { 'Content-Length': '1000000' }, 'POST')}${'x'.repeat(1000)}`,
    );
    // Its client has ended its side: nothing more can come.
    const halfOpen = RawSocket.open(s.target).write(
      `${head('/upload', { 'Content-Length': '1000000' }, 'POST')}${'x'.repeat(1000)}`,
    );
    halfOpen.finish();
    await requestJson(s.target, '/slow?ms=200');
    const { ms } = await s.stop();
    assert.ok(ms < stretched(6_000), `the stop took ${ms} ms`);
    assert.notEqual(await stalled.waitEnd(), 'open');
    assert.notEqual(await halfOpen.waitEnd(), 'open');
    await assertClean(s);
  });
});
