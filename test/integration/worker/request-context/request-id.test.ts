/** `requestId()`: each request has its own id, wherever its code asks, and no other's. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { text as textOf } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import WebSocket from 'ws';
import { fixture } from '../../../support/paths.ts';
import { request } from '../../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';

const app = fixture('request-context/app.mjs');
const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
const newId = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

interface Told {
  readonly ids: readonly (string | null)[];
  readonly header?: string;
  readonly trace?: string | null;
  readonly atLoad?: string | null;
  readonly body?: unknown;
  readonly pid?: number;
}

async function start(t: TestContext, kind: string, options: object = {}): Promise<Supervisor> {
  const s = await startSupervisor(t, { app, workers: 1, env: { KIND: kind }, ...options });
  return await s.waitReady(30_000);
}

async function ask(s: Supervisor, path: string, options: object = {}): Promise<Told> {
  const { status, body } = await request(s.target, path, options);
  assert.equal(status, 200, body);
  return JSON.parse(body) as Told;
}

function onlyId({ ids }: Told): string {
  const [id] = ids;
  assert.equal(new Set(ids).size, 1, `one request, several ids: ${JSON.stringify(ids)}`);
  assert.ok(typeof id === 'string', JSON.stringify(ids));
  return id;
}

describe('requestId()', { concurrency: 2 }, () => {
  for (const kind of ['express', 'fastify', 'http']) {
    it(`TRC-02: ${kind}: is the id that the request came with or a new one, from the first request on`, async (t) => {
      const s = await start(t, kind);
      const first = await ask(s, '/first', { headers: { traceparent } });
      assert.match(onlyId(first), newId, 'the very first one');
      assert.deepEqual([first.atLoad, first.trace], [null, trace]);
      assert.equal(onlyId(await ask(s, '/', { headers: { 'x-request-id': 'mine-1' } })), 'mine-1');
      const odd = await ask(s, '/', { headers: { 'x-request-id': 'a b"<\u00e9', traceparent: `${traceparent}-x` } });
      assert.match(onlyId(odd), newId, 'one that could harm a log is replaced');
      assert.equal(odd.trace, null);
    });
  }

  it('TRC-02: is known where a body has been read, and at the end of a response', async (t) => {
    const json = {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json', 'x-request-id': 'b-1' },
    };
    const express = await start(t, 'express');
    assert.deepEqual(await ask(express, '/json', json), { ids: ['b-1'], body: { a: 1 } });
    assert.equal(onlyId(await ask(express, '/events', json)), 'b-1');
    const fastify = await start(t, 'fastify');
    assert.deepEqual(await ask(fastify, '/json', json), { ids: ['b-1'], body: { a: 1 } });
    const plain = await start(t, 'http');
    assert.equal(onlyId(await ask(plain, '/events', { ...json, body: 'x'.repeat(300_000) })), 'b-1');
    await ask(plain, '/finish', { headers: { 'x-request-id': 'f-1' } });
    assert.deepEqual((await ask(plain, '/last')).ids, ['f-1', 'f-1']);
  });

  for (const kind of ['http2', 'streams']) {
    it(`TRC-02: ${kind}: streams of one session have their own`, async (t) => {
      const s = await start(t, kind);
      const client = http2.connect(`http://127.0.0.1:${s.port}`);
      // The service may be gone before it is closed.
      client.on('error', () => undefined);
      t.after(() => client.destroy());
      const send = async (headers: Readonly<Record<string, string>>, body = ''): Promise<Told> => {
        const stream = client.request({ ':path': '/?ms=3', ':method': body === '' ? 'GET' : 'POST', ...headers });
        if (body !== '') stream.end(body);
        return JSON.parse(await textOf(stream)) as Told;
      };
      const sent = Array.from({ length: 60 }, (_, index) => `s-${index}`);
      const answers = await Promise.all(
        sent.map(async (id, index) => send({ 'x-request-id': id, traceparent }, index % 2 === 0 ? '' : 'body')),
      );
      assert.deepEqual(answers.map(onlyId), sent);
      assert.equal(answers[0]?.trace, trace);
      const fresh = await Promise.all(sent.map(async () => send({})));
      assert.equal(new Set(fresh.map(onlyId)).size, sent.length);
      for (const told of fresh) assert.equal(told.header, onlyId(told), 'the headers have it as well');
    });
  }

  it('TRC-02: is that of the request to upgrade, in the handlers of a WebSocket', async (t) => {
    const s = await start(t, 'http');
    const open = async (id: string): Promise<WebSocket> => {
      const socket = new WebSocket(`ws://127.0.0.1:${s.port}/`, { headers: { 'x-request-id': id } });
      t.after(() => socket.terminate());
      await once(socket, 'open');
      return socket;
    };
    const say = async (socket: WebSocket, text: string): Promise<unknown> => {
      socket.send(text);
      const [data] = (await once(socket, 'message')) as [Buffer];
      return JSON.parse(data.toString());
    };
    const [one, two] = [await open('ws-1'), await open('ws-2')];
    for (const round of ['a', 'b']) {
      const answers = await Promise.all([say(one, round), say(two, round)]);
      assert.deepEqual(
        answers,
        ['ws-1', 'ws-2'].map((id) => ({ text: round, ids: [id, id, id] })),
      );
    }
  });

  it('is null in a worker thread, and under plain node', async (t) => {
    const s = await start(t, 'http');
    assert.deepEqual(await ask(s, '/thread'), { ids: [null] });
    const code = `import { requestId, traceId } from 'prefork'; console.log(requestId(), traceId());`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      cwd: fixture('request-context'),
    });
    assert.equal(stdout, 'null null\n');
  });

  it('TRC-02: is never the one of another request, under load and over reloads, and the log and the client have the same', async (t) => {
    const s = await start(t, 'express', {
      workers: 2,
      args: ['--access-log', 'access.log', '--access-log-format', 'json', '--access-log-fields', 'requestId,status'],
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 40 });
    t.after(() => agent.destroy());
    const seen = new Set<string>();
    const pids = new Set<number>();
    let sent = 0;
    let answered = 0;
    let isOver = false;
    const client = async (index: number): Promise<void> => {
      for (let round = 0; !isOver; round++) {
        const own = round % 2 === 0 ? `c${index}-${round}` : null;
        const headers = own === null ? {} : { 'x-request-id': own };
        sent += 1;
        const {
          status,
          body,
          headers: got,
        } = await request(s.target, `/?ms=${round % 5}`, { headers, agent, timeout: 30_000 });
        assert.equal(status, 200);
        const told = JSON.parse(body) as Told;
        const id = onlyId(told);
        if (own !== null) assert.equal(id, own);
        assert.deepEqual([told.header, got['x-request-id']], [id, id]);
        assert.ok(!seen.has(id), `${id} is another request's`);
        seen.add(id);
        pids.add(told.pid ?? 0);
        answered += 1;
      }
    };
    const clients = Promise.all(Array.from({ length: 40 }, async (_, index) => client(index)));
    try {
      await s.reload();
      await s.reload();
    } finally {
      isOver = true;
    }
    await clients;
    assert.equal(answered, sent);
    assert.ok(pids.size >= 4 && answered > 200, `${answered} answers of ${pids.size} workers`);
    t.diagnostic(`${answered} requests over two reloads, ${pids.size} workers`);
  });
});

describe('what is not used costs nothing', () => {
  it('TRC-02: is turned off if the app does not ask, and on again when it does', async (t) => {
    const s = await start(t, 'late');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const isOn = async (): Promise<unknown> => JSON.parse((await request(s.target, '/', { agent })).body).isOn;
    assert.equal(await isOn(), true, 'it may ask');
    for (let count = 0; count < 1_000; count++) await request(s.target, '/', { agent });
    // From Node 24 on it costs next to nothing, and stays.
    const isCostly = Number.parseInt(process.versions.node, 10) < 24;
    assert.equal(await isOn(), !isCostly, 'nothing of it stands on the prototypes any more, where it costs something');
    const first = await ask(s, '/ask');
    if (isCostly) assert.deepEqual(first.ids, [null], 'this one has begun before');
    else assert.match(onlyId(first), newId);
    assert.match(onlyId(await ask(s, '/ask')), newId);
    for (let count = 0; count < 1_100; count++) await request(s.target, '/', { agent });
    assert.equal(onlyId(await ask(s, '/ask', { headers: { 'x-request-id': 'l-1' } })), 'l-1', 'it stays on');
  });
});
