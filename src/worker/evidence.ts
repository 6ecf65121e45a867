/** What the master looks at from outside when this worker's event loop is blocked. */
import inspector from 'node:inspector';
import { inFlightKey, ownWork } from '../protocol/messages.ts';
import { asksForInspector } from '../system/inspector-option.ts';
import type { Traffic } from './traffic/traffic.ts';

const maxRequests = 20;

/** Leaves a function where the master's debugger finds it: it lists the requests in flight as JSON, oldest first. */
export function leaveEvidence(traffic: Traffic): void {
  const list = (): string => {
    const requests = traffic.inFlight().sort((a, b) => b.age - a.age);
    return JSON.stringify(requests.slice(0, maxRequests));
  };
  Object.defineProperty(globalThis, Symbol.for(inFlightKey), { value: list, enumerable: false });
}

/** Marks a function, so that the master recognises it in a stack: what it does is no work of the app's. */
export function marked(run: () => void): () => void {
  return Object.defineProperty(run, 'name', { value: ownWork });
}

/**
 * @returns closes the inspector where a signal has opened it; called while the event loop turns, so the master does not
 *   need it. One that was asked for on the command line stays.
 */
export function inspectorCloser(): () => void {
  const isWanted = asksForInspector();
  return marked(() => {
    if (!isWanted && inspector.url() !== undefined) inspector.close();
  });
}
