/** Whether an answer is an event stream that has begun: it goes on for as long as its client likes, and is not slow. */
import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { currentResponse, sentHead } from '../../system/node-internals.ts';
import type { Wire } from '../traffic/connection.ts';

/** @param socket of an HTTP/1 connection */
export function isEventStream(socket: Wire): boolean {
  const response = currentResponse(socket);
  return response !== null && isEventStreamResponse(response);
}

/** The head says it: the app may have given the header to `setHeader` or to `writeHead`. */
export function isEventStreamResponse(response: ServerResponse): boolean {
  return response.headersSent && /^content-type: *text\/event-stream/im.test(sentHead(response));
}

export function isHttp2EventStream(stream: ServerHttp2Stream): boolean {
  return stream.headersSent && /^text\/event-stream/i.test(String(stream.sentHeaders?.['content-type'] ?? ''));
}
