/** Where a request is, found out when somebody asks: nothing is kept for it while requests come and go. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { RequestPhase } from '../../protocol/requests.ts';

/** Of a request of HTTP/1. */
export function phaseOf(response: ServerResponse): RequestPhase {
  if (!response.headersSent) return isArriving(response.req) ? 'body' : 'app';
  // What the kernel has not taken waits for room, which the client makes by reading.
  return response.writableEnded || (response.socket?.writableLength ?? 0) > 0 ? 'client' : 'sending';
}

/** In the tick in which it is emitted, Node has not seen the end of any request. */
function isArriving({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false;
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Of a stream of HTTP/2. */
export function phaseOfStream(stream: ServerHttp2Stream): RequestPhase {
  if (!stream.headersSent) return isReceived(stream) ? 'app' : 'body';
  return stream.writableEnded || stream.writableLength > 0 ? 'client' : 'sending';
}

function isReceived(stream: ServerHttp2Stream): boolean {
  if (stream.readableEnded) return true;
  // "1 if this Http2Stream has been closed remotely"; a stream that is destroyed has no state.
  return stream.state.remoteClose !== 0;
}
