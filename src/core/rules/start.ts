/** The first start: it says when the service is up, and gives up where the app cannot boot. */
import { exitStatus } from '../../errors.ts';
import { isReady, readyCount } from '../fleet.ts';
import type { Turn } from '../turn.ts';

export function start(turn: Turn): void {
  const { fleet } = turn;
  if (fleet.stopping !== null) return;
  if (fleet.start === 'starting') {
    if (readyCount(fleet) > 0) {
      turn.change({ start: 'partial' });
      turn.do({ type: 'declareReady' });
    } else if (isHopeless(turn)) {
      const status = fleet.bootFailures.load > 0 ? exitStatus.appLoad : exitStatus.workerBoot;
      turn.change({
        stopping: { kind: 'quick', deadline: turn.now, listening: false, acceptUntil: turn.now, status },
        exited: true,
      });
      turn.do({ type: 'exit', status, reason: 'no worker could boot' });
      return;
    }
  }
  if (turn.fleet.start === 'partial' && readyCount(turn.fleet) >= turn.fleet.wanted) {
    turn.change({ start: 'complete' });
    turn.do({ type: 'declareStarted', workers: turn.fleet.workers.filter(isReady).length });
  }
  giveUp(turn);
}

/**
 * Whether a whole first round of boots has failed. A reload that is under way may bring the fix, and a worker that
 * still boots may succeed.
 */
function isHopeless({ fleet }: Turn): boolean {
  if (fleet.reload.state !== 'idle' || fleet.reloadPending) return false;
  return fleet.workers.length === 0 && fleet.bootFailures.count >= firstRound(fleet);
}

/** Boots in the first round. */
export function firstRound(fleet: Turn['fleet']): number {
  return Math.max(1, Math.min(fleet.wanted, fleet.policy.maxBooting));
}

function giveUp(turn: Turn): void {
  const { fleet } = turn;
  const { maxBootFailures } = fleet.policy;
  if (maxBootFailures === 0 || fleet.bootFailures.count < maxBootFailures || readyCount(fleet) > 0) return;
  const within = fleet.policy.gracefulTimeout;
  turn.change({
    stopping: {
      kind: 'graceful',
      deadline: turn.now + within,
      listening: true,
      acceptUntil: turn.now,
      status: exitStatus.workerBoot,
    },
  });
}
