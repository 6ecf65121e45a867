/** Gives every request an id from its beginning: the app, the log and the client see the same. */
import { isRequestId } from '../../protocol/request.ts';
import type { Observer } from '../traffic/observer.ts';

const requestId = 'x-request-id';

export const requestIds: Observer = {
  onBegin(request, response) {
    const id = requestIdIn(request.headers);
    if (!response.headersSent) response.setHeader(requestId, id);
  },
  // An app that uses the streams themselves finds the id in their headers, and answers as it likes.
  onHeaders: requestIdIn,
  onUpgrade({ headers }) {
    requestIdIn(headers);
  },
};

/** node:crypto is loaded at the first request that needs it: it costs a worker more than the rest of the agent. */
function newId(): string {
  return process.getBuiltinModule('node:crypto').randomUUID();
}

/** @returns the id that the headers have from now on: the one they came with, or a new one */
export function requestIdIn(headers: Record<string, unknown>): string {
  const given = headers[requestId];
  const id = isRequestId(given) ? given : newId();
  headers[requestId] = id;
  return id;
}
