/** Gives every request an id from its beginning: the app, the log and the client see the same. */
import type { ServerResponse } from 'node:http';
import { isRequestId } from '../../protocol/request.ts';
import { addToHeads } from '../../system/node-internals.ts';
import { hidden } from '../traffic/hidden.ts';
import type { Observer } from '../traffic/observer.ts';

const header = 'x-request-id';
/** Of responses of HTTP/1, which do not have it as a header of theirs. */
const ids = hidden<string>();

/** From now on requests get ids, in their headers and in those of their responses; one that the app answers with stays. */
export function requestIds(): Observer {
  addToHeads((response, headers) => {
    const id = ids.of(response);
    return id === null || hasOwnId(response, headers) ? '' : `${header}: ${id}\r\n`;
  });
  showIds();
  return {
    onBegin(request, response) {
      const id = requestIdIn(request.headers);
      if (request.httpVersionMajor === 1) ids.put(response, id);
      else if (!response.headersSent) response.setHeader(header, id);
    },
    // An app that uses the streams themselves finds the id in their headers, and answers as it likes.
    onHeaders: requestIdIn,
    onUpgrade({ headers }) {
      requestIdIn(headers);
    },
  };
}

/** Loggers that ask the response for its id, as morgan does with `:res[x-request-id]`, find the one that it will have. */
function showIds(): void {
  const { prototype } = process.getBuiltinModule('node:http').ServerResponse;
  const original = prototype.getHeader as (
    this: ServerResponse,
    name: string,
  ) => ReturnType<typeof prototype.getHeader>;
  const getHeader = function (this: ServerResponse, name: string): ReturnType<typeof prototype.getHeader> {
    return original.call(this, name) ?? (isHeader(name) ? (ids.of(this) ?? undefined) : undefined);
  };
  Object.defineProperty(prototype, 'getHeader', { value: getHeader, writable: true, configurable: true });
}

/** @param headers as an app may give them to writeHead(): an object, names and values in turn, or pairs of them */
function hasOwnId(response: ServerResponse, headers: unknown): boolean {
  if (response.hasHeader(header)) return true;
  if (Array.isArray(headers)) {
    const list: readonly unknown[] = headers;
    return list.some((item, at) => isHeader(Array.isArray(item) ? (item as unknown[])[0] : at % 2 === 0 ? item : null));
  }
  for (const name in headers as object | null) if (isHeader(name)) return true;
  return false;
}

function isHeader(name: unknown): boolean {
  return typeof name === 'string' && name.length === header.length && name.toLowerCase() === header;
}

/** node:crypto is loaded at the first request that needs it: it costs a worker more than the rest of the agent. */
function newId(): string {
  return process.getBuiltinModule('node:crypto').randomUUID();
}

/** @returns the id that the headers have from now on: the one they came with, or a new one */
export function requestIdIn(headers: Record<string, unknown>): string {
  const given = headers[header];
  const id = isRequestId(given) ? given : newId();
  headers[header] = id;
  return id;
}
