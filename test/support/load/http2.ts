/**
 * Requests over one HTTP/2 session. A correct client opens a new session after GOAWAY, and may send again what the
 * server says it never looked at (REFUSED_STREAM); that is counted as retried, nothing else is.
 */
import http2 from 'node:http2';
import { addressOf } from '../request.ts';
import { whenLate } from '../slowness.ts';
import { Client, classify, whoIn } from './client.ts';
import type { Ticket } from './tally.ts';

type Outcome = 'answered' | 'failed' | 'refused-stream';

export class Http2Client extends Client {
  #session: http2.ClientHttp2Session | null = null;

  protected async once(): Promise<boolean> {
    const ticket = this.tally.begin();
    for (let attempt = 0; attempt < 3; attempt++) {
      const outcome = await this.#request(this.#connected(), ticket);
      if (outcome !== 'refused-stream') return outcome === 'answered';
      this.tally.retried++;
      this.#session = null;
    }
    this.tally.fail(ticket, 'other', 'three sessions in a row refused the stream');
    return false;
  }

  protected override async close(): Promise<void> {
    const session = this.#session;
    if (session === null || session.destroyed) return;
    await new Promise<void>((resolve) => session.close(resolve));
  }

  #connected(): http2.ClientHttp2Session {
    const current = this.#session;
    if (current !== null && !current.closed && !current.destroyed) return current;
    const address = addressOf(this.target);
    const secure = this.target.secure === true;
    const origin =
      'port' in address ? `${secure ? 'https' : 'http'}://${address.host}:${address.port}` : 'http://localhost';
    const session =
      'port' in address
        ? http2.connect(origin, { rejectUnauthorized: false })
        : http2.connect(origin, { path: address.socketPath });
    this.tally.connections++;
    // Each stream reports its own failure.
    session.on('error', () => undefined);
    session.on('goaway', () => {
      if (this.#session === session) this.#session = null;
    });
    this.#session = session;
    return session;
  }

  #request(session: http2.ClientHttp2Session, ticket: Ticket): Promise<Outcome> {
    return new Promise((resolve) => {
      let settled = false;
      let gotHead = false;
      let status = 0;
      const chunks: Buffer[] = [];
      const settle = (outcome: Outcome): void => {
        if (settled) return;
        settled = true;
        cancel();
        resolve(outcome);
      };
      const fail = (error: NodeJS.ErrnoException): void => {
        if (settled) return;
        if (this.#session === session && session.destroyed) this.#session = null;
        if (error.code === 'ERR_HTTP2_STREAM_ERROR' && /REFUSED_STREAM/.test(error.message)) {
          settle('refused-stream');
          return;
        }
        const failure = /^ERR_HTTP2/.test(error.code ?? '')
          ? classify(Object.assign(new Error(), { code: 'ECONNRESET' }), gotHead)
          : classify(error, gotHead);
        this.tally.fail(ticket, failure, `h2: ${error.code ?? ''} ${error.message}`);
        settle('failed');
      };
      const stream = session.request({ ':path': this.options.path ?? '/' });
      const cancel = whenLate(this.timeout, () => {
        if (!settled) this.tally.fail(ticket, 'client-timeout', `h2: ${this.timeout} ms`);
        settle('failed');
        stream.destroy();
      });
      stream.on('error', fail);
      stream.on('response', (headers) => {
        gotHead = true;
        status = Number(headers[':status']);
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (settled || stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR || status === 0) return;
        const who = whoIn(Buffer.concat(chunks));
        if (status !== 200) this.tally.fail(ticket, status >= 500 ? 'http-5xx' : 'other', `h2: ${status}`);
        else if (who === null) this.tally.fail(ticket, 'wrong-body', Buffer.concat(chunks).toString().slice(0, 200));
        else this.tally.answer(ticket, who);
        settle(status === 200 && who !== null ? 'answered' : 'failed');
      });
      stream.on('close', () => {
        fail(Object.assign(new Error(`stream closed with ${stream.rstCode}`), { code: 'ECONNRESET' }));
      });
      stream.end();
    });
  }
}
