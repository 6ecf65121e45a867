/** The clients of long answers: a download whose every byte is known, and server-sent events. */
import http from 'node:http';
import { addressOf } from '../request.ts';
import { whenLate } from '../slowness.ts';
import { Client, classify, exchange, whoIn } from './client.ts';
import type { Who } from './tally.ts';

/** What the one-file fixture sends per chunk of `/stream`. */
const chunkBytes = 100;

/** Downloads `count` chunks, 10 ms apart, on a connection of its own; each chunk says its number and its sender. */
export class DownloadClient extends Client {
  protected once(): Promise<boolean> {
    const chunks = this.options.count ?? 30;
    return exchange(this.target, this.tally, {
      path: this.options.path ?? `/stream?chunks=${chunks}&ms=10`,
      timeout: this.timeout,
      check: (body) => checkChunks(body, chunks),
    });
  }
}

/** All chunks, in order, of one length, from one worker. */
function checkChunks(body: Buffer, chunks: number): Who | null {
  if (body.length !== chunks * chunkBytes) return null;
  let first: Who | null = null;
  for (let index = 0; index < chunks; index++) {
    const who = whoIn(body.subarray(index * chunkBytes, (index + 1) * chunkBytes));
    if (who === null || who.fields.chunk !== index) return null;
    first ??= { pid: who.pid ?? 0, ...(who.version === undefined ? {} : { version: who.version }) };
    if (first.pid !== who.pid) return null;
  }
  return first;
}

/**
 * Listens to `/sse` as an EventSource does: stays until the server ends the response, and comes back. A connection
 * counts as answered when it ended in order (a whole chunked body), or when the client itself left.
 */
export class EventsClient extends Client {
  #leave: (() => void) | null = null;

  protected once(): Promise<boolean> {
    const { tally } = this;
    const ticket = tally.begin();
    return new Promise((resolve) => {
      let who: Who = {};
      let settled = false;
      let gotHead = false;
      const settle = (good: boolean): void => {
        if (settled) return;
        settled = true;
        cancel();
        this.#leave = null;
        if (good) tally.answer(ticket, who);
        req.destroy();
        resolve(good);
      };
      const fail = (error: NodeJS.ErrnoException): void => {
        if (!settled) tally.fail(ticket, classify(error, gotHead), `/sse: ${error.code ?? ''} ${error.message}`);
        settle(false);
      };
      const req = http.request({ ...addressOf(this.target), path: this.options.path ?? '/sse', agent: false });
      const cancel = whenLate(this.timeout, () => {
        if (!settled) tally.fail(ticket, 'client-timeout', `/sse: no first event in ${this.timeout} ms`);
        settle(false);
      });
      this.#leave = () => settle(true);
      req.on('socket', () => {
        tally.connections++;
      });
      req.on('error', fail);
      req.on('response', (res) => {
        gotHead = true;
        const reader = new EventReader(this.options.count ?? Number.POSITIVE_INFINITY);
        res.setEncoding('utf8');
        res.on('data', (text: string) => {
          cancel();
          reader.take(text);
          who = reader.who;
          if (reader.wrong !== null) wrong(reader.wrong);
          else if (reader.enough) settle(true);
        });
        const wrong = (detail: string): void => {
          if (!settled) tally.fail(ticket, 'wrong-body', `/sse: ${detail}`);
          settle(false);
        };
        res.on('error', fail);
        res.on('end', () => {
          if (res.complete) settle(true);
        });
        res.on('close', () => {
          if (!res.complete) fail(Object.assign(new Error('cut'), { code: 'ECONNRESET' }));
        });
      });
      req.end();
    });
  }

  protected override interrupt(): void {
    this.#leave?.();
  }
}

/** Events must be numbered 0, 1, 2, ... */
class EventReader {
  who: Who = {};
  wrong: string | null = null;
  readonly #limit: number;
  #next = 0;
  #rest = '';

  constructor(limit: number) {
    this.#limit = limit;
  }

  get enough(): boolean {
    return this.#next >= this.#limit;
  }

  take(text: string): void {
    const events = (this.#rest + text).split('\n\n');
    this.#rest = events.pop() ?? '';
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data === undefined) continue;
      const fields = whoIn(Buffer.from(data));
      if (fields === null || fields.fields.event !== this.#next) {
        this.wrong = `expected event ${this.#next}, got ${event}`;
        return;
      }
      this.#next++;
      this.who = { pid: fields.pid ?? 0, ...(fields.version === undefined ? {} : { version: fields.version }) };
    }
  }
}
