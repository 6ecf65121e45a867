/** More requests than a worker can take: each is answered, some with 503, and none fails: LIM-03, LIM-04. */
import assert from 'node:assert/strict';
import http from 'node:http';
import http2, { type ClientHttp2Session } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { readExposition } from '../../../support/exposition.ts';
import { stopClean } from '../../../support/invariants.ts';
import { fixture } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { type Answer, freePort, request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const refused = 'The service is overloaded.\n';

async function start(
  t: TestContext,
  config: Readonly<Record<string, unknown>>,
  options: SupervisorOptions = {},
): Promise<Supervisor> {
  const s = await startSupervisor(t, { app: fixture('limits/plain.mjs'), workers: 1, config, ...options });
  return await s.waitReady();
}

function assertRefused({ status, body, headers }: Answer): void {
  assert.deepEqual([status, body, headers['retry-after']], [503, refused, '5']);
}

/** What became of requests: `sent` is the sum of all others. */
class Counts {
  sent = 0;
  failed = 0;
  readonly errors: string[] = [];
  readonly answered = new Map<number, number>();

  of(status: number): number {
    return this.answered.get(status) ?? 0;
  }

  async send(s: Supervisor, path: string, agent: http.Agent): Promise<void> {
    this.sent += 1;
    try {
      const { status } = await request(s.target, path, { agent, timeout: 30_000 });
      this.answered.set(status, this.of(status) + 1);
    } catch (error) {
      this.failed += 1;
      this.errors.push(String(error));
    }
  }

  assertComplete(statuses: readonly number[]): void {
    assert.equal(this.failed, 0, this.errors.slice(0, 5).join('; '));
    const known = statuses.reduce((sum, status) => sum + this.of(status), 0);
    assert.equal(this.sent, known, JSON.stringify([...this.answered]));
  }
}

/** So many clients that each send one request after the other on a connection that stays. */
function flood(t: TestContext, s: Supervisor, path: string, clients: number): { counts: Counts; end(): Promise<void> } {
  const counts = new Counts();
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  let isOn = true;
  const client = async (): Promise<void> => {
    while (isOn) await counts.send(s, path, agent);
  };
  const all = Array.from({ length: clients }, client);
  return {
    counts,
    end: async () => {
      isOn = false;
      await Promise.all(all);
    },
  };
}

async function healthOf(s: Pick<Supervisor, 'target'>): Promise<string> {
  const { status, body } = await request(s.target, '/health/ready');
  const { status: word } = JSON.parse(body) as { status: string };
  return `${status} ${word}`;
}

/** So many requests that hang, all of them in the worker. */
async function hang(s: Supervisor, count: number): Promise<RawSocket[]> {
  const raws = await Promise.all(Array.from({ length: count }, () => RawSocket.connected(s.target)));
  for (const raw of raws) raw.write(head('/unread', {}, 'GET'));
  await until(
    'they hang',
    async () => Number((await requestJson(s.target, '/state').catch(() => ({ seen: count }))).seen) >= count,
  );
  return raws;
}

async function metric(admin: number, name: string): Promise<number> {
  const { samples } = readExposition((await request({ port: admin }, '/metrics')).body);
  return samples.get(name) ?? 0;
}

describe('maxInFlight', () => {
  it('LIM-03: under load, with a reload in the middle: each request is answered, with 200 or 503, and counted', async (t) => {
    const admin = await freePort();
    const s = await start(t, { maxInFlight: 4, admin: `127.0.0.1:${admin}` }, { workers: 2 });
    const load = flood(t, s, '/?ms=25', 24);
    await until('both kinds of answers', () => load.counts.of(200) > 20 && load.counts.of(503) > 20);
    await s.reload();
    const before = load.counts.of(200);
    await until('further answers', () => load.counts.of(200) > before + 20);
    await load.end();
    load.counts.assertComplete([200, 503]);
    await until('the same counts', async () => {
      const [ok, not, why] = await Promise.all([
        metric(admin, 'http_requests_total{method="GET",status="200"}'),
        metric(admin, 'http_requests_total{method="GET",status="503"}'),
        metric(admin, 'prefork_rejected_requests_total{cause="in_flight"}'),
      ]);
      return ok >= load.counts.of(200) && not === load.counts.of(503) && why === not;
    });
    await stopClean(s, { ports: [admin] });
  });

  for (const name of ['express', 'fastify', 'koa', 'fetch']) {
    it(`LIM-03: what is let in is answered by ${name}, the rest is not seen by it`, async (t) => {
      const s = await start(t, { maxInFlight: 3 }, { app: fixture(`limits/${name}.mjs`) });
      const counts = new Counts();
      const agent = new http.Agent();
      await Promise.all(Array.from({ length: 12 }, () => counts.send(s, '/hang?ms=600', agent)));
      const ok = counts.of(200) + counts.of(201);
      counts.assertComplete([200, 201, 503]);
      assert.equal(ok, 3);
      assert.equal(counts.of(503), 9);
      assert.equal((await request(s.target, '/state')).status, 200);
      await stopClean(s);
    });
  }

  it('LIM-03: any kind of request gets 503, and its client can read it', async (t) => {
    const s = await start(t, { maxInFlight: 2 });
    const hanging = await hang(s, 2);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (const method of ['GET', 'POST', 'HEAD']) {
      const options = { method, agent, ...(method === 'POST' ? { body: 'small' } : {}) };
      const answer = await request(s.target, '/', options);
      assert.deepEqual([answer.status, answer.headers.connection], [503, 'keep-alive'], method);
    }
    // What is too long to be read for the sake of a connection ends it, after the client has read the answer.
    const upload = await request(s.target, '/upload', { method: 'POST', body: Buffer.alloc(8 * 1024 * 1024) });
    assertRefused(upload);
    assert.equal(upload.headers.connection, 'close');
    const asks = await RawSocket.connected(s.target);
    asks.write(head('/upload', { Expect: '100-continue', 'Content-Length': '1000' }, 'POST'));
    await asks.waitFor(/HTTP\/1\.1 503 [\s\S]*overloaded\.\n$/);
    await asks.waitEnd();
    const pipelined = await RawSocket.connected(s.target);
    pipelined.write(head('/1') + head('/2') + head('/3', { Connection: 'close' }));
    await pipelined.waitEnd();
    assert.equal(pipelined.text.match(/HTTP\/1\.1 503 /g)?.length, 3);
    const socket = new WebSocket(`ws://127.0.0.1:${s.port}`);
    const status = await new Promise((resolve, reject) => {
      socket.on('unexpected-response', (_, { statusCode, headers }) => resolve([statusCode, headers['retry-after']]));
      socket.on('open', () => reject(new Error('it was let in')));
      socket.on('error', reject);
    });
    assert.deepEqual(status, [503, '5']);
    for (const raw of hanging) raw.close();
    await until('room', async () => (await request(s.target, '/state')).status === 200);
    const upgraded = new WebSocket(`ws://127.0.0.1:${s.port}`);
    await new Promise((resolve, reject) => upgraded.on('open', resolve).on('error', reject));
    upgraded.close();
    await stopClean(s);
  });

  it('LIM-03: readiness says overloaded, liveness does not, and both are answered; it recovers', async (t) => {
    const admin = await freePort();
    const s = await start(t, { maxInFlight: 2, health: true, admin: `127.0.0.1:${admin}` });
    await until('readiness', async () => (await healthOf(s)) === '200 healthy');
    const hanging = await hang(s, 2);
    assertRefused(await request(s.target, '/'));
    assert.equal(await healthOf(s), '503 overloaded');
    assert.equal((await request(s.target, '/health/live')).status, 200);
    // The service is, if all of its workers are.
    await until('the service', async () => {
      await request(s.target, '/');
      return (await healthOf({ target: { port: admin } })) === '503 overloaded';
    });
    assert.equal((await request({ port: admin }, '/health/live')).status, 200);
    for (const raw of hanging) raw.close();
    await until('recovery', async () => (await healthOf(s)) === '200 healthy');
    await until('recovery of the service', async () => (await healthOf({ target: { port: admin } })) === '200 healthy');
    assert.equal((await request(s.target, '/')).status, 200);
    await stopClean(s);
  });

  it('LIM-03: what does not work does not count: event streams, WebSockets, requests that have ended in any way', async (t) => {
    const s = await start(t, { maxInFlight: 3, requestTimeout: '400ms' });
    const raws = await Promise.all(Array.from({ length: 6 }, () => RawSocket.connected(s.target)));
    for (const raw of raws) await raw.write(head('/events')).waitFor(/data: 1/);
    const upgraded = new WebSocket(`ws://127.0.0.1:${s.port}`);
    await new Promise((resolve, reject) => upgraded.on('open', resolve).on('error', reject));
    // Clients that leave, with pipelined requests or without; answers that are too late; 100-continue.
    for (let round = 0; round < 5; round += 1) {
      const leaving = await RawSocket.connected(s.target);
      leaving.write(head('/unread') + head('/unread') + head('/unread'));
      await until('they are there', async () => {
        const { status } = await request(s.target, '/');
        return status === 503;
      });
      leaving.close();
      await until('room again', async () => (await request(s.target, '/')).status === 200);
    }
    assert.equal((await request(s.target, '/hang?ms=600')).status, 504);
    for (let round = 0; round < 5; round += 1) {
      const options = { method: 'POST', headers: { expect: '100-continue' }, body: 'x' };
      assert.equal((await request(s.target, '/upload', options)).status, 200);
    }
    // All of it has ended: as many as may be are let in.
    const counts = new Counts();
    const agent = new http.Agent();
    await Promise.all(Array.from({ length: 9 }, () => counts.send(s, '/?ms=200', agent)));
    counts.assertComplete([200, 503]);
    assert.equal(counts.of(200), 3);
    for (const raw of raws) raw.close();
    upgraded.close();
    await stopClean(s);
  });

  it('LIM-03: over HTTP/2, stream by stream', async (t) => {
    const admin = await freePort();
    const s = await start(t, { maxInFlight: 3, admin: `127.0.0.1:${admin}` }, { env: { HTTP2: '1' } });
    const session = http2.connect(`http://127.0.0.1:${s.port}`);
    t.after(() => session.destroy());
    session.on('error', () => {});
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => answerOf(session, index % 2 === 0)));
    const refusals = answers.filter(({ status }) => status === 503);
    assert.equal(answers.filter(({ status }) => status === 200).length, 3);
    assert.equal(refusals.length, 7);
    for (const { body, retryAfter } of refusals) assert.deepEqual([body, retryAfter], [refused, '5']);
    assert.equal((await answerOf(session, false)).status, 200);
    await until('the counts', async () => {
      const why = await metric(admin, 'prefork_rejected_requests_total{cause="in_flight"}');
      const get = await metric(admin, 'http_requests_total{method="GET",status="503"}');
      const post = await metric(admin, 'http_requests_total{method="POST",status="503"}');
      return why === 7 && get + post === 7;
    });
    session.close();
    await stopClean(s, { ports: [admin] });
  });
});

async function answerOf(
  session: ClientHttp2Session,
  isUpload: boolean,
): Promise<{ status: number; body: string; retryAfter: unknown }> {
  const stream = session.request(
    { ':path': '/?ms=400', ':method': isUpload ? 'POST' : 'GET' },
    { endStream: !isUpload },
  );
  if (isUpload) stream.end(Buffer.alloc(1024));
  return await new Promise((resolve, reject) => {
    let body = '';
    let status = 0;
    let retryAfter: unknown;
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      body += chunk;
    });
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
      retryAfter = headers['retry-after'];
    });
    stream.on('error', reject);
    stream.setTimeout(stretched(20_000), () => stream.destroy(new Error('the stream does not end')));
    stream.on('close', () => resolve({ status, body, retryAfter }));
  });
}

describe('all limits together', () => {
  it('LIM-02 LIM-03: quick, slow and hanging requests, with two reloads: each is answered with 200, 503 or 504', async (t) => {
    const config = { maxInFlight: 8, requestTimeout: '500ms', slowRequest: '200ms', maxLoopDelay: '2s' };
    const s = await start(t, config, { workers: 2 });
    const loads = [flood(t, s, '/?ms=20', 12), flood(t, s, '/?ms=300', 8), flood(t, s, '/hang?ms=2500', 6)];
    const sum = (status: number): number => loads.reduce((all, { counts }) => all + counts.of(status), 0);
    for (let reload = 0; reload < 2; reload += 1) {
      const before = [200, 503, 504].map(sum);
      await until(
        'all kinds of answers',
        () => [200, 503, 504].every((each, at) => sum(each) > (before[at] ?? 0) + 5),
        {
          within: stretched(20_000),
        },
      );
      await s.reload();
    }
    await Promise.all(loads.map(({ end }) => end()));
    for (const { counts } of loads) counts.assertComplete([200, 503, 504]);
    assert.equal(loads[2]?.counts.of(200), 0);
    await stopClean(s);
  });
});

describe('maxLoopDelay', () => {
  it('LIM-04: under load each request is answered, with 200 or 503; it recovers by itself', async (t) => {
    const admin = await freePort();
    const s = await start(t, { maxLoopDelay: '200ms', health: true, admin: `127.0.0.1:${admin}` });
    const load = flood(t, s, '/block?ms=40', 16);
    await until('both kinds of answers', () => load.counts.of(200) > 10 && load.counts.of(503) > 10, {
      within: stretched(20_000),
    });
    await load.end();
    load.counts.assertComplete([200, 503]);
    await until('recovery', async () => (await healthOf(s)) === '200 healthy');
    await until('room', async () => (await request(s.target, '/')).status === 200);
    await until('the count', async () => {
      const why = await metric(admin, 'prefork_rejected_requests_total{cause="loop_delay"}');
      return why >= load.counts.of(503);
    });
    await stopClean(s, { ports: [admin] });
  });

  it('LIM-04: nobody asks for the loop to recover: the first request after it has is let in', async (t) => {
    const s = await start(t, { maxLoopDelay: '200ms' });
    const blocked = request(s.target, '/block?ms=1000');
    const second = request(s.target, '/');
    await Promise.allSettled([blocked, second]);
    // Without a request in between: half a second is remembered.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await until('room', async () => (await request(s.target, '/')).status === 200);
    await stopClean(s);
  });
});
