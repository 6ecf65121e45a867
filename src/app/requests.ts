/** Which request the calling code serves. */
import { registry } from './registry.ts';

// Before the first request, so that even that one is known; who never asks pays for a few requests only.
registry().requests?.expect();

/**
 * The id of the request that the calling code serves: the `X-Request-ID` it came with, or a new one. It is the same in
 * everything that the request has started, such as timers, promises and events of its streams, and in the handlers of a
 * socket that it has upgraded. For the app's own log lines, and for calls to other services.
 *
 * @returns `null` where no request is served: while the app starts, in work of its own, in a worker thread, and under
 * plain node
 */
export function requestId(): string | null {
  return registry().requests?.id() ?? null;
}

/**
 * The trace that this request is a part of: the trace id of its `traceparent`.
 *
 * @see https://www.w3.org/TR/trace-context/
 * @returns 32 hexadecimal digits; `null` where no request is served, or where it came with no valid one
 */
export function traceId(): string | null {
  return registry().requests?.traceId() ?? null;
}
