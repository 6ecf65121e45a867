/** Stopping: nobody is started any more, everybody leaves, and the last one turns off the light. */
import type { Turn } from '../turn.ts';

export function shutdown(turn: Turn): void {
  const { stopping, exited } = turn.fleet;
  if (stopping === null || exited) return;
  endReload(turn);
  // Nobody left to serve is no reason to wait.
  if (turn.fleet.workers.length > 0 && !turn.due(stopping.acceptUntil)) return;
  if (stopping.listening) {
    turn.change({ stopping: { ...stopping, listening: false } });
    turn.do({ type: 'unlisten' });
  }
  for (const worker of turn.fleet.workers) {
    const { phase } = worker;
    const isQuick = stopping.kind === 'quick';
    if (phase.name === 'booting') turn.dismiss(worker, ['shutdown', 'shutdown'], stopping.deadline, isQuick);
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
 * A new master that is to end with us is seen out, and so is the one before us that still has clients: to a service
 * manager the service ends with us, and it kills who is left.
 */
function othersStay(turn: Turn, kind: 'graceful' | 'quick', deadline: number): boolean {
  const { predecessor, upgrade } = turn.fleet;
  return upgrade.state === 'ending' || (predecessor === 'leaves' && kind === 'graceful' && !turn.due(deadline));
}

/** A reload under way has its verdict too: before the rollout it has changed nothing, in the middle of it it stops. */
function endReload(turn: Turn): void {
  const { reload: state, generation, reloadPending } = turn.fleet;
  if (reloadPending) turn.change({ reloadPending: false });
  if (state.state === 'idle') return;
  const { reload, since } = state;
  const verdict = state.state === 'rolling' ? 'halted' : 'rejected';
  const reason = 'the service is stopping';
  const duration = turn.now - since;
  turn.change({ reload: { state: 'idle' }, lastReload: { verdict, reload, generation, reason, duration } });
  if (verdict === 'rejected') turn.do({ type: 'reject', reload, reason, duration });
}
