/** One stable line for a fact, and one for an action, as golden scenarios show them. */
import type { Action } from '../../../src/core/actions.ts';
import type { Event } from '../../../src/core/events.ts';

/** @returns `null` for what happens all the time and tells nothing */
export function renderEvent(event: Event): string | null {
  switch (event.type) {
    case 'spawned':
    case 'beaten':
    case 'captured':
    case 'closed':
    case 'ticked':
      return null;
    case 'spawnFailed':
      return `worker ${event.id} cannot be forked: ${event.reason}`;
    case 'hindered':
      return `worker ${event.id} is not ready: ${event.reason}`;
    case 'listened':
      return `worker ${event.id} listens`;
    case 'readied':
      return `worker ${event.id} is ready`;
    case 'failed':
      return `worker ${event.id} says why it fails (${event.kind}): ${event.reason}`;
    case 'exited':
      return `worker ${event.id} is gone (${event.signal ?? `code ${event.code}`})`;
    case 'asked':
      return `worker ${event.id} was sent TERM`;
    case 'misbehaved':
      return `worker ${event.id} breaks the protocol: ${event.reason}`;
    case 'reloadRequested':
      return 'HUP';
    case 'prepared':
      return `reload ${event.reload} is prepared`;
    case 'prepareFailed':
      return `reload ${event.reload} cannot be prepared: ${event.reason}`;
    case 'scaled':
      return event.by > 0 ? 'TTIN' : 'TTOU';
    case 'resized':
      return `scale to ${event.to}`;
    case 'recycleRequested':
      return event.slot === null ? 'recycle all' : `recycle slot ${event.slot}`;
    case 'dismissed':
      return 'WINCH';
    case 'reopenRequested':
      return 'USR1';
    case 'upgradeRequested':
      return 'USR2';
    case 'successorSpawned':
      return 'the new master exists';
    case 'successorReadied':
      return 'the new master is ready';
    case 'successorTook':
      return 'the new master has taken over';
    case 'successorStopping':
      return 'the new master was told to stop';
    case 'successorGone':
      return `the new master is gone: ${event.reason}`;
    case 'predecessorYielded':
      return 'the old master leaves';
    case 'predecessorStayed':
      return 'the old master stays';
    case 'predecessorGone':
      return 'the old master is gone';
    case 'stopRequested':
      return event.kind === 'graceful' ? 'TERM' : 'INT';
  }
}

/** The action's type, then its fields; what is `null` or `false` is left out. */
export function renderAction(action: Action): string {
  const { type, ...fields } = action;
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => {
      if (name === 'id') return `worker ${value}`;
      if (value === true) return name;
      return `${name}=${Array.isArray(value) ? value.join('+') : value}`;
    });
  return [type, ...shown].join(' ');
}
