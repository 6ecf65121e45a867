/**
 * Answers requests with 504 to which the app has sent nothing. The answer is the app's own response, so that it comes in its
 * turn, is counted and logged as any other, and its request has ended for a drain; then it is taken from the app.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2';
import { abandonRequest } from '../../system/node-internals.ts';
import { lingerAtClose } from '../drain/lingering-close.ts';
import type { Connection, StreamInFlight } from '../traffic/connection.ts';
import type { Observer } from '../traffic/observer.ts';
import { silenceResponse, silenceStream } from './silence.ts';

const status = 504;
const reason = 'Gateway Timeout';
const body = 'The service did not answer in time.\n';
/** Headers of the app's that are of the request, not of the answer that it did not give. */
const kept = /^(?:x-request-id|traceparent|access-control-.*)$/i;

export class Expiry implements Observer {
  /** Responses of Node's compatibility API for HTTP/2. */
  readonly #responses = new WeakMap<ServerHttp2Stream, Http2ServerResponse>();

  onBegin(request: IncomingMessage, response: ServerResponse): void {
    if (request.httpVersionMajor === 1) return;
    const ofHttp2 = response as unknown as Http2ServerResponse;
    this.#responses.set(ofHttp2.stream, ofHttp2);
  }

  /** @returns whether it was answered: not if anything was sent, or is about to be */
  answer(response: ServerResponse, connection: Connection): boolean {
    if (response.headersSent || response.writableEnded || response.destroyed) return false;
    const { req: request } = response;
    const { socket, newest } = connection;
    // An app, or a library of its, may have put its own methods before them: they would add to what is not theirs.
    const { prototype } = process.getBuiltinModule('node:http').ServerResponse;
    // Further requests may have arrived on the connection; of these one is answered next.
    const ends = !request.complete || newest === null || newest === response;
    const headers = headersOf(response, response.getHeaderNames(), prototype.removeHeader);
    Reflect.apply(prototype.writeHead, response, [
      status,
      reason,
      ends ? { ...headers, connection: 'close' } : headers,
    ]);
    const isArriving = !request.complete;
    if (isArriving) lingerAtClose(socket);
    Reflect.apply(prototype.end, response, [request.method === 'HEAD' ? undefined : body]);
    silenceResponse(response);
    // The app is told, and what it does then is its own.
    if (isArriving) process.nextTick(abandonRequest, request);
    return true;
  }

  /** The same over HTTP/2. */
  answerStream(stream: ServerHttp2Stream, { method }: StreamInFlight): boolean {
    if (stream.headersSent || stream.destroyed || stream.closed || stream.writableEnded) return false;
    const response = this.#responses.get(stream) ?? null;
    const headers = response === null ? headersOf(null, []) : headersOf(response, response.getHeaderNames());
    const endStream = method === 'HEAD';
    stream.respond({ ':status': status, ...headers }, { endStream });
    if (!endStream) stream.end(body);
    if (response !== null) silenceResponse(response);
    silenceStream(stream);
    // Once all is sent, the client need not send the rest of its request (RFC 9113, 8.1).
    if (!stream.readableEnded && !stream.endAfterHeaders) stream.close(0);
    return true;
  }
}

function headersOf(
  response: ServerResponse | Http2ServerResponse | null,
  names: readonly string[],
  remove?: ServerResponse['removeHeader'],
): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { 'content-type': 'text/plain', 'content-length': body.length };
  for (const name of names) {
    const value = response?.getHeader(name);
    if (value !== undefined && kept.test(name)) headers[name] = value;
    else if (response !== null) remove?.call(response as ServerResponse, name);
  }
  return headers;
}
