/** Takes a fact into the fleet. Decides nothing: what follows from a fact is found by `decide`. */
import type { Event, EventOf } from './events.ts';
import { isLeaving, isUndecided, rollbackRefusal, spent } from './fleet.ts';
import { type Fleet, resizedBy, type Scaling, type Worker } from './model.ts';
import { observeClaimed } from './observe-lead.ts';
import { observeDismissed, observeUpgrade } from './observe-upgrade.ts';
import { observeWorker } from './observe-worker.ts';
import { refused } from './outcomes.ts';
import { observeStop } from './stop.ts';

/** @returns the fleet as it is known after `event`; facts about a worker that is gone change nothing. */
export function observe(fleet: Fleet, event: Event, now: number): Fleet {
  if ('id' in event) return observeWorker(fleet, event, now);
  switch (event.type) {
    case 'reloadRequested':
      if (fleet.stopping !== null) return fleet;
      return {
        ...fleet,
        reloadPending: true,
        pendingOrder: event.hold === true ? 'hold' : 'roll',
        rollbackPending: false,
      };
    case 'promoteRequested':
    case 'abortRequested':
    case 'rollbackRequested':
      return observeDecision(fleet, event.type);
    case 'canaryVerified':
      return observeVerified(fleet, event, now);
    case 'reloadPrepared':
    case 'reloadPrepareFailed':
      return observePrepared(fleet, event);
    case 'trafficCompared':
      return { ...fleet, traffic: event.comparison };
    case 'scaleRequested':
      // A dormant pool has no worker to take away: TTOU does not wake it.
      if (fleet.dormant && event.by <= 0) return fleet;
      return resize(fleet, (fleet.dormant ? 0 : fleet.wanted) + event.by, now);
    case 'resizeRequested':
      return resize(fleet, event.to, now);
    case 'memoryMeasured':
      return { ...fleet, memory: event.available };
    case 'recycleRequested':
      return {
        ...fleet,
        workers: fleet.workers.map((worker) =>
          event.slot === null || worker.slot === event.slot ? spent(worker, now, event.reason ?? 'operator') : worker,
        ),
      };
    case 'poolDismissed':
      return observeDismissed(fleet);
    case 'reopenRequested':
      return { ...fleet, reopen: true };
    case 'leadClaimed':
      return observeClaimed(fleet, event.claim);
    case 'stopRequested':
      return observeStop(fleet, event.kind, event.status ?? 0, now);
    case 'starved':
      return observeStarved(fleet, event.late, now);
    case 'ticked':
      return fleet;
    default:
      return observeUpgrade(fleet, event, now);
  }
}

/** A boot has no heartbeats that would show whether it goes on: it gets the time back in which it could hardly run. */
function observeStarved(fleet: Fleet, late: number, now: number): Fleet {
  if (!fleet.workers.some(({ phase }) => phase.name === 'booting' || phase.name === 'joining')) return fleet;
  const workers = fleet.workers.map((worker): Worker => {
    const since = Math.min(now, worker.phase.since + late);
    if (worker.phase.name === 'booting') return { ...worker, phase: { name: 'booting', since } };
    if (worker.slot === null || worker.phase.name !== 'joining') return worker;
    return { ...worker, phase: { name: 'joining', since } };
  });
  return { ...fleet, workers };
}

function observePrepared(fleet: Fleet, event: EventOf<'reloadPrepared' | 'reloadPrepareFailed'>): Fleet {
  if (fleet.reload.state !== 'preparing' || fleet.reload.reload !== event.reload) return fleet;
  if (event.type === 'reloadPrepareFailed') return { ...fleet, reload: refused(fleet.reload, event.reason) };
  const generation = fleet.generation + 1;
  const { policy } = event;
  return { ...fleet, reload: { ...fleet.reload, state: 'canary', generation, policy, stage: { name: 'boot' } } };
}

/** What the command found that tried the canary: it concerns the reload that has it running, and no later one. */
function observeVerified(fleet: Fleet, event: EventOf<'canaryVerified'>, now: number): Fleet {
  const { reload } = fleet;
  if (reload.state !== 'canary' || reload.reload !== event.reload || reload.stage.name !== 'verify') return fleet;
  if (event.reason === null) return { ...fleet, reload: { ...reload, stage: { name: 'verified', since: now } } };
  return { ...fleet, reload: refused(reload, event.reason) };
}

/** What an operator decides about a reload: it concerns the one that is under way now, and no later one. */
function observeDecision(fleet: Fleet, what: 'promoteRequested' | 'abortRequested' | 'rollbackRequested'): Fleet {
  const { reload } = fleet;
  if (what === 'rollbackRequested') {
    // The last word counts: a reload that has not begun would bring back what is to go.
    return rollbackRefusal(fleet) === null ? { ...fleet, rollbackPending: true, reloadPending: false } : fleet;
  }
  if (!isUndecided(reload)) return fleet;
  if (what === 'promoteRequested') return { ...fleet, reload: { ...reload, order: 'promote' } };
  return { ...fleet, reload: refused(reload, 'it was aborted by an operator') };
}

function resize(fleet: Fleet, to: number, now: number): Fleet {
  // As after a reload, the new master has as many workers as its configuration says.
  if (fleet.stopping !== null || isLeaving(fleet)) return fleet;
  const { min, max } = fleet.policy.autoscale ?? { min: 1, max: fleet.policy.maxWorkers };
  const wanted = Math.max(min, Math.min(max, to));
  return { ...fleet, wanted, dormant: false, scaling: scalingAsAsked(fleet, wanted, now) };
}

/** A pool that follows its load says of every size where it comes from, and is judged anew. */
function scalingAsAsked({ policy, scaling, wanted, dormant }: Fleet, to: number, now: number): Scaling {
  const from = dormant ? 0 : wanted;
  if (policy.autoscale === null || to === from) return scaling;
  return {
    ...scaling,
    trend: 'steady',
    since: now,
    isHeld: false,
    last: { from, to, reason: resizedBy.operator, at: now },
  };
}
