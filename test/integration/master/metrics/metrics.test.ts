/** The page of metrics: what it counts is what clients saw, over any number of workers that came and went. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type Read, readExposition, sumOf } from '../../../support/exposition.ts';
import { startLoad } from '../../../support/load/child.ts';
import { fourKinds, table, total } from '../../../support/load/mix.ts';
import { fixture } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { freePort, request } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

async function start(
  t: TestContext,
  options: Parameters<typeof startSupervisor>[1] = {},
): Promise<{ s: Supervisor; admin: number }> {
  const admin = await freePort();
  const s = await startSupervisor(t, { ...options, args: ['--admin', `127.0.0.1:${admin}`, ...(options.args ?? [])] });
  await s.waitReady(30_000);
  return { s, admin };
}

async function scrape(admin: number, accept = ''): Promise<Read> {
  const answer = await request({ port: admin }, '/metrics', { headers: { accept } });
  assert.equal(answer.status, 200, answer.body);
  const isOpen = accept.includes('openmetrics');
  assert.match(
    String(answer.headers['content-type']),
    isOpen ? /^application\/openmetrics-text/ : /^text\/plain; version/,
  );
  return readExposition(answer.body, isOpen);
}

/** Scrapes until the sum is what it has to be; a worker reports twice a second. */
async function waitFor(admin: number, what: string, isSo: (page: Read) => boolean): Promise<Read> {
  let page: Read | null = null;
  await until(
    what,
    async () => {
      page = await scrape(admin);
      return isSo(page);
    },
    { within: 15_000 },
  ).catch((error: unknown) => {
    throw new Error(
      `${String(error)}\n${[...(page?.samples ?? [])].map(([key, value]) => `${key} ${value}`).join('\n')}`,
    );
  });
  return page ?? assert.fail();
}

describe('requests', () => {
  it('CTL-04: are as many as the clients counted, over reloads and recycled workers, and never fall', async (t) => {
    const { s, admin } = await start(t, { workers: 3, config: { maxRequests: 100, maxRequestsJitter: 50 } });
    const load = startLoad(t, { target: s.target, groups: [...fourKinds, { kind: 'upload', clients: 2 }] });
    await load.answered(100);
    let last = 0;
    let scrapes = 0;
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        const page = await scrape(admin);
        const now = sumOf(page, 'http_requests_total');
        assert.ok(now >= last, `${now} after ${last}`);
        // One sample to a slot, whoever comes and goes.
        const slots = [...page.samples.keys()].filter((key) => key.startsWith('prefork_worker_resident'));
        assert.ok(slots.length <= 3, slots.join());
        last = now;
        scrapes += 1;
        await pause(100);
      }
    })();
    for (let reload = 0; reload < 3; reload++) {
      assert.match((await s.reload()).msg, /done/);
      await load.further(300);
    }
    const isRecycled = (): boolean => s.log.some(({ msg }) => /maxRequests reached/.test(msg));
    await until('a worker to have done its requests', isRecycled, { within: 30_000 });
    const report = await load.stop();
    isOver = true;
    await watching;
    const { sent, answered, failed } = total(report);
    assert.deepEqual([failed, sent], [0, answered], table(report));
    const page = await waitFor(
      admin,
      'every request to be counted, and the recycled worker to be gone',
      (page) =>
        sumOf(page, 'http_requests_total') >= sent &&
        sumOf(page, 'prefork_worker_exits_total', { reason: 'requests' }) > 0,
    );
    assert.equal(sumOf(page, 'http_requests_total'), sent);
    assert.equal(sumOf(page, 'http_requests_total', { status: '200' }), sent);
    assert.equal(sumOf(page, 'http_request_duration_seconds_count'), sent);
    assert.equal(sumOf(page, 'http_requests_aborted_total'), 0);
    assert.equal(sumOf(page, 'prefork_reloads_total', { outcome: 'completed' }), 3);
    assert.equal(sumOf(page, 'prefork_worker_exits_total', { reason: 'crash' }), 0);
    const starts = sumOf(page, 'prefork_worker_starts_total');
    const exits = sumOf(page, 'prefork_worker_exits_total');
    assert.equal(starts - exits, sumOf(page, 'prefork_workers'), 'whoever started and is not gone is there');
    t.diagnostic(`${scrapes} scrapes, ${sent} requests, ${exits} workers came and went`);
  });

  it('that a client gives up are told apart; methods, statuses and unknown methods are labels', async (t) => {
    const { s, admin } = await start(t, { workers: 1 });
    assert.equal((await request(s.target, '/nowhere', { method: 'DELETE' })).status, 404);
    assert.equal((await request(s.target, '/', { method: 'PROPFIND' })).status > 0, true);
    const socket = RawSocket.open(s.target).write(head('/slow?ms=5000'));
    await waitFor(admin, 'a request under way', (page) => sumOf(page, 'http_active_requests') === 1);
    socket.reset();
    // Counters and figures come in two messages, one after the other.
    const page = await waitFor(
      admin,
      'the abort',
      (page) => sumOf(page, 'http_requests_aborted_total') === 1 && sumOf(page, 'http_active_requests') === 0,
    );
    assert.equal(sumOf(page, 'http_requests_total', { method: 'DELETE', status: '404' }), 1);
    assert.equal(sumOf(page, 'http_requests_total', { method: 'OTHER' }), 1);
    assert.equal(sumOf(page, 'http_connections_total'), 3);
    assert.ok(sumOf(page, 'http_sent_bytes_total') > 0 && sumOf(page, 'http_received_bytes_total') > 0);
  });

  it('pipelined are timed each from its own head', async (t) => {
    const { s, admin } = await start(t, { workers: 1 });
    const socket = RawSocket.open(s.target).write(`${head('/slow?ms=600')}${head('/')}${head('/')}`);
    const page = await waitFor(admin, 'three requests', (page) => sumOf(page, 'http_requests_total') === 3);
    socket.reset();
    // The quick ones wait for the slow one: all three take its time.
    assert.equal(sumOf(page, 'http_request_duration_seconds_bucket', { le: '0.5' }), 0);
  });

  it('of HTTP/2, and of WebSockets, are counted too', async (t) => {
    const h2 = await start(t, { app: fixture('node/http2-plain.mjs'), workers: 1 });
    const session = connect(`http://127.0.0.1:${h2.s.port}`);
    for (let index = 0; index < 5; index++) {
      const stream = session.request({ ':path': '/' });
      stream.resume();
      await once(stream, 'end');
    }
    session.close();
    const page = await waitFor(h2.admin, 'five streams', (page) => sumOf(page, 'http_requests_total') === 5);
    assert.equal(sumOf(page, 'http_requests_aborted_total'), 0);
    const ws = await start(t, { workers: 1 });
    const load = startLoad(t, { target: ws.s.target, groups: [{ kind: 'websocket', clients: 2 }] });
    await load.answered(5);
    await waitFor(ws.admin, 'upgrades', (page) => sumOf(page, 'http_upgrades_total') >= 2);
    await load.stop();
  });
});

describe('routes', () => {
  it('are the patterns of Express, Fastify and Koa, never the URL', async (t) => {
    const port = await freePorts();
    const { admin } = await start(t, {
      app: fixture('metrics/routes.cjs'),
      bind: null,
      workers: 1,
      env: { FIRST_PORT: String(port) },
    });
    for (let framework = 0; framework < 3; framework++) {
      for (let id = 0; id < 20; id++) await request({ port: port + framework }, `/users/${id}`);
      await request({ port: port + framework }, `/nowhere/${framework}`);
    }
    await request({ port }, '/users/7/boom');
    const page = await waitFor(admin, 'all requests', (page) => sumOf(page, 'http_requests_total') === 64);
    assert.equal(sumOf(page, 'http_requests_total', { route: '/users/:id' }), 60);
    // Express has forgotten where the router is mounted when its error handler runs.
    assert.equal(sumOf(page, 'http_requests_total', { route: '/:id/boom', status: '500' }), 1);
    assert.ok(![...page.samples.keys()].some((key) => /nowhere|\/\d/.test(key)), 'a URL is a label');
  });

  it('are named by routeLabel, and there is a limit to them', async (t) => {
    const { s, admin } = await start(t, {
      workers: 1,
      config: `export default { routeLabel(request) { return request.url === '/version' ? nothing.at.all : request.url } }`,
    });
    for (let index = 0; index < 150; index++) await request(s.target, `/pid?id=${index}`);
    await request(s.target, '/version');
    const page = await waitFor(admin, 'all requests', (page) => sumOf(page, 'http_requests_total') === 151);
    const routes = [...page.samples.keys()].filter((key) => key.startsWith('http_requests_total{'));
    assert.ok(routes.length > 90 && routes.length <= 110, `${routes.length} routes`);
    assert.ok(sumOf(page, 'http_requests_total', { route: '(other)' }) >= 40);
    assert.match(s.stderr.text, /routeLabel failed/);
  });

  it('are named by a config in TypeScript, as prefork init writes it, for an app in JavaScript', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefork-label-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'supervisor.config.ts');
    // There is no node_modules anywhere near: prefork is installed elsewhere. Node's own type stripping knows no enum.
    writeFileSync(
      file,
      `import { defineConfig } from 'prefork';
enum Names { Version = '/version' }
export default defineConfig({ routeLabel: (request: { url?: string }) => request.url?.startsWith(Names.Version) ? Names.Version : null });
`,
    );
    const { s, admin } = await start(t, { workers: 1, args: ['-c', file] });
    await request(s.target, '/version?x=1');
    const page = await waitFor(admin, 'the request', (page) => sumOf(page, 'http_requests_total') === 1);
    assert.equal(sumOf(page, 'http_requests_total', { route: '/version' }), 1, s.describe());
    assert.doesNotMatch(s.stderr.text, /routeLabel cannot/);
  });

  it('are named from the first request on, however long the config takes to load', async (t) => {
    const { s, admin } = await start(t, {
      workers: 2,
      config: `await new Promise((resolve) => setTimeout(resolve, 700)); export default { routeLabel: () => '/named' };`,
    });
    await request(s.target, '/version');
    const page = await waitFor(admin, 'the request', (page) => sumOf(page, 'http_requests_total') === 1);
    assert.equal(sumOf(page, 'http_requests_total', { route: '/named' }), 1);
  });
});

describe("the app's own metrics", () => {
  it('are one sum over all workers, and survive each of them', async (t) => {
    const { s, admin } = await start(t, { app: fixture('metrics/app.mjs'), workers: 2 });
    const agentless = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index++) await request(s.target, '/order');
    };
    await agentless(20);
    await waitFor(admin, 'the first orders', (page) => sumOf(page, 'orders_total') === 20);
    for (let reload = 0; reload < 2; reload++) {
      await agentless(10);
      await s.reload();
    }
    const page = await waitFor(admin, 'all orders', (page) => sumOf(page, 'orders_total') === 40);
    assert.equal(sumOf(page, 'order_size_count'), 40);
    assert.equal(sumOf(page, 'order_size_sum'), 160);
    assert.equal(sumOf(page, 'order_size_bucket', { le: '1' }), 0);
    const gauges = await waitFor(admin, 'two workers', (page) => sumOf(page, 'queue_length') === 6);
    assert.ok(sumOf(gauges, 'process_resident_memory_bytes') > 0);
    // Its own metric of the same name is there under another.
    assert.equal(sumOf(gauges, 'http_requests_total'), 40);
    assert.equal(sumOf(gauges, 'app_http_requests_total'), 40);
  });

  it('CTL-04: of registries of its own too; what cannot be read, or not at once, holds up nothing', async (t) => {
    const { s, admin } = await start(t, { app: fixture('metrics/odd-registries.cjs'), workers: 2 });
    await waitFor(admin, 'the pool', (page) => sumOf(page, 'pool_size') === 14);
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 20; index++) await request(s.target, '/order');
      // At once: what a worker has not told yet it tells when it leaves.
      await s.reload();
    }
    const page = await waitFor(admin, 'all orders', (page) => sumOf(page, 'visits_total') === 60);
    assert.equal(sumOf(page, 'orders_total', { app: 'shop', kind: 'book', paid: 'true' }), 60);
    assert.equal(sumOf(page, 'shared_total'), 60, 'what is in two registries is counted once');
    assert.equal(sumOf(page, 'probes_total'), 0, 'what comes and goes with a request is none of the app’s');
  });
});

describe("the app's own registries", () => {
  it('are all there, what is in two of them once, and what collects itself is asked', async (t) => {
    const { s, admin } = await start(t, { app: fixture('metrics/registries.cjs'), workers: 2 });
    for (let index = 0; index < 10; index++) {
      await request(s.target, '/');
      await request(s.target, '/own');
    }
    await s.reload();
    await request(s.target, '/');
    const page = await waitFor(
      admin,
      'all sales',
      (page) => sumOf(page, 'sales_total') === 11 && sumOf(page, 'asked') === 2,
    );
    assert.ok(sumOf(page, 'process_cpu_seconds_total', { app: 'shop' }) > 0);
    for (const loader of ['auto', 'tsx']) {
      const typed = await start(t, { app: fixture('metrics/typed.ts'), workers: 1, args: ['--typescript', loader] });
      await request(typed.s.target, '/');
      await waitFor(typed.admin, 'that of an app in TypeScript', (page) => sumOf(page, 'typed_total') === 1);
    }
    // As under plain node: a merge knows nothing of default labels, and to read them changes nothing.
    assert.match((await request(s.target, '/own')).body, /^sales_total \d+$/m);
  });
});

describe('the page', () => {
  it('is valid in both formats, refuses what it does not know, and does not wait for a stopped worker', async (t) => {
    const { s, admin } = await start(t, { app: fixture('metrics/app.mjs'), workers: 2 });
    await request(s.target, '/order');
    await waitFor(admin, 'the order', (page) => sumOf(page, 'orders_total') === 1);
    const open = await scrape(admin, 'application/openmetrics-text; version=1.0.0');
    assert.equal(open.types.get('http_requests'), 'counter');
    assert.equal(sumOf(open, 'http_requests_total'), 1);
    for (const method of ['POST', 'DELETE'])
      assert.equal((await request({ port: admin }, '/metrics', { method })).status, 405);
    assert.equal((await request({ port: admin }, '/metrics', { headers: { host: 'evil.example' } })).status, 421);
    assert.equal((await request({ port: admin }, '/metrics/', {})).status, 404);
    const [victim = 0] = s.workers();
    process.kill(victim, 'SIGSTOP');
    try {
      const { ms } = await request({ port: admin }, '/metrics');
      assert.ok(ms < stretched(3_000), `${ms} ms`);
    } finally {
      process.kill(victim, 'SIGCONT');
    }
  });

  it('SEC-02 SEC-03: is there by the names that adminHosts has, and by no other', async (t) => {
    const { admin } = await start(t, { workers: 1, args: ['--admin-host', 'Shop', '--admin-host', 'shop.internal'] });
    const statusFor = async (host: string): Promise<number> =>
      (await request({ port: admin }, '/metrics', { headers: { host } })).status;
    assert.deepEqual(
      await Promise.all(['shop:9090', 'SHOP', 'shop.internal', 'localhost', '127.0.0.1:1'].map(statusFor)),
      [200, 200, 200, 200, 200],
    );
    assert.deepEqual(await Promise.all(['shop.evil', 'evil.shop', 'internal'].map(statusFor)), [421, 421, 421]);
  });

  it('without counting has the supervisor alone', async (t) => {
    const { s, admin } = await start(t, { workers: 1, config: { metrics: false } });
    await request(s.target, '/');
    const page = await scrape(admin);
    assert.ok(![...page.types.keys()].some((name) => name.startsWith('http_')));
    assert.equal(sumOf(page, 'prefork_workers', { phase: 'ready' }), 1);
  });
});

describe('statsd', () => {
  for (const tags of [false, true]) {
    it(`gets Gunicorn's names${tags ? ', with tags' : ''}`, async (t) => {
      const socket = createSocket('udp4');
      t.after(() => socket.close());
      let text = '';
      socket.on('message', (datagram) => (text += `${datagram.toString()}\n`));
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const args = ['--statsd', `127.0.0.1:${socket.address().port}`, '--statsd-prefix', 'shop'];
      const s = await startSupervisor(t, {
        workers: 1,
        args: [...args, ...(tags ? ['--statsd-tags', 'env=prod'] : [])],
      });
      await s.waitReady();
      for (let index = 0; index < 7; index++) await request(s.target, '/');
      const suffix = tags ? '|#env:prod' : '';
      const requests = (): number =>
        [...text.matchAll(/^shop\.requests:(\d+)\|c(.*)$/gm)].reduce((sum, [, count, tail]) => {
          assert.equal(tail, suffix);
          return sum + Number(count);
        }, 0);
      await until('seven requests', () => requests() === 7, { within: 15_000 });
      assert.ok(text.includes(`shop.request.status.200:`));
      assert.match(text, /^shop\.request\.duration:[\d.]+\|ms/m);
      assert.ok(text.includes(`shop.workers:1|g${suffix}\n`), text.slice(0, 500));
      if (tags) assert.match(text, /^shop\.http_requests_total:\d+\|c\|#method:GET,status:200,env:prod$/m);
      else assert.match(text, /^shop\.http_requests_total\.GET\.200:\d+\|c$/m);
    });
  }
});

async function freePorts(): Promise<number> {
  for (;;) {
    const port = await freePort();
    try {
      for (const next of [port + 1, port + 2]) {
        const probe = createSocketServer(next);
        await probe;
      }
      return port;
    } catch {
      // Taken: another one.
    }
  }
}

async function createSocketServer(port: number): Promise<void> {
  const { createServer } = await import('node:net');
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}
