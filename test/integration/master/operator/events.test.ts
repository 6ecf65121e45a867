/** `GET /events` and `GET /timeline`: resuming, limits, readers that do not read, and who may ask. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Timeline } from '../../../../src/master/log/timeline.ts';
import { Events, type EventsOptions } from '../../../../src/master/operator/events.ts';
import { ControlHttp } from '../../../../src/master/operator/http.ts';
import { viewsOf } from '../../../../src/master/operator/views.ts';
import type { Status } from '../../../../src/protocol/status.ts';
import { stopClean } from '../../../support/invariants.ts';
import { fdCount } from '../../../support/proc.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { addressOf, freePort, request, type Target } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

interface Received {
  readonly event: string;
  readonly id: string | null;
  readonly data: Record<string, unknown>;
}

/** A reader of a stream. */
class Reader {
  readonly response: IncomingMessage;
  readonly events: Received[] = [];
  isOver = false;
  #text = '';

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => this.#take(chunk));
    for (const name of ['end', 'close', 'error']) {
      response.on(name, () => {
        this.isOver = true;
      });
    }
  }

  of(event: string): Received[] {
    return this.events.filter((each) => each.event === event);
  }

  texts(): unknown[] {
    return this.of('entry').map(({ data }) => data.text);
  }

  close(): void {
    this.response.destroy();
  }

  #take(chunk: string): void {
    const blocks = (this.#text + chunk).split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string): string | null => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? null;
      const data = JSON.parse(field('data') ?? 'null') as Record<string, unknown>;
      this.events.push({ event: field('event') ?? '', id: field('id'), data });
    }
  }
}

/** Opens a stream, or fails with the status of the refusal. */
function open(t: TestContext, target: Target, headers: Record<string, string> = {}): Promise<Reader> {
  return new Promise((resolve, reject) => {
    const asked = get({ ...addressOf(target), path: '/events', headers, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return reject(new Error(`refused with ${response.statusCode}`));
      }
      const reader = new Reader(response);
      t.after(() => reader.close());
      resolve(reader);
    });
    asked.on('error', reject);
  });
}

interface Served {
  readonly target: Target;
  readonly timeline: Timeline;
  readonly events: Events;
  readonly http: ControlHttp;
}

/** The control interface of a service that does not exist, in this process. */
async function serve(t: TestContext, options: Partial<EventsOptions> = {}): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-events-'));
  const timeline = new Timeline();
  const status = options.status ?? (() => ({ name: 'app' }) as Status);
  const events = new Events({ every: 50, ...options, status, timeline });
  const errors: unknown[] = [];
  const http = new ControlHttp({
    routes: viewsOf(status, events, () => Promise.resolve({ type: 'text/plain', text: '' })),
    reach: 'local',
    onError: (error) => errors.push(error),
  });
  const socketPath = join(folder, 'x.ctl');
  await http.listen({ path: socketPath });
  t.after(() => {
    events.end();
    http.close();
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(errors, []);
  });
  return { target: { socketPath }, timeline, events, http };
}

const add = (timeline: Timeline, text: string): void => timeline.add({ kind: 'reload', level: 'info', text });

describe('a stream', () => {
  it('begins with the status and the timeline so far, and goes on with both', async (t) => {
    const { target, timeline } = await serve(t);
    add(timeline, 'one');
    add(timeline, 'two');
    const reader = await open(t, target);
    assert.equal(reader.response.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(reader.response.headers['cache-control'], 'no-store');
    await until('the timeline', () => reader.of('entry').length === 2);
    assert.deepEqual(reader.events[0]?.data, { version: 1, instance: timeline.instance, resumed: false });
    assert.equal(reader.events[1]?.event, 'status');
    add(timeline, 'three');
    await until('what is new', () => reader.texts().includes('three'));
    await until('further statuses', () => reader.of('status').length > 3);
    assert.deepEqual(reader.texts(), ['one', 'two', 'three']);
    assert.deepEqual(
      reader.of('entry').map(({ id }) => id),
      [1, 2, 3].map((seq) => `${timeline.instance}-${seq}`),
    );
  });

  it('resumes after the last event a client had; one of another life means from the beginning', async (t) => {
    const { target, timeline } = await serve(t);
    for (const text of ['one', 'two', 'three']) add(timeline, text);
    for (const [id, expected] of [
      [`${timeline.instance}-2`, ['three']],
      [`${timeline.instance}-3`, []],
      [`${timeline.instance}-999`, ['one', 'two', 'three']],
      ['another-2', ['one', 'two', 'three']],
      ['', ['one', 'two', 'three']],
    ] as const) {
      const reader = await open(t, target, { 'last-event-id': id });
      await until('two statuses', () => reader.of('status').length >= 2);
      assert.deepEqual(reader.texts(), expected, id);
      assert.equal(reader.events[0]?.data.resumed, expected.length < 3, id);
      reader.close();
    }
  });

  it('CTL-01: a Last-Event-ID that is none is refused, and so is what is no GET', async (t) => {
    const { target } = await serve(t);
    for (const id of ['7', 'x'.repeat(4_000), '-1', 'a-1e9', 'a-0x10', '__proto__-1', 'a-1-2']) {
      const answer = await request(target, '/events', { headers: { 'last-event-id': id } });
      assert.equal(answer.status, 400, id);
      assert.match(answer.body, /Last-Event-ID: expected one that came with an event/);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      assert.equal((await request(target, '/events', { method })).status, 405, method);
      assert.equal((await request(target, '/timeline', { method })).status, 405, method);
    }
    const looked = await request(target, '/events', { method: 'HEAD' });
    assert.deepEqual([looked.status, looked.body], [200, '']);
  });

  it('streams leave connections for those who only ask; a closed one makes room', async (t) => {
    const { target, http } = await serve(t);
    const readers = await Promise.all(Array.from({ length: 32 }, () => open(t, target)));
    const refused = await request(target, '/events');
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '5']);
    assert.match(refused.body, /too_many_streams/);
    assert.equal((await request(target, '/status')).status, 200);
    readers[0]?.close();
    await until('room for another', async () => (await open(t, target)) !== null);
    for (const reader of readers) reader.close();
    const count = () => new Promise<number>((resolve) => http.server.getConnections((_, n) => resolve(n)));
    await until('every connection to be closed', async () => (await count()) <= 1);
  });

  it('who does not read is dropped, with bounded memory; the others notice nothing', async (t) => {
    const big = { name: 'x'.repeat(300_000) } as Status;
    const { target, timeline, http } = await serve(t, { status: () => big, every: 10, patience: 500 });
    const good = await open(t, target);
    // What the kernel holds is all it gets.
    const stopped = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ ...addressOf(target), path: '/events', agent: false }, (response) => resolve(response.pause())).on(
        'error',
        reject,
      );
    });
    stopped.on('error', () => {});
    const count = () => new Promise<number>((resolve) => http.server.getConnections((_, n) => resolve(n)));
    assert.equal(await count(), 2);
    let most = 0;
    await until(
      'the reader that does not read to be dropped',
      async () => {
        add(timeline, 'y'.repeat(900));
        most = Math.max(most, process.memoryUsage().arrayBuffers);
        return (await count()) === 1;
      },
      { within: 20_000 },
    );
    stopped.destroy();
    assert.ok(most < 100 * 2 ** 20, `${most} bytes`);
    const before = good.of('status').length;
    await until('the good reader goes on', () => good.of('status').length > before + 2);
    assert.equal(good.isOver, false);
  });

  it('a slow reader gets fewer statuses, and every entry', async (t) => {
    const big = { name: 'x'.repeat(200_000) } as Status;
    const { target, timeline } = await serve(t, { status: () => big, every: 5, patience: 30_000 });
    const reader = await open(t, target);
    const timer = setInterval(
      () => (reader.response.isPaused() ? reader.response.resume() : reader.response.pause()),
      40,
    );
    t.after(() => clearInterval(timer));
    for (let n = 1; n <= 60; n += 1) {
      add(timeline, `${n} ${'z'.repeat(900)}`);
      if (n % 10 === 0) await until('a status', () => reader.of('status').length >= n / 10, { within: 20_000 });
    }
    await until('every entry', () => reader.of('entry').length === 60, { within: 20_000 });
    assert.deepEqual(
      reader.of('entry').map(({ data }) => data.seq),
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
  });
});

describe('of a running service', () => {
  const socketOf = (s: Supervisor): Target => ({ socketPath: join(s.dir, 'app.ctl') });

  async function start(t: TestContext, args: readonly string[] = [], workers = 2): Promise<Supervisor> {
    const s = await startSupervisor(t, { workers, args: ['-p', 'app.pid', ...args] });
    await s.waitReady();
    return s;
  }

  it('a start, a crash, a scale, a recycle, a reload that fails and one that does are told in order, and the stop last', async (t) => {
    const s = await start(t);
    const reader = await open(t, socketOf(s));
    const told = (text: RegExp, kind: string) =>
      until(
        String(text),
        () => reader.of('entry').find(({ data }) => data.kind === kind && text.test(String(data.text))),
        { within: 30_000 },
      );
    await told(/^ready: 2 workers serve/, 'start');
    await request(s.target, '/throw').catch(() => undefined);
    const threw = await told(/^the app threw: Error: thrown where nobody catches it/, 'crash');
    assert.match(String((threw.data.stack as string[])[0]), /^at .*app\.cjs:\d+:\d+/);
    const gone = await told(/^worker exited unasked \(code 1\) while it served/, 'crash');
    assert.equal(typeof gone.data.slot, 'number');
    await s.waitWorkers(2);
    await request(socketOf(s), '/scale', {
      method: 'POST',
      body: '{"by":1}',
      headers: { 'content-type': 'application/json' },
    });
    await told(/^workers: 2 -> 3/, 'scale');
    await s.waitWorkers(3);
    await until('3 in a status', () => reader.of('status').at(-1)?.data.ready === 3);
    await request(socketOf(s), '/recycle', {
      method: 'POST',
      body: '{"slot":0}',
      headers: { 'content-type': 'application/json' },
    });
    await told(/^worker retires: an operator asked for it/, 'recycle');
    s.set('boot', 'throw');
    await s.reload();
    await told(/^reload 1 failed, nothing was changed: /, 'reload');
    s.set('boot', 'ok');
    await s.reload();
    await told(/^reload 2 done in .*generation 2 serves/, 'reload');
    const { entries } = JSON.parse((await request(socketOf(s), '/timeline')).body) as { entries: unknown[] };
    assert.deepEqual(
      entries,
      reader.of('entry').map(({ data }) => data),
    );
    const logged = s.log.map(({ msg }) => msg);
    for (const { data } of reader.of('entry'))
      if (data.kind !== 'crash') assert.ok(logged.includes(String(data.text)), String(data.text));
    // What the app threw is on its own stderr.
    await stopClean(s, { allow: /^(?!\{)/ });
    await until('the end', () => reader.isOver);
    assert.equal(reader.texts().at(-1), 'stopped');
    assert.equal(reader.of('status').at(-1)?.data.state, 'stopping');
  });

  it('a stuck worker is there with its stack, and without what may be secret in its URL', async (t) => {
    const s = await start(t, ['--timeout', `${stretched(2_000)}ms`, '--blocked-warning', '1']);
    const reader = await open(t, socketOf(s));
    const stuck = request(s.target, '/spin-forever?token=s3cr3t', { timeout: 60_000 }).catch(() => undefined);
    const entry = await until(
      'the stack',
      () => reader.of('entry').find(({ data }) => (data.stack as string[]).length > 0),
      { within: 30_000 },
    );
    assert.equal(entry.data.kind, 'stuck');
    assert.match(String((entry.data.stack as string[])[0]), /^at spinForever \(.*app\.cjs:\d+:\d+\)/);
    assert.match(String(entry.data.text), /is blocked for .*serving GET \/spin-forever for/);
    await stuck;
    await until('the kill', () => reader.texts().some((text) => /^worker gets SIGABRT: stuck/.test(String(text))), {
      within: 30_000,
    });
    assert.doesNotMatch(JSON.stringify(reader.events), /s3cr3t/);
    await stopClean(s);
  });

  it('SEC-02: on TCP for no other site, for no other name, and read-only; no descriptor stays', async (t) => {
    const port = await freePort();
    const s = await start(t, ['--admin', `127.0.0.1:${port}`]);
    const fds = fdCount(s.pid);
    for (const path of ['/events', '/timeline', '/status']) {
      for (const [headers, status] of [
        [{ host: 'evil.example' }, 421],
        [{ host: `evil.example:${port}` }, 421],
        [{ origin: 'https://evil.example' }, 403],
        [{ origin: 'null' }, 403],
        [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
        [{ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' }, 403],
      ] as const)
        assert.equal((await request({ port }, path, { headers })).status, status, JSON.stringify(headers));
      assert.equal((await request({ port }, path, { method: 'POST' })).status, 405);
    }
    const readers = await Promise.all(
      Array.from({ length: 5 }, () =>
        open(t, { port }, { 'sec-fetch-site': 'same-origin', origin: `http://127.0.0.1:${port}` }),
      ),
    );
    assert.equal(readers[0]?.response.headers['access-control-allow-origin'], undefined);
    assert.equal(readers[0]?.response.headers['cross-origin-resource-policy'], 'same-origin');
    const raw = RawSocket.open({ port }).write(head('/events', { Host: `127.0.0.1:${port}` }));
    await raw.waitFor(/event: hello/);
    raw.reset();
    for (const reader of readers) reader.close();
    await until('the descriptors to be closed', () => fdCount(s.pid) <= fds + 1, { within: 20_000 });
    await stopClean(s, { ports: [port] });
  });
});
