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
const ownHeaders: OutgoingHttpHeaders = { 'content-type': 'text/plain', 'content-length': body.length };
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
    const headers = headersFor(response, prototype);
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
    if (stream.headersSent || stream.destroyed || stream.closed) return false;
    const content = method === 'HEAD' ? undefined : body;
    const response = this.#responses.get(stream);
    if (response === undefined) {
      stream.respond({ ':status': status, ...ownHeaders }, { endStream: content === undefined });
      if (content !== undefined) stream.end(content);
      silenceStream(stream);
    } else {
      const { prototype } = process.getBuiltinModule('node:http2').Http2ServerResponse;
      Reflect.apply(prototype.writeHead, response, [status, headersFor(response, prototype)]);
      Reflect.apply(prototype.end, response, [content]);
      silenceResponse(response);
    }
    // Once all is sent, the client need not send the rest of its request (RFC 9113, 8.1).
    if (!stream.readableEnded && !stream.endAfterHeaders) stream.close(0);
    return true;
  }
}

/** The headers of the answer; all others that the app has given to its own are taken from the response. */
function headersFor(
  response: ServerResponse | Http2ServerResponse,
  { removeHeader }: Pick<ServerResponse, 'removeHeader'>,
): OutgoingHttpHeaders {
  for (const name of response.getHeaderNames()) if (!kept.test(name)) Reflect.apply(removeHeader, response, [name]);
  return ownHeaders;
}
