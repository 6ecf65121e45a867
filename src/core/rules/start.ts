/** The first start: it says when the service is up, and gives up if the app cannot boot. */
import { exitStatus } from '../../errors.ts';
import { firstRound, readyCount } from '../fleet.ts';
import { stopFrom } from '../stop.ts';
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
        stopping: stopFrom(turn.now, 0, { kind: 'quick', status }),
        exited: true,
      });
      turn.do({ type: 'exit', status, reason: 'no worker could boot' });
      return;
    }
  }
  if (turn.fleet.start === 'partial' && readyCount(turn.fleet) >= turn.fleet.wanted) {
    turn.change({ start: 'complete' });
    turn.do({ type: 'declareStarted', workers: readyCount(turn.fleet) });
  }
  giveUp(turn);
}

/**
 * Whether a whole first round of boots has failed. A reload that is under way may bring the fix, and a worker that
 * still boots may succeed.
 */
function isHopeless({ fleet }: Turn): boolean {
  if (fleet.reload.state !== 'idle' || fleet.reloadPending || fleet.rollbackPending) return false;
  return fleet.workers.length === 0 && fleet.bootFailures.count >= firstRound(fleet);
}

function giveUp(turn: Turn): void {
  const { fleet } = turn;
  const { maxBootFailures } = fleet.policy;
  if (maxBootFailures === 0 || fleet.bootFailures.count < maxBootFailures || readyCount(fleet) > 0) return;
  turn.change({ stopping: stopFrom(turn.now, fleet.policy.gracefulTimeout, { status: exitStatus.workerBoot }) });
}
