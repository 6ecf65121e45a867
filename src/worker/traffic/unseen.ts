/**
 * Requests that Node answers itself, and of which no server says that they begin: without a host, with an expectation that
 * nobody knows, and those that are one too many for their connection.
 */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';
import { hidden } from './hidden.ts';

const dropped = hidden<true>();

/** @param request of the event `dropRequest` */
export function drop(request: IncomingMessage): void {
  dropped.put(request, true);
}

/** Whether nobody has seen the request before it was answered with this status. */
export function isUnseen(request: IncomingMessage, status: number, server: Server): boolean {
  const { headers, httpVersion } = request;
  switch (status) {
    case 400:
      return (
        headers.host === undefined &&
        httpVersion === '1.1' &&
        (server as { requireHostHeader?: boolean }).requireHostHeader === true
      );
    case 417:
      return (
        headers.expect !== undefined &&
        !/(?:^|\W)100-continue(?:$|\W)/i.test(headers.expect) &&
        server.listenerCount('checkExpectation') === 0
      );
    case 503:
      return dropped.of(request) === true;
    default:
      return false;
  }
}
