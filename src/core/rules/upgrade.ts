/**
 * A new master replaces this one: it boots beside this one, and only when all of it is ready do our workers leave, and
 * then this master. Until then anything that goes wrong with it changes nothing here.
 */
import { fixed } from '../fixed.ts';
import { isCandidate } from '../fleet.ts';
import type { Fleet, Upgrade } from '../model.ts';
import { upgradeCompleted, upgradeFailed } from '../outcomes.ts';
import { stopFrom } from '../stop.ts';
import type { Turn } from '../turn.ts';

export function upgrade(turn: Turn): void {
  const state = turn.fleet.upgrade;
  if (state.state === 'asked') begin(turn, state);
  else if (state.state === 'starting') judge(turn, state);
  else if (state.state === 'ready') leave(turn, state);
  else if (state.state === 'ending') hasten(turn, state);
}

function begin(turn: Turn, { since, byHand, dismissed }: Extract<Upgrade, { state: 'asked' }>): void {
  const { fleet, now } = turn;
  if (fleet.stopping !== null) {
    turn.fleet = upgradeFailed({ ...fleet, upgrade: { state: 'none' } }, stopping, now - since, null);
    return;
  }
  if (fleet.reload.state !== 'idle' || fleet.workers.some((worker) => isCandidate(fleet, worker))) return;
  const deadline = now + fleet.policy.upgradeTimeout;
  turn.change({ upgrade: { state: 'starting', since, deadline, readySince: null, byHand, dismissed } });
  turn.do({ type: 'upgrade', upgrade: fleet.upgrades });
}

const stopping = 'the service is stopping';

function judge(turn: Turn, state: Extract<Upgrade, { state: 'starting' }>): void {
  const { fleet } = turn;
  const { since, deadline, readySince, byHand, dismissed } = state;
  // By hand, a TERM is for this master alone. And if this master gives up by itself, the new one may bring the fix.
  const isStopped = fleet.stopping !== null && !byHand && fleet.stopping.status === 0;
  if (readySince !== null && turn.due(readySince + fleet.policy.minReady) && !isStopped) {
    const { dormant: wasDormant } = fleet;
    // The new master has read what a held reload would try, and its whole fleet runs it: there is nothing left to hold.
    const reload = fleet.reloadPending && fleet.pendingOrder === 'roll';
    const until = turn.now + fixed.takeOverLimit;
    turn.change({
      upgrade: {
        state: 'ready',
        since,
        deadline: until,
        taken: false,
        takenSince: null,
        reloads: !byHand && reload,
        stops: false,
        byHand,
        wasDormant,
      },
      dormant: wasDormant || !byHand || dismissed,
      reloadPending: byHand && fleet.reloadPending,
      rollbackPending: false,
    });
    if (byHand) turn.fleet = upgradeCompleted(turn.fleet, turn.now);
    else turn.do({ type: 'yield', upgrade: fleet.upgrades, reload });
    return;
  }
  if (isStopped) abandon(turn, since, stopping);
  else if (fleet.stopping === null && readySince === null && turn.due(deadline)) {
    abandon(turn, since, 'the new master was not ready within upgradeTimeout');
  }
}

function leave(turn: Turn, state: Extract<Upgrade, { state: 'ready' }>): void {
  const { now } = turn;
  if (state.taken && !turn.fleet.workers.some((worker) => turn.mayAccept(worker))) {
    turn.fleet = upgradeCompleted(turn.fleet, now);
  }
  const { fleet } = turn;
  if (state.byHand) return;
  if (fleet.stopping !== null) {
    if (isMeantForBoth(fleet, state)) abandon(turn, state.since, stopping);
    return;
  }
  if (fleet.reloadPending) {
    turn.change({ reloadPending: false, upgrade: { ...state, reloads: true } });
    turn.do({ type: 'handOn', upgrade: fleet.upgrades, what: 'reload' });
  }
  if (!state.taken) {
    if (turn.due(state.deadline)) {
      const { dormant, reloadPending } = fleet;
      turn.change({ dormant: dormant && state.wasDormant, reloadPending: reloadPending || state.reloads });
      abandon(turn, state.since, 'the new master was ready, but does not answer');
    }
    return;
  }
  if (fleet.workers.length > 0) return;
  turn.change({ stopping: stopFrom(now, 0) });
}

/** Until the new master has the pidfile, an order to stop that comes to this one is an order to stop the service. */
function isMeantForBoth({ stopAskedAt, stopping }: Fleet, state: Extract<Upgrade, { state: 'ready' }>): boolean {
  const { stops, takenSince } = state;
  if (stops || stopAskedAt === null || stopping?.status !== 0) return false;
  return takenSince === null || stopAskedAt < takenSince + fixed.lateOrder;
}

/** A stop that becomes quick does so for both. */
function hasten(turn: Turn, state: Extract<Upgrade, { state: 'ending' }>): void {
  if (state.quick || turn.fleet.stopping?.kind !== 'quick') return;
  turn.change({ upgrade: { ...state, quick: true } });
  turn.do({ type: 'handOn', upgrade: turn.fleet.upgrades, what: 'quickStop' });
}

function abandon(turn: Turn, since: number, reason: string): void {
  const { upgrades, successor } = turn.fleet;
  const quick = turn.fleet.stopping?.kind === 'quick';
  turn.change({ upgrade: { state: 'ending', since: turn.now, quick } });
  // One that has its outcome keeps it.
  if (turn.fleet.lastUpgrade?.upgrade !== upgrades)
    turn.fleet = upgradeFailed(turn.fleet, reason, turn.now - since, successor);
  turn.do({ type: 'abandon', upgrade: upgrades, reason, quick });
}
