/**
 * Takes an answer from the app that was given without it. To the app it is as if its client had left, which every framework
 * copes with: what it writes from now on goes nowhere, nothing that it calls throws, and `close` is emitted.
 */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2';

/** Gives what the method would have given. */
type Silent = (this: object, ...args: unknown[]) => unknown;

const itself: Silent = function () {
  return this;
};
const nothing: Silent = () => undefined;

/** Calls a callback that was given, as the real ones do: later. */
function called(result: (self: object) => unknown): Silent {
  return function (...args) {
    const callback = args.findLast((each) => typeof each === 'function') as (() => void) | undefined;
    if (callback !== undefined) process.nextTick(callback);
    return result(this);
  };
}

const writes: Readonly<Record<string, Silent>> = {
  write: called(() => true),
  end: called((self) => self),
};

const ofResponse: Readonly<Record<string, Silent>> = {
  ...writes,
  setHeader: itself,
  setHeaders: itself,
  appendHeader: itself,
  writeHead: itself,
  removeHeader: nothing,
  addTrailers: nothing,
  setTrailer: nothing,
  flushHeaders: nothing,
  writeContinue: called(() => undefined),
  writeProcessing: called(() => undefined),
  writeEarlyHints: called(() => undefined),
};

const ofStream: Readonly<Record<string, Silent>> = {
  ...writes,
  respond: nothing,
  respondWithFD: nothing,
  respondWithFile: nothing,
  additionalHeaders: nothing,
  sendTrailers: nothing,
};

/**
 * What a framework asks to see whether it may still answer. Would the head be sent, Express would close the connection at
 * the app's next error.
 */
const unanswered: Readonly<Record<string, unknown>> = {
  headersSent: false,
  writableEnded: false,
  writableFinished: false,
};

/** @param response has ended, with the answer that its client gets */
export function silenceResponse(response: ServerResponse | Http2ServerResponse): void {
  const { statusCode } = response;
  silence(response, ofResponse, { ...unanswered, statusCode });
  // As Node does it when the client leaves; what is written nevertheless is no error then.
  if (response.req.httpVersionMajor === 1) (response as ServerResponse).destroyed = true;
}

/** The same of an HTTP/2 stream that the app uses without a response. */
export function silenceStream(stream: ServerHttp2Stream): void {
  silence(stream, ofStream, {});
}

/** By properties of its own: the app may have wrapped the methods, or given the object another prototype. */
function silence(
  target: object,
  methods: Readonly<Record<string, Silent>>,
  values: Readonly<Record<string, unknown>>,
): void {
  for (const [name, value] of Object.entries(methods)) {
    if (!(name in target)) continue;
    Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
  }
  for (const [name, value] of Object.entries(values)) {
    const ignored = (): void => {};
    Object.defineProperty(target, name, { get: () => value, set: ignored, configurable: true, enumerable: false });
  }
}
