/**
 * What the log says: a table each for events and actions, from their type to a line. Of two masters and of a single
 * worker the tables are in files of their own.
 */
import type { Action } from '../../core/actions.ts';
import type { Event, EventOf } from '../../core/events.ts';
import { isLeaving, isUndecided, rollbackAskedFor } from '../../core/fleet.ts';
import { type Fleet, resizedBy } from '../../core/model.ts';
import { isSameStop } from '../../core/stop.ts';
import { type ActionLines, type EventLines, type Line, line, seconds } from './line.ts';
import { trialActions } from './narrate-trial.ts';
import { dismissal, upgradeActions, upgradeEvents } from './narrate-upgrade.ts';
import { workerActions, workerEvents } from './narrate-worker.ts';

const events: EventLines<Event['type']> = {
  ...workerEvents,
  ...upgradeEvents,
  reloadRequested: (_, { stopping, reload }) => {
    if (stopping !== null) return line('warn', 'reload ignored: the service is stopping');
    return reload.state === 'idle' ? null : line('info', 'reload queued: it runs after the one under way');
  },
  promoteRequested: (_, { reload }) =>
    isUndecided(reload)
      ? line('info', `reload ${reload.reload}: promoted by an operator`, { reload: reload.reload })
      : null,
  // What comes of it says so.
  abortRequested: null,
  rollbackRequested: null,
  reloadPrepared: null,
  canaryVerified: ({ reason }, { reload }) =>
    reason === null && reload.state === 'canary' && reload.stage.name === 'verify'
      ? line('info', `reload ${reload.reload}: the first worker of generation ${reload.generation} is verified`, {
          reload: reload.reload,
        })
      : null,
  // The action `reject` says so.
  reloadPrepareFailed: null,
  // The verdict says so.
  trafficCompared: null,
  scaleRequested: narrateResize,
  resizeRequested: narrateResize,
  // The line of each worker that leaves says so.
  recycleRequested: null,
  memoryMeasured: null,
  poolDismissed: (_, before) => line('info', dismissal(before)),
  // The action says so.
  reopenRequested: null,
  stopRequested: ({ kind }, before, now) => {
    if (before.stopping === null) return narrateStop(kind, before);
    if (isSameStop(before, kind, now)) return null;
    return before.stopping.kind === 'graceful' ? line('warn', 'stopping now (asked a second time)') : null;
  },
  // A time in which the master did not run at all is told when it is found.
  starved: null,
  // The line of the worker that leads says so.
  leadClaimed: null,
  ticked: null,
};

const actions: ActionLines<Action['type']> = {
  ...workerActions,
  ...upgradeActions,
  ...trialActions,
  prepare: ({ reload, rollback }) =>
    rollback === null
      ? line('info', `reload ${reload} started`, { reload })
      : line(rollback === rollbackAskedFor ? 'warn' : 'error', `rolling back to the previous release: ${rollback}`, {
          reload,
        }),
  // The command and its output say so.
  verify: null,
  admit: null,
  hold: ({ reload, generation }) =>
    line(
      'info',
      `reload ${reload} is held: the first worker of generation ${generation} serves beside the others; prefork promote lets the rest follow, prefork abort takes it back`,
      { reload, generation },
    ),
  promote: ({ reload, generation }) =>
    line('info', `reload ${reload}: the first worker of generation ${generation} is good, the rest follow`, {
      reload,
      generation,
    }),
  reject: ({ reload, reason, duration }) =>
    line('error', `reload ${reload} failed, nothing was changed: ${reason}`, {
      reload,
      durationMs: Math.round(duration),
    }),
  complete: ({ reload, generation, duration }) =>
    line('info', `reload ${reload} done in ${seconds(duration)}: generation ${generation} serves`, {
      reload,
      generation,
      durationMs: Math.round(duration),
    }),
  halt: ({ reload, reason, duration }) =>
    line('error', `reload ${reload} stopped half way, the remaining old workers stay: ${reason}`, {
      reload,
      durationMs: Math.round(duration),
    }),
  resize: ({ from, to, reason }) => line('info', `workers: ${from} -> ${to}: ${reason}`, { workers: to }),
  holdSize: ({ workers, reason, needed, available }) =>
    line(
      'warn',
      `workers stay at ${workers}: ${reason}, but one more needs ${megabytes(needed)} and ${megabytes(available)} of memory are left`,
      { workers },
    ),
  claimLead: null,
  releaseLead: null,
  declareReady: null,
  declareStarted: ({ workers }) => line('info', `ready: ${workers} workers serve`, { workers }),
  reopen: () => line('info', 'log files reopened'),
  unlisten: null,
  exit: ({ status, reason }) =>
    reason === null ? line('info', 'stopped', { status }) : line('fatal', `giving up: ${reason}`, { status }),
};

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}

/** The line for a fact, given what was known before it; `null` is none. */
export function narrateEvent(event: Event, before: Fleet, now: number): Line | null {
  const tell = events[event.type] as ((event: Event, before: Fleet, now: number) => Line | null) | null;
  return tell?.(event, before, now) ?? null;
}

/** The line for a decision, given what was known when it was taken; `null` is none. */
export function narrateAction(action: Action, fleet: Fleet): Line | null {
  const tell = actions[action.type] as ((action: Action, fleet: Fleet) => Line | null) | null;
  return tell?.(action, fleet) ?? null;
}

/** The master did not run for `lost` milliseconds, and its clock stood still. */
export function narrateSuspension(lost: number): Line {
  const message = 'the master did not run for a while; that time does not count against any worker';
  return line('warn', message, { lostMs: Math.round(lost) });
}

function narrateStop(kind: 'graceful' | 'quick', { policy, workers }: Fleet): Line {
  const isDelayed = kind === 'graceful' && policy.drainDelay > 0 && workers.length > 0;
  const delay = isDelayed ? `; readiness says 503, and accepting goes on for ${seconds(policy.drainDelay)}` : '';
  return line('info', `stopping (${kind})${delay}`, { workers: workers.length });
}

function narrateResize(event: EventOf<'scaleRequested' | 'resizeRequested'>, before: Fleet): Line | null {
  if (before.stopping !== null) return null;
  if (isLeaving(before))
    return line('warn', 'workers stay as they are: a new master serves, with as many as its configuration says');
  const from = before.dormant ? 0 : before.wanted;
  const asked = event.type === 'scaleRequested' ? from + event.by : event.to;
  const { autoscale, maxWorkers } = before.policy;
  if (autoscale !== null && (asked < autoscale.min || asked > autoscale.max))
    return line('warn', `workers stay between ${autoscale.min} and ${autoscale.max}, as the setting workers says`, {});
  if (asked < 1) return line('warn', `workers stay at ${from}: there is never less than one`, { workers: from });
  if (asked > maxWorkers)
    return line('warn', `workers stay at ${from}: maxWorkers is ${maxWorkers}`, { workers: from });
  const reason = autoscale === null ? '' : `: ${resizedBy.operator}`;
  return line('info', `workers: ${from} -> ${asked}${reason}`, { workers: asked });
}
