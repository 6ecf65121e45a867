/** Serves a web-standard `fetch` handler, as Hono and others export it, on a Node HTTP server. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

/** `{ fetch }`. */
export interface FetchApp {
  fetch(request: Request, ...rest: unknown[]): Response | Promise<Response>;
}

/** What the app gets as its environment; Hono's own adapter gives it the same. */
interface Bindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/** @returns a handler for the event 'request' */
export function fetchHandler(app: FetchApp): RequestListener {
  return (incoming, outgoing) => {
    void answer(app, incoming, outgoing);
  };
}

async function answer(app: FetchApp, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const abort = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) abort.abort(new DOMException('The client has left', 'AbortError'));
  });
  let request: Request;
  try {
    request = toRequest(incoming, abort.signal);
  } catch {
    outgoing.writeHead(400).end('Bad Request');
    return;
  }
  try {
    const bindings: Bindings = { incoming, outgoing };
    await send(await app.fetch(request, bindings), outgoing, request.method === 'HEAD');
  } catch (error) {
    if (abort.signal.aborted) return;
    console.error(error);
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(500, { 'Content-Type': 'text/plain' }).end('Internal Server Error');
  }
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = 'GET', url = '/', rawHeaders } = incoming;
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '');
  }
  const isEncrypted = (incoming.socket as Socket & { encrypted?: boolean }).encrypted === true;
  const origin = `${isEncrypted ? 'https' : 'http'}://${incoming.headers.host ?? 'localhost'}`;
  // Not new URL(url, origin): a path that begins with two slashes would be taken for another host.
  const address = new URL(url.startsWith('/') ? `${origin}${url}` : url === '*' ? origin : url);
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return new Request(address, {
    method,
    headers,
    signal,
    ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: 'half' } : {}),
  } as RequestInit);
}

async function send(response: Response, outgoing: ServerResponse, isHead: boolean): Promise<void> {
  // A handler may have answered by way of its bindings.
  if (outgoing.headersSent) return;
  outgoing.statusCode = response.status;
  if (response.statusText !== '') outgoing.statusMessage = response.statusText;
  for (const [name, value] of response.headers) {
    // Each cookie is a header of its own: they cannot be joined by commas.
    if (name !== 'set-cookie') outgoing.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies);
  const body = response.body as ReadableStream | null;
  if (body === null || isHead) {
    await body?.cancel();
    outgoing.end();
    return;
  }
  // A stream's first chunk may be long in coming; its head need not be.
  if (!response.headers.has('content-length')) outgoing.flushHeaders();
  await pipeline(Readable.fromWeb(body), outgoing);
}
