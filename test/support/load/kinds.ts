/** The clients of plain requests, with Node's own agents: busy, idle between requests, a connection per request, slow, uploading. */
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { Target } from '../request.ts';
import { Client, exchange, tagged, whoIn } from './client.ts';
import type { Tally } from './tally.ts';

/** An agent that keeps one connection. */
function oneConnection(target: Target): http.Agent {
  const options = { keepAlive: true, maxSockets: 1 };
  return target.secure === true ? new https.Agent(options) : new http.Agent(options);
}

/** Requests one after the other on one connection, which is kept as long as the server wants to. */
export class KeepAliveClient extends Client {
  readonly #agent = oneConnection(this.target);

  protected once(): Promise<boolean> {
    return exchange(this.target, this.tally, {
      ...tagged(this.options.path ?? '/pid'),
      agent: this.#agent,
      timeout: this.timeout,
    });
  }

  protected override async close(): Promise<void> {
    this.#agent.destroy();
  }
}

/** Every request on a connection of its own. With a body it is a POST whose digest the server must give back. */
export class FreshClient extends Client {
  protected once(): Promise<boolean> {
    const bytes = this.options.body ?? 0;
    if (bytes === 0) {
      return exchange(this.target, this.tally, { ...tagged(this.options.path ?? '/pid'), timeout: this.timeout });
    }
    return upload(this.target, this.tally, this.options.path ?? '/upload', randomBytes(bytes), this.timeout);
  }
}

/** Uploads of random bytes on a connection that is kept. */
export class UploadClient extends Client {
  readonly #agent = oneConnection(this.target);

  protected once(): Promise<boolean> {
    const body = randomBytes(this.options.body ?? 64 * 1024);
    return upload(this.target, this.tally, this.options.path ?? '/upload', body, this.timeout, this.#agent);
  }

  protected override async close(): Promise<void> {
    this.#agent.destroy();
  }
}

function upload(
  target: Target,
  tally: Tally,
  path: string,
  body: Buffer,
  timeout: number,
  agent?: http.Agent,
): Promise<boolean> {
  const sha256 = createHash('sha256').update(body).digest('hex');
  return exchange(target, tally, {
    path,
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(body.length) },
    body,
    timeout,
    ...(agent === undefined ? {} : { agent }),
    check: (answer) => {
      const who = whoIn(answer);
      return who !== null && who.fields.size === body.length && who.fields.sha256 === sha256 ? who : null;
    },
  });
}
