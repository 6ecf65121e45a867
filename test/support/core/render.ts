/** One stable line for a fact, and one for an action, as golden scenarios show them. */
import type { Action } from '../../../src/core/actions.ts';
import type { Event } from '../../../src/core/events.ts';
import { comparisonText } from '../../../src/core/rules/judge.ts';

/** @returns `null` for what happens all the time and tells nothing */
export function renderEvent(event: Event): string | null {
  switch (event.type) {
    case 'workerSpawned':
    case 'workerBeat':
    case 'stackCaptured':
    case 'workerClosed':
    case 'ticked':
    case 'memoryMeasured':
      return null;
    case 'workerSpawnFailed':
      return `worker ${event.id} cannot be forked: ${event.reason}`;
    case 'workerHindered':
      return `worker ${event.id} is not ready: ${event.reason}`;
    case 'workerListened':
      return `worker ${event.id} listens`;
    case 'workerBooted':
      return `spare ${event.id} has booted`;
    case 'workerReadied':
      return `worker ${event.id} is ready`;
    case 'workerFailed':
      return `worker ${event.id} says why it fails (${event.kind}): ${event.reason}`;
    case 'workerExited':
      return `worker ${event.id} is gone (${event.signal ?? `code ${event.code}`})`;
    case 'workerCandidate':
      return `worker ${event.id} could lead`;
    case 'workerResigned':
      return `worker ${event.id} leads no more${event.reason === null ? '' : `: ${event.reason}`}`;
    case 'leadClaimed':
      return 'nobody else leads';
    case 'workerTermed':
      return `worker ${event.id} was sent TERM`;
    case 'workerExcused':
      return event.within === 0
        ? `worker ${event.id} is excused no more`
        : `worker ${event.id} is excused for ${event.within} ms`;
    case 'workerMisbehaved':
      return `worker ${event.id} breaks the protocol: ${event.reason}`;
    case 'reloadRequested':
      return event.hold === true ? 'reload --hold' : 'HUP';
    case 'promoteRequested':
      return 'promote';
    case 'abortRequested':
      return 'abort';
    case 'rollbackRequested':
      return 'rollback';
    case 'reloadPrepared':
      return `reload ${event.reload} is prepared`;
    case 'reloadPrepareFailed':
      return `reload ${event.reload} cannot be prepared: ${event.reason}`;
    case 'trafficCompared':
      return `compared: ${comparisonText(event.comparison)}, ${event.comparison.slower} slower`;
    case 'canaryVerified':
      return `the canary of reload ${event.reload} is ${event.reason === null ? 'verified' : `no good: ${event.reason}`}`;
    case 'scaleRequested':
      return event.by > 0 ? 'TTIN' : 'TTOU';
    case 'resizeRequested':
      return `scale to ${event.to}`;
    case 'recycleRequested':
      return event.slot === null ? 'recycle all' : `recycle slot ${event.slot}`;
    case 'poolDismissed':
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
    case 'successorReloading':
      return 'the new master was asked for a reload';
    case 'successorGone':
      return `the new master is gone: ${event.reason}`;
    case 'predecessorYielded':
      return 'the old master leaves';
    case 'predecessorStayed':
      return 'the old master stays';
    case 'predecessorWaits':
      return 'the old master waits for the end of this one';
    case 'predecessorGone':
      return 'the old master is gone';
    case 'starved':
      return `the master ran late by ${event.late} ms`;
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

/** Whether an action tells nothing: each worker that serves may take what others give, and one that leaves does not. */
export function isUsual(action: Action): boolean {
  return action.type === 'migrate' && action.keep === null;
}
