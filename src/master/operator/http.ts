/**
 * A small HTTP server for operators: a fixed table of routes, JSON in and out, tight limits. Serves the control socket,
 * and read-only the admin address. Nothing that is sent to it can block or end the master.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type ListenOptions, Server as NetServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { EventSink } from './event-sink.ts';
import { refusalOf } from './guard.ts';
import { type Answer, type Call, type Reply, type Route, refuse, type Streaming, type Transfer } from './route.ts';

export interface ControlHttpOptions {
  readonly routes: readonly Route[];
  /** `local` is a unix socket, whose permissions say which users may call; `network` is read-only, and looks at Host and Origin. */
  readonly reach: 'local' | 'network';
  /** Names by which it may be asked from the network, besides `localhost`; lower case. */
  readonly names?: () => readonly string[];
  /** A route threw: a bug of ours. */
  readonly onError: (error: unknown) => void;
}

const maxBody = 64 * 1024;
/** Enough for clients that only connect, and say nothing until `headersTimeout`, not to keep others out. */
const maxConnections = 256;
/** Requests of one connection: for a client that sends thousands at once, and reads no answer, all would be kept. */
const maxRequests = 100;
/** Connections that may be streams: the others are for single requests. */
const maxStreams = 32;

/**
 * Milliseconds. Node looks at the clock before it reads what has come: on a machine that has too much to do, a request that
 * was sent at once would be late. Of a unix socket, which is its owner's, commands give up before this.
 */
const timeouts = {
  local: { headersTimeout: 30_000, requestTimeout: 30_000 },
  network: { headersTimeout: 5_000, requestTimeout: 10_000 },
} as const;

/** Of every answer: no cache keeps it, no browser guesses its type, no other site embeds it. */
const standing = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
} as const;

export class ControlHttp {
  readonly #options: ControlHttpOptions;
  readonly #streams = new Set<ServerResponse>();
  readonly server: Server;

  constructor(options: ControlHttpOptions) {
    this.#options = options;
    this.server = createServer(
      {
        maxHeaderSize: 8 * 1024,
        ...timeouts[options.reach],
        keepAliveTimeout: 5_000,
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => {
        this.#serve(request, response).catch((error: unknown) => {
          options.onError(error);
          response.destroy();
        });
      },
    );
    this.server.maxConnections = maxConnections;
    this.server.maxRequestsPerSocket = maxRequests;
    this.server.on('error', () => {});
    this.server.on('clientError', (error: NodeJS.ErrnoException, duplex) => {
      const socket = duplex as Socket;
      // Said already: each further piece of what is wrong is an error again.
      if (socket.writableEnded) return;
      // In words, if the client can still read them; and nothing more is read from it.
      if (socket.writable && error.code !== 'ECONNRESET' && socket.bytesWritten === 0)
        socket.write(`HTTP/1.1 ${statusOf(error)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      socket.destroySoon();
    });
    // There is no other protocol to switch to.
    this.server.on('upgrade', (_request, socket) => socket.destroy());
    this.server.on('checkExpectation', (_request, response: ServerResponse) => response.writeHead(417).end());
  }

  /**
   * Listens. A unix socket belongs to its owner alone from its first moment on.
   *
   * @throws what node:net says of an address that cannot be used
   */
  async listen(where: ListenOptions & { readonly fd?: number }): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.once('listening', resolve);
      const umask = process.umask(0o177);
      try {
        this.server.listen(where);
      } finally {
        process.umask(umask);
      }
    });
  }

  /** Accepts no more; clients that are connected are served to the end. */
  retire(): void {
    NetServer.prototype.close.call(this.server);
  }

  close(): void {
    this.server.close();
    // A client of a stream that was ended reads it to its end.
    const isEnding = [...this.#streams].some(({ writableEnded }) => writableEnded);
    if (isEnding) this.server.closeIdleConnections();
    else this.server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => {});
    response.on('error', () => {});
    const answer = await this.#reply(request, (then) => response.on('close', then));
    if ('transfer' in answer) return this.#transfer(answer, request, response);
    if (response.destroyed) return;
    if (!('stream' in answer)) return this.#send(answer, request, response);
    if (this.#streams.size < maxStreams) return this.#open(answer, request, response);
    const full = refuse(503, 'too_many_streams', `${maxStreams} streams are open already`);
    this.#send({ ...full, headers: { 'retry-after': '5' } }, request, response);
  }

  #transfer({ transfer, size, headers }: Transfer, request: IncomingMessage, response: ServerResponse): void {
    if (response.destroyed || request.method === 'HEAD') {
      transfer.destroy();
      response.end();
      return;
    }
    response.writeHead(200, {
      ...standing,
      'content-type': 'application/json; charset=utf-8',
      'content-length': size,
      connection: 'close',
      ...headers,
    });
    // An answer that ends early is one that fails: its length says so.
    pipeline(transfer, response, () => response.destroy());
  }

  #open({ stream }: Streaming, request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, {
      ...standing,
      'content-type': 'text/event-stream; charset=utf-8',
      connection: 'close',
      // nginx would collect them.
      'x-accel-buffering': 'no',
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
    stream(new EventSink(response));
  }

  #send(reply: Reply, request: IncomingMessage, response: ServerResponse): void {
    const isText = reply.type !== undefined;
    const text = isText ? String(reply.body) : `${JSON.stringify(reply.body)}\n`;
    response.writeHead(reply.status, {
      'content-type': reply.type ?? 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      ...standing,
      ...reply.headers,
      ...(reply.status === 405 ? { allow: this.#allowed(pathOf(request)).join(', ') } : {}),
      // What is left of a body that was refused is not read.
      ...(request.complete ? {} : { connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  async #reply(request: IncomingMessage, onGone: Call['onGone']): Promise<Answer> {
    const { routes, reach } = this.#options;
    if (reach === 'network') {
      const refusal = refusalOf(request, this.#options.names?.());
      if (refusal !== null) return refusal;
    }
    const path = pathOf(request);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const route = routes.find((each) => each.path === path && each.method === method);
    if (route === undefined) {
      return this.#allowed(path).length > 0
        ? refuse(405, 'method_not_allowed', `${path} takes ${this.#allowed(path).join(', ')}`)
        : refuse(404, 'not_found', `there is no such path; GET /status, for example`);
    }
    const body: Body = route.method === 'POST' ? await readBody(request) : { kind: 'object', value: {} };
    if (body.kind === 'refused') return body.reply;
    try {
      const query = new URLSearchParams(request.url?.slice(path.length + 1));
      return await route.handle({
        method: route.method,
        path,
        query,
        body: body.value,
        headers: request.headers,
        onGone,
      });
    } catch (error) {
      this.#options.onError(error);
      return refuse(500, 'internal', 'this is a bug in prefork; its log says more');
    }
  }

  #allowed(path: string): string[] {
    const methods = this.#options.routes.filter((each) => each.path === path).map(({ method }) => method);
    return methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  }
}

function statusOf({ code }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return '431 Request Header Fields Too Large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return '408 Request Timeout';
    default:
      return '400 Bad Request';
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

type Body =
  | { readonly kind: 'object'; readonly value: Readonly<Record<string, unknown>> }
  | { readonly kind: 'refused'; readonly reply: Reply };

/** @returns the object that was sent, or a reply that says why it cannot be used */
function readBody(request: IncomingMessage): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const answer = (reply: Reply): void => {
      request.removeAllListeners('data');
      request.pause();
      resolve({ kind: 'refused', reply });
    };
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBody) answer(refuse(413, 'too_large', `a body may have ${maxBody} bytes`));
      else chunks.push(chunk);
    });
    request.on('close', () => answer(refuse(400, 'incomplete', 'the body did not arrive')));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      if (text.trim() === '') return resolve({ kind: 'object', value: {} });
      if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
        return answer(refuse(415, 'not_json', 'expected content-type: application/json'));
      try {
        const value: unknown = JSON.parse(text);
        if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object');
        resolve({ kind: 'object', value: value as Record<string, unknown> });
      } catch {
        answer(refuse(400, 'bad_json', 'expected a JSON object'));
      }
    });
  });
}
