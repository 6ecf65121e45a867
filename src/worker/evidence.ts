/**
 * What this worker tells of itself when the master asks by SIGUSR1, even if its event loop is blocked. Node acts upon the
 * signal on top of whatever JavaScript runs: it opens an inspector, which is closed again at once, and emits an event, in
 * whose listener the stack can be seen. See docs/decisions/0021-stack-by-signal.md.
 */
import { ownWork } from '../protocol/messages.ts';
import { asksForInspector } from '../system/inspector-option.ts';
import { inspectorNotice, isInspectorNotice, nowhere } from '../system/node-internals.ts';
import type { Channel } from './channel.ts';
import type { EventFilter } from './process-events.ts';
import { takeStack } from './stack.ts';
import type { InFlight } from './traffic/in-flight.ts';

const maxRequests = 20;
const maxResources = 40;

/** Marks a function, so that it is recognised in a stack: what it does is no work of the app's. */
export function marked(run: () => void): () => void {
  return Object.defineProperty(run, 'name', { value: ownWork });
}

/** Has each SIGUSR1 answered by a message that says where this worker is. */
export function giveEvidence(events: EventFilter, channel: Channel, inFlight: InFlight): void {
  // Then it is open already, and a signal changes nothing.
  if (asksForInspector()) return;
  const onListener = (name: unknown): void => {
    // A signal that the master sends would be the app's, and mean something else to it.
    if (name === 'SIGUSR1') channel.send({ type: 'mute' });
  };
  process.eventNames().forEach(onListener);
  events.intercept('newListener', ([name]) => {
    onListener(name);
    return false;
  });
  // Not imported: an app that imports it would then find the function from before.
  const inspector = process.getBuiltinModule('node:inspector');
  // A signal came before there was anything to notice it.
  if (inspector.url()?.startsWith(`ws://${nowhere}:`) === true) inspector.close();
  const { open } = inspector;
  let isOpening = false;
  // By default it would open where those of signals do, and nobody could connect.
  inspector.open = (port, host = '127.0.0.1', wait) => {
    isOpening = true;
    try {
      return open(port, host, wait);
    } finally {
      isOpening = false;
    }
  };
  events.intercept(inspectorNotice, ([raw]) => {
    if (!isInspectorNotice(raw) || isOpening) return false;
    inspector.close();
    try {
      const { frames, isOwn } = takeStack(process.emit);
      const requests = inFlight.oldest(maxRequests);
      // What is waited for is of interest if nothing runs.
      const resources = frames.length > 0 ? [] : process.getActiveResourcesInfo().slice(0, maxResources);
      channel.send({ type: 'stack', frames, isOwn, requests, resources });
    } catch {
      // The stack may be all but full: the master does without.
    }
    return true;
  });
}

/** Lets a debugger go that is attached to an inspector the operator asked for: Node would wait for it at the exit. */
export function releaseDebugger(): undefined {
  if (asksForInspector()) process.getBuiltinModule('node:inspector').close();
}
