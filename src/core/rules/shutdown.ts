/** Stopping: no worker is started any more, all leave, and after the last one the master exits. */
import { reloadOutcome } from '../outcomes.ts';
import type { Turn } from '../turn.ts';
import { rejectReload } from './reject.ts';

export function shutdown(turn: Turn): void {
  const { stopping, exited } = turn.fleet;
  if (stopping === null || exited) return;
  endReload(turn);
  // Without workers there is nothing to wait for.
  if (turn.fleet.workers.length > 0 && !turn.due(stopping.acceptUntil)) return;
  if (stopping.listening) {
    turn.change({ stopping: { ...stopping, listening: false } });
    turn.do({ type: 'unlisten' });
  }
  for (const worker of turn.fleet.workers) {
    const { phase } = worker;
    const isQuick = stopping.kind === 'quick';
    if (phase.name === 'booting' || phase.name === 'joining')
      turn.dismiss(worker, ['shutdown', 'shutdown'], stopping.deadline, isQuick);
    else if (phase.name === 'ready') turn.drain(worker, 'shutdown', stopping.deadline, isQuick);
    else if (phase.name === 'draining' && isQuick && !phase.quick) {
      turn.drain(worker, phase.reason, Math.min(phase.deadline, stopping.deadline), true);
    } else if (phase.name === 'draining' && phase.deadline > stopping.deadline) {
      turn.drain(worker, phase.reason, stopping.deadline, phase.quick);
    }
  }
  if (turn.fleet.workers.length > 0 || othersStay(turn, stopping.kind, stopping.deadline)) return;
  turn.change({ exited: true });
  turn.do({ type: 'exit', status: stopping.status, reason: null });
}

/**
 * Waits for a new master that is to end with this one, and for the master before this one if it still has clients: to a
 * service manager the service ends with this process, and it kills what is left.
 */
function othersStay(turn: Turn, kind: 'graceful' | 'quick', deadline: number): boolean {
  const { predecessor, upgrade } = turn.fleet;
  return upgrade.state === 'ending' || (predecessor === 'leaves' && kind === 'graceful' && !turn.due(deadline));
}

/** A reload under way gets its verdict too: before the rollout it has changed nothing, in the middle of it it halts. */
function endReload(turn: Turn): void {
  const { reload, reloadPending, rollbackPending } = turn.fleet;
  if (reloadPending || rollbackPending) turn.change({ reloadPending: false, rollbackPending: false });
  const reason = 'the service is stopping';
  if (reload.state === 'rolling') {
    const lastReload = reloadOutcome(turn.fleet, reload, { verdict: 'halted', reason }, turn.now);
    turn.change({ reload: { state: 'idle' }, lastReload });
  } else if (reload.state !== 'idle') rejectReload(turn, reload, reason);
}
