/** What the master looks at from outside when this worker's event loop is blocked. */
import inspector from 'node:inspector';
import { inFlightKey, ownWork } from '../protocol/messages.ts';
import { asksForInspector } from '../system/inspector-option.ts';
import type { InFlight } from './traffic/in-flight.ts';

const maxRequests = 20;

/** Leaves a function where the master's debugger finds it: it lists the requests in flight as JSON, oldest first. */
export function leaveEvidence(inFlight: InFlight): void {
  const list = (): string => JSON.stringify(inFlight.oldest(maxRequests));
  Object.defineProperty(globalThis, Symbol.for(inFlightKey), { value: list, enumerable: false });
}

/** Marks a function, so that the master recognises it in a stack: what it does is no work of the app's. */
export function marked(run: () => void): () => void {
  return Object.defineProperty(run, 'name', { value: ownWork });
}

/**
 * @returns closes the inspector if a signal has opened it; called while the event loop turns, so the master does not
 *   need it. One that was asked for on the command line stays.
 */
export function inspectorCloser(): () => void {
  const isWanted = asksForInspector();
  return marked(() => {
    if (!isWanted && inspector.url() !== undefined) inspector.close();
  });
}
