/**
 * The slow line is what says that nothing is lost over a real network, so it is held to what a network does: everything
 * comes later, in order, the ends too, and nothing is added.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startForwarder } from '../../support/load/forwarder.ts';
import { Line, type LineSpec } from '../../support/load/line.ts';
import { Mix, total } from '../../support/load/mix.ts';
import { freePort, request, socketAddressOf, type Target } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { pause, until } from '../../support/until.ts';

/** What a side of a connection has seen, with the moment of each thing. */
interface Seen {
  readonly socket: net.Socket;
  readonly events: { readonly what: string; readonly at: number }[];
  text(): string;
}

function watch(socket: net.Socket): Seen {
  const events: { what: string; at: number }[] = [];
  const note = (what: string) => events.push({ what, at: performance.now() });
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
    note(String(chunk));
  });
  socket.on('end', () => note('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => note(error.code ?? 'error'));
  return { socket, events, text: () => text };
}

interface Ends {
  readonly client: Seen;
  readonly service: Seen;
  readonly line: Line;
}

/** A connection through a line, both of whose ends are here. */
async function connect(
  t: TestContext,
  delays: Pick<LineSpec, 'there' | 'back'>,
  kinds: readonly [from: 'TCP' | 'unix', to: 'TCP' | 'unix'] = ['TCP', 'TCP'],
): Promise<Ends> {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-line-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const server = net.createServer({ allowHalfOpen: true });
  const to: Target = kinds[1] === 'unix' ? { socketPath: join(folder, 'to') } : { port: await freePort() };
  await new Promise<void>((resolve) => server.listen(socketAddressOf(to), resolve));
  const line = new Line({ to, ...delays, ...(kinds[0] === 'unix' ? { socketPath: join(folder, 'line') } : {}) });
  const target = await line.listen();
  t.after(() => {
    line.close();
    server.close();
  });
  const accepted = once(server, 'connection');
  const client = net.connect({ ...socketAddressOf(target), allowHalfOpen: true, noDelay: true });
  const [service] = (await accepted) as [net.Socket];
  for (const socket of [client, service]) t.after(() => socket.destroy());
  return { client: watch(client), service: watch(service), line };
}

function has({ events }: Seen, what: string): Promise<{ readonly at: number }> {
  return until(what, () => events.find((event) => event.what === what));
}

describe('the slow line', () => {
  it('bytes take their time, of each direction its own', async (t) => {
    const { client, service } = await connect(t, { there: 120, back: 40 });
    const sent = performance.now();
    client.socket.write('there');
    const arrived = (await has(service, 'there')).at;
    assert.ok(arrived - sent >= 120, `${arrived - sent} ms`);
    assert.ok(arrived - sent < 120 + stretched(500), `${arrived - sent} ms`);
    service.socket.write('back');
    const back = (await has(client, 'back')).at;
    assert.ok(back - arrived >= 40 && back - arrived < 40 + stretched(500), `${back - arrived} ms`);
  });

  it('the first bytes take three times as long: the connection comes first', async (t) => {
    const from = performance.now();
    const { service, client } = await connect(t, { there: 60 });
    client.socket.write('first');
    assert.ok((await has(service, 'first')).at - from >= 180);
  });

  for (const kinds of [
    ['TCP', 'TCP'],
    ['unix', 'TCP'],
    ['unix', 'unix'],
  ] as const) {
    it(`an end comes after the bytes before it, as late, and leaves the other direction open: ${kinds.join(' to ')}`, async (t) => {
      const { client, service, line } = await connect(t, { there: 80 }, kinds);
      client.socket.write('last words');
      const ended = performance.now();
      client.socket.end();
      const end = await has(service, 'end');
      assert.ok(end.at - ended >= 80, `${end.at - ended} ms`);
      assert.deepEqual(
        service.events.map(({ what }) => what),
        ['last words', 'end'],
      );
      service.socket.write('still here');
      await has(client, 'still here');
      await pause(150);
      assert.equal(client.text(), 'still here');
      service.socket.end('bye');
      await has(client, 'end');
      assert.equal(client.text(), 'still herebye');
      await until('the line to be empty', () => line.counts.open === 0);
      assert.deepEqual(line.counts, {
        opened: 1,
        refused: 0,
        open: 0,
        bytesThere: 10,
        bytesBack: 13,
        endsThere: 1,
        endsBack: 1,
        resetsThere: 0,
        resetsBack: 0,
      });
    });
  }

  it('a reset comes after the bytes before it, as late, in both directions', async (t) => {
    for (const side of ['client', 'service'] as const) {
      const ends = await connect(t, { there: 80 });
      const from = ends[side];
      const other = side === 'client' ? ends.service : ends.client;
      from.socket.write('last words');
      await pause(50);
      const reset = performance.now();
      from.socket.resetAndDestroy();
      const seen = await has(other, 'ECONNRESET');
      assert.ok(seen.at - reset >= 80, `${seen.at - reset} ms`);
      assert.equal(other.text(), 'last words');
      assert.equal(side === 'client' ? ends.line.counts.resetsThere : ends.line.counts.resetsBack, 1);
    }
  });

  it('what crosses with an end meets nobody, as over a network', async (t) => {
    const { client, service, line } = await connect(t, { there: 80 });
    // As a server does that closes an idle connection: it reads no more.
    service.socket.destroy();
    const crossing = performance.now();
    client.socket.write('a request');
    assert.ok((await has(client, 'end')).at - crossing >= 79);
    await until('a reset', () => {
      client.socket.write('more');
      return client.events.some(({ what }) => what === 'EPIPE' || what === 'ECONNRESET');
    });
    assert.equal(line.counts.resetsBack, 1);
  });

  it('nothing is changed, nothing held in vast amounts, whoever reads slowly', async (t) => {
    const { client, service, line } = await connect(t, { there: 20 });
    const sent = randomBytes(8 * 1024 * 1024);
    const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    const received: Buffer[] = [];
    service.socket.removeAllListeners('data');
    service.socket.pause();
    client.socket.end(sent);
    await pause(300);
    // What the kernel and the line take before anybody reads: the line no more than its limit.
    const before = client.socket.bytesWritten - client.socket.writableLength;
    assert.ok(line.counts.bytesThere < sent.length, `${before} of ${sent.length} bytes were taken`);
    service.socket.on('data', (chunk: Buffer) => received.push(chunk));
    service.socket.resume();
    await has(service, 'end');
    assert.equal(digest(Buffer.concat(received)), digest(sent));
    assert.equal(line.counts.bytesThere, sent.length);
  });

  it('a service that is not there is a reset, counted', async (t) => {
    const line = new Line({ to: { port: await freePort() }, there: 30 });
    const target = await line.listen();
    t.after(() => line.close());
    const client = watch(net.connect({ ...socketAddressOf(target) }));
    await has(client, 'ECONNRESET');
    assert.deepEqual([line.counts.opened, line.counts.refused], [1, 1]);
    await until('the line to be empty', () => line.counts.open === 0);
  });

  it('delays are drawn for each connection and stay; the same seed draws the same', async (t) => {
    const server = net.createServer((socket) => socket.pipe(socket));
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    t.after(() => server.close());
    const line = new Line({ to: { port }, there: [20, 150], seed: 7 });
    const target = await line.listen();
    t.after(() => line.close());
    const trips: number[] = [];
    for (let connection = 0; connection < 4; connection++) {
      const client = watch(net.connect({ ...socketAddressOf(target), noDelay: true }));
      client.socket.write('hello');
      await has(client, 'hello');
      const from = performance.now();
      client.socket.write('again');
      trips.push((await has(client, 'again')).at - from);
      client.socket.destroy();
    }
    assert.ok(
      trips.every((trip) => trip >= 40),
      trips.join(', '),
    );
    assert.ok(Math.max(...trips) - Math.min(...trips) > 20, trips.join(', '));
  });
});

describe('the slow line in a process of its own', () => {
  it('requests of load clients take their delay, and each is counted on both sides', async (t) => {
    const server = http.createServer((_req, res) => res.end('{"pid":1}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const forwarder = await startForwarder(t, { to: { port: address.port }, there: 50, back: 70 });
    const report = await new Mix({
      target: forwarder.target,
      groups: [{ kind: 'keep-alive', clients: 3, requests: 12 }],
    })
      .start()
      .done();
    const all = total(report);
    all.assertComplete();
    assert.deepEqual([all.answered, all.failed, all.connections], [12, 0, 3]);
    assert.ok(all.overall.quantile(0) >= 119, String(all.overall.quantile(0)));
    const counts = await until('the connections to end', async () => {
      const now = await forwarder.counts();
      return now.open === 0 ? now : null;
    });
    assert.equal(counts.opened, 3);
    assert.equal((await request(forwarder.target, '/')).status, 200);
  });
});
