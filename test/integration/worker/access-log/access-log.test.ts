/** The access log: one line for each request, whatever is sent, wherever the file goes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { connect, constants as http2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { spawnLoad, startLoad } from '../../../support/load/child.ts';
import { fourKinds, table, total } from '../../../support/load/mix.ts';
import { fixture } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

async function start(t: TestContext, args: readonly string[], options: object = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, { workers: 2, ...options, args: ['--access-log', 'access.log', ...args] });
  return await s.waitReady(30_000);
}

function linesOf(s: Supervisor, name = 'access.log'): string[] {
  const path = join(s.dir, name);
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  assert.ok(text === '' || text.endsWith('\n'), 'the last line is whole');
  return text.split('\n').slice(0, -1);
}

async function waitLines(s: Supervisor, count: number, name?: string): Promise<string[]> {
  return await until(`${count} lines`, () => (linesOf(s, name).length >= count ? linesOf(s, name) : null), {
    within: 10_000,
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${linesOf(s, name).slice(-20).join('\n')}\n${s.describe()}`);
  });
}

describe('a line', () => {
  it("has what Gunicorn's has, in its default format and in another", async (t) => {
    const s = await start(t, []);
    await request(s.target, '/pid?id=1', { headers: { 'user-agent': 'test/1', referer: 'http://here.example/' } });
    const [line = ''] = await waitLines(s, 1);
    assert.match(
      line,
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET \/pid\?id=1 HTTP\/1\.1" 200 \d+ "http:\/\/here\.example\/" "test\/1"$/,
    );
    const format = '%(s)s %(B)s %(m)s %(U)s %(q)s %({content-type}o)s %({x-a}i)s %({RUN_ID}e)s %(p)s';
    const other = await start(t, ['--access-log-format', format]);
    const answer = await request(other.target, '/pid?id=ab', { headers: { 'x-a': 'b c' } });
    const [fields = ''] = await waitLines(other, 1);
    const type = String(answer.headers['content-type']);
    const pid = (JSON.parse(answer.body) as { pid: number }).pid;
    assert.ok(
      fields.startsWith(`200 ${Buffer.byteLength(answer.body)} GET /pid id=ab ${type} b c `) &&
        fields.endsWith(`<${pid}>`),
      fields,
    );
  });

  it('knows how much was sent, in pieces too, and when nobody was there to take it', async (t) => {
    const s = await start(t, ['--access-log-format', 'json']);
    const { body } = await request(s.target, '/stream?bytes=100000');
    await request(s.target, '/', { method: 'HEAD' });
    const socket = RawSocket.open(s.target).write('GET /slow?ms=8000 HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the request to be there', async () => (await request(s.target, '/healthz')).status === 200);
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.reset();
    const lines = (await waitLines(s, 4)).map((line) => JSON.parse(line) as Record<string, unknown>);
    const of = (url: string): Record<string, unknown> => lines.find((line) => String(line.url).startsWith(url)) ?? {};
    assert.equal(of('/stream').bytes, Buffer.byteLength(body));
    assert.equal(lines.find(({ method }) => method === 'HEAD')?.bytes, 0);
    assert.deepEqual([of('/slow').status, of('/slow').aborted], [499, true]);
  });

  it('of an upgraded connection comes when it ends; HTTP/2 has its own', async (t) => {
    const s = await start(t, ['--access-log-format', 'json']);
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'websocket', clients: 1 }] });
    await load.answered(3);
    assert.deepEqual(linesOf(s), []);
    await load.stop();
    const [line = ''] = await waitLines(s, 1);
    assert.equal((JSON.parse(line) as { status: number }).status, 101);
    const h2 = await start(t, ['--access-log-format', 'json'], { app: fixture('node/http2-plain.mjs') });
    const other = startLoad(t, { target: h2.target, groups: [{ kind: 'http2', clients: 1, requests: 5, path: '/' }] });
    await other.done;
    const lines = (await waitLines(h2, 5)).map((each) => JSON.parse(each) as Record<string, unknown>);
    assert.ok(lines.every(({ protocol, status }) => protocol === 'HTTP/2.0' && status === 200));
  });
});

describe('a line of what has no complete response', () => {
  it('of an HTTP/2 stream whose client leaves has what was sent, or 499', async (t) => {
    // As browsers do it.
    const { NGHTTP2_CANCEL: cancel } = http2;
    const app = fixture('limits/plain.mjs');
    const s = await start(t, ['--access-log-format', 'json'], { app, env: { HTTP2: '1' } });
    const client = connect(`http://127.0.0.1:${s.port}`);
    client.on('error', () => undefined);
    t.after(() => client.destroy());
    const events = client.request({ ':path': '/events' });
    await once(events, 'response');
    events.on('error', () => undefined).close(cancel);
    // The answer to the second comes behind the first stream on the same connection: the app has that one.
    const hanging = client.request({ ':path': '/hang' }).on('error', () => undefined);
    await once(client.request({ ':path': '/state' }).resume(), 'end');
    hanging.close(cancel);
    const lines = (await waitLines(s, 3)).map((line) => JSON.parse(line) as Record<string, unknown>);
    const of = (path: string): unknown[] => {
      const { status, aborted = null } = lines.find(({ url }) => url === path) ?? {};
      return [status, aborted];
    };
    assert.deepEqual(
      [of('/events'), of('/hang'), of('/state')],
      [
        [200, true],
        [499, true],
        [200, null],
      ],
    );
  });

  it('of a WebSocket says who has refused it: the app, or prefork, which counts it as well', async (t) => {
    const admin = await freePort();
    const args = ['--access-log-format', 'json', '--max-in-flight', '1', '--admin', `127.0.0.1:${admin}`];
    const s = await start(t, args, { app: fixture('limits/plain.mjs'), workers: 1 });
    const asks = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13' };
    await RawSocket.open(s.target)
      .write(head('/no-key', asks))
      .waitFor(/^HTTP\/1\.1 400 /);
    const hanging = await RawSocket.connected(s.target);
    t.after(() => hanging.close());
    hanging.write(head('/hang'));
    await until('it to be full', async () => (await request(s.target, '/state')).status === 503);
    const key = { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    await RawSocket.open(s.target)
      .write(head('/full', { ...asks, ...key }))
      .waitFor(/^HTTP\/1\.1 503 /);
    const of = (path: string): unknown =>
      linesOf(s)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .find(({ url }) => url === path)?.status;
    await until('their lines', () => of('/no-key') === 400 && of('/full') === 503, { within: stretched(10_000) });
    const refused = linesOf(s).filter((line) => line.includes('"status":503')).length;
    await until('its count', async () => {
      const { body } = await request({ port: admin }, '/metrics');
      const counts = body.split('\n').filter((line) => /^http_requests_total\{.*status="503"/.test(line));
      return counts.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) === refused;
    });
  });
});

describe('an id', () => {
  it('is taken or made, and is the same for app, client and log', async (t) => {
    const s = await start(t, ['--access-log-format', 'json'], {
      app: fixture('access-log/echo-headers.cjs'),
      workers: 1,
    });
    const given = await request(s.target, '/', { headers: { 'x-request-id': 'abc-1' } });
    const made = await request(s.target, '/');
    const forged = await request(s.target, '/', { headers: { 'x-request-id': 'a"b c' } });
    const ids = (await waitLines(s, 3)).map((line) => (JSON.parse(line) as { requestId: string }).requestId);
    for (const [index, answer] of [given, made, forged].entries()) {
      assert.equal(answer.headers['x-request-id'], ids[index]);
      assert.equal((JSON.parse(answer.body) as Record<string, string>)['x-request-id'], ids[index]);
    }
    assert.equal(ids[0], 'abc-1');
    assert.match(ids[1] ?? '', /^[\da-f]{8}-/);
    assert.notEqual(ids[2], 'a"b c');
  });

  it('is that of HTTP/2 requests too', async (t) => {
    const app = fixture('access-log/echo-http2.cjs');
    const s = await start(t, ['--access-log-format', 'json'], { app, workers: 1 });
    const session = connect(`http://127.0.0.1:${s.port}`);
    t.after(() => session.destroy());
    const answers: { id: unknown; body: string }[] = [];
    for (const headers of [{ 'x-request-id': 'abc-1' }, {}]) {
      const stream = session.request({ ':path': '/', ...headers });
      const [response] = (await once(stream, 'response')) as [Record<string, unknown>];
      answers.push({ id: response['x-request-id'], body: await textOf(stream) });
    }
    const lines = await waitLines(s, 2);
    for (const { id, body } of answers) {
      assert.equal((JSON.parse(body) as Record<string, unknown>)['x-request-id'], id);
      assert.ok(
        lines.some((line) => (JSON.parse(line) as { requestId: string }).requestId === id),
        `${id}`,
      );
    }
    assert.equal(answers[0]?.id, 'abc-1');
    assert.match(String(answers[1]?.id), /^[\da-f]{8}-/);
  });
});

describe('SEC-10', () => {
  for (const format of ['json', '%(h)s "%(r)s" "%(a)s" "%(f)s" "%({x-evil}i)s"']) {
    it(`one request is one record: ${format}`, async (t) => {
      const s = await start(t, ['--access-log-format', format]);
      const evil = [
        '\u001b[2J',
        '\u001b]0;x\u0007',
        '\u009b31m',
        '"},{"level":"fatal"',
        '\\n\\r',
        '\u0085',
        'x'.repeat(3_000),
      ];
      let sent = 0;
      for (const text of evil) {
        // Node refuses C0 in a header, and takes C1.
        const agent = [...text].map((character) => (character < ' ' ? '\u009b' : character)).join('');
        const lines = [
          `GET /"},{"level":"fatal%0a%1b[2J${encodeURI(text)} HTTP/1.1`,
          'Host: x',
          `User-Agent: ${agent}`,
          `X-Evil: a\tb ${encodeURI(text)}`,
          'Connection: close',
        ];
        const socket = RawSocket.open(s.target).write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
        await until('the end', () => socket.ending !== 'open', { within: 10_000 });
        sent += 1;
      }
      const lines = await waitLines(s, sent);
      assert.equal(lines.length, sent);
      for (const line of lines) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
        assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        if (format === 'json') assert.equal(typeof (JSON.parse(line) as { url: unknown }).url, 'string');
      }
    });
  }
});

describe('the file', () => {
  it('LOG-01: is reopened on USR1 under load; every request is in one of them, once', async (t) => {
    const s = await start(t, ['--access-log-format', '%({x-request-id}i)s %(s)s %(U)s']);
    const load = startLoad(t, { target: s.target, groups: [...fourKinds, { kind: 'upload', clients: 2 }] });
    await load.answered(100);
    for (let turn = 1; turn <= 4; turn++) {
      renameSync(join(s.dir, 'access.log'), join(s.dir, `access.log.${turn}`));
      s.signal('SIGUSR1');
      await until('the new file', () => linesOf(s).length > 0, { within: 5_000 });
      if (turn === 2) await s.reload();
      await load.further(200);
    }
    const report = await load.stop();
    const { sent, answered } = total(report);
    assert.equal(sent, answered, table(report));
    await s.stop();
    const names = ['access.log', ...[1, 2, 3, 4].map((turn) => `access.log.${turn}`)];
    const lines = names.flatMap((name) => linesOf(s, name));
    assert.ok(
      lines.every((line) => /^- 200 \/\S*$/.test(line)),
      lines.find((line) => !/^- 200 \/\S*$/.test(line)),
    );
    assert.equal(lines.length, sent);
    t.diagnostic(`${sent} requests in ${names.length} files`);
  });

  it('LOG-02: is appended to when it is truncated under us', async (t) => {
    const s = await start(t, []);
    for (let index = 0; index < 20; index++) await request(s.target, '/');
    await waitLines(s, 20);
    truncateSync(join(s.dir, 'access.log'));
    await request(s.target, '/after');
    const [line = ''] = await waitLines(s, 1);
    assert.match(line, /^127\.0\.0\.1 .*\/after/);
  });

  it('LOG-03: that cannot be opened stops a start, and a reload changes nothing', async (t) => {
    const s = await startSupervisor(t, { workers: 1, args: ['--access-log', 'missing/access.log'] });
    assert.equal((await s.waitExit()).code, 1);
    assert.match(s.stderr.text, /cannot open the access log .*missing\/access\.log/);
    const good = await startSupervisor(t, { workers: 1, config: { accessLog: 'access.log' } });
    await good.waitReady();
    const [old] = good.workers();
    appendFileSync(join(good.dir, 'supervisor.config.mjs'), '\nexport const touched = 1;\n');
    const text = readFileSync(join(good.dir, 'supervisor.config.mjs'), 'utf8');
    rmSync(join(good.dir, 'supervisor.config.mjs'));
    appendFileSync(join(good.dir, 'supervisor.config.mjs'), text.replace('access.log', 'missing/access.log'));
    assert.match((await good.reload()).msg, /failed, nothing was changed: cannot open the access log/);
    assert.deepEqual(good.workers(), [old]);
    await request(good.target, '/');
    await waitLines(good, 1);
  });

  it('RES-04: on a full disk costs lines, one warning, and no request', async (t) => {
    if (!existsSync('/dev/full')) return t.skip('there is no /dev/full');
    const s = await startSupervisor(t, { workers: 1, args: ['--access-log', '/dev/full'] });
    await s.waitReady();
    const load = spawnLoad({ target: s.target, groups: [{ kind: 'busy', clients: 2 }] });
    t.after(() => load.kill());
    await load.answered(500);
    await s.waitForLog(/^the access log cannot be written: .*ENOSPC/);
    const report = await load.stop();
    assert.equal(total(report).failed, 0, table(report));
    assert.equal(s.log.filter(({ msg }) => /access log cannot/.test(msg)).length, 1);
    const { code, ms } = await s.stop();
    assert.equal(code, 0);
    assert.ok(ms < stretched(8_000), `${ms} ms`);
  });

  it('belongs to the user the workers run as', async (t) => {
    if (process.geteuid?.() !== 0) return t.skip('only root can run workers as somebody else');
    const s = await startSupervisor(t, {
      workers: 1,
      args: ['--access-log', 'access.log', '--user', 'nobody', '--group', 'nogroup'],
    });
    chmodSync(s.dir, 0o755);
    await s.waitReady();
    await request(s.target, '/');
    await waitLines(s, 1);
    assert.notEqual(statSync(join(s.dir, 'access.log')).uid, 0);
    renameSync(join(s.dir, 'access.log'), join(s.dir, 'old.log'));
    s.signal('SIGUSR1');
    await until('the new file', () => existsSync(join(s.dir, 'access.log')));
    await request(s.target, '/again');
    await waitLines(s, 1);
  });

  it('may be a pipe whose reader is slow: lines of several workers are not mixed', async (t) => {
    const path = join(mkdtempSync(join(tmpdir(), 'prefork-pipe-')), 'lines');
    t.after(() => rmSync(dirname(path), { recursive: true, force: true }));
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    t.after(() => closeSync(reader));
    const s = await startSupervisor(t, { workers: 3, args: ['--access-log', path] });
    await s.waitReady();
    const count = 3_000;
    const long = 'x'.repeat(200);
    const asked = Promise.all(
      Array.from({ length: 30 }, async (_, client) => {
        for (let n = 0; n < count / 30; n += 1) await request(s.target, `/pid?${long}&n=${client}-${n}`);
      }),
    );
    // Pieces that fit no line, and never enough to make much room.
    let text = '';
    const piece = Buffer.alloc(3_001);
    const take = (): boolean => {
      try {
        text += piece.toString('latin1', 0, readSync(reader, piece));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
      return text.split('\n').length > count;
    };
    await until('all lines', take, { within: 40_000, every: 1 });
    await asked;
    const whole = /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/pid\?x{200}&n=\d+-\d+ HTTP\/1\.1" 200 \d+ "-" "-"$/;
    const lines = text.split('\n').slice(0, -1);
    assert.deepEqual(
      lines.filter((line) => !whole.test(line)),
      [],
    );
    assert.equal(new Set(lines.map((line) => line.slice(line.indexOf('"')))).size, count);
  });

  it('may be stdout, where the app prints too', async (t) => {
    for (const capture of [[], ['--capture-output']]) {
      const s = await startSupervisor(t, { workers: 1, args: ['--access-log', '-', ...capture] });
      await s.waitReady();
      await request(s.target, '/version');
      await until('the line', () => /"GET \/version HTTP\/1\.1" 200/.test(s.stdout.text), { within: 10_000 });
      await s.stop();
    }
  });
});
