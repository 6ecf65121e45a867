/** The id in the head of a response: there once, whichever way the app sets its headers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { requestIds } from '../../../../src/worker/access-log/request-id.ts';
import { Traffic } from '../../../../src/worker/traffic/traffic.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { until } from '../../../support/until.ts';

type Answer = (response: ServerResponse) => unknown;

/** What an app does, and whose id the client gets. */
const ways: Readonly<Record<string, readonly [Answer, 'request' | 'own']>> = {
  end: [(response) => response.end('x'), 'request'],
  write: [(response) => response.write('x') && response.end(), 'request'],
  writeHead: [(response) => response.writeHead(200).end('x'), 'request'],
  'writeHead-object': [
    (response) => response.writeHead(200, 'Fine', { 'content-length': 1, a: ['1', '2'] }).end('x'),
    'request',
  ],
  'writeHead-list': [
    (response) => response.writeHead(200, ['content-length', '1', 'a', 'x-request-id']).end('x'),
    'request',
  ],
  setHeader: [(response) => response.setHeader('content-length', 1).end('x'), 'request'],
  both: [(response) => response.setHeader('a', 1).writeHead(200, { 'content-length': 1 }).end('x'), 'request'],
  empty: [(response) => response.writeHead(204).end(), 'request'],
  asked: [(response) => response.end(String(response.getHeader('X-Request-Id') === 'r-1')), 'request'],
  'own-set': [(response) => response.setHeader('X-Request-Id', 'own').end('x'), 'own'],
  'own-object': [(response) => response.writeHead(200, { 'X-REQUEST-ID': 'own' }).end('x'), 'own'],
  'own-list': [(response) => response.writeHead(200, ['a', '1', 'X-Request-ID', 'own']).end('x'), 'own'],
  'own-both': [(response) => response.setHeader('a', 1).writeHead(200, { 'x-request-id': 'own' }).end('x'), 'own'],
};

describe('the id in the head of a response', () => {
  const traffic = new Traffic({ keepAlive: 0, health: null });
  const server = http.createServer((request, response) => ways[request.url?.slice(1) ?? '']?.[0](response));
  let port = 0;

  before(async () => {
    traffic.track(server);
    traffic.subscribe(requestIds());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  for (const [way, [, whose]] of Object.entries(ways)) {
    it(`${way}: is the ${whose === 'own' ? "app's own" : "request's"}, once`, async () => {
      const raw = await RawSocket.connected({ port });
      raw.write(head(`/${way}`, { 'X-Request-ID': 'r-1' }));
      const sent = await until('the answer', () => /^([\s\S]+?)\r\n\r\n/.exec(raw.text)?.[1]);
      if (way === 'asked') await raw.waitFor(/true$/);
      raw.close();
      assert.match(sent, /^HTTP\/1\.1 20[04] \w+/);
      const found = sent.split('\r\n').flatMap((line) => /^x-request-id: (.*)$/i.exec(line)?.[1] ?? []);
      assert.deepEqual(found, [whose === 'own' ? 'own' : 'r-1'], sent);
    });
  }
});
