/** What an app can see on its own servers, sockets, requests, responses, sessions and streams: the same as without prefork. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import { describe, test } from 'node:test';
import { fixture } from '../../../support/paths.ts';
import { freePort, request } from '../../../support/request.ts';
import { until } from '../../../support/until.ts';
import { cleanup, start } from '../../../support/worker-harness.ts';

interface Seen {
  readonly keys: readonly string[];
  readonly listeners: readonly string[];
  readonly sources: readonly string[];
  readonly emit: readonly unknown[];
}
type Look = Readonly<Record<string, Seen>>;

async function lookHttp2(url: string): Promise<string> {
  const client = http2.connect(url, { rejectUnauthorized: false });
  const stream = client.request({ ':path': '/' }).setEncoding('utf8');
  let text = '';
  stream.on('data', (chunk: string) => {
    text += chunk;
  });
  await once(stream, 'end');
  client.close();
  return text;
}

async function lookHttps(port: number): Promise<string> {
  const [response] = (await once(
    https.get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false }),
    'response',
  )) as [AsyncIterable<Buffer>];
  let text = '';
  for await (const chunk of response) text += chunk.toString();
  return text;
}

const asks: Readonly<Record<string, (port: number) => Promise<string>>> = {
  http: async (port) => (await request({ port }, '/')).body,
  https: lookHttps,
  http2: (port) => lookHttp2(`http://127.0.0.1:${port}`),
  http2s: (port) => lookHttp2(`https://127.0.0.1:${port}`),
};

async function plain(kind: string): Promise<number> {
  const child = spawn(process.execPath, [fixture('worker/looks.cjs')], {
    env: { KIND: kind, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanup(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return Number(await until('the port', () => /listening (\d+)/.exec(text)?.[1]));
}

describe('nothing of prefork is to be seen', () => {
  for (const [kind, ask] of Object.entries(asks)) {
    test(kind, async () => {
      const worker = await start({ app: 'worker/looks.cjs', env: { KIND: kind, PORT: String(await freePort()) } });
      const bare = JSON.parse(await ask(await plain(kind))) as Look;
      const served = JSON.parse(await ask(worker.port())) as Look;
      assert.ok(Object.keys(bare).length >= 4, Object.keys(bare).join());
      assert.deepEqual(served, bare);
    });
  }
});
