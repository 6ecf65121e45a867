/**
 * A reload is a transaction: prepare, one canary, then the rest (`rollout`). Whatever fails before the rest changes
 * nothing.
 */
import { isCandidate } from '../fleet.ts';
import { fixed, type Reload, type Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function reload(turn: Turn): void {
  if (turn.fleet.stopping !== null) return;
  begin(turn);
  if (turn.fleet.reload.state === 'canary') judgeCanary(turn, turn.fleet.reload);
  removeRejected(turn);
}

function begin(turn: Turn): void {
  const { fleet, now } = turn;
  // Workers of a rejected reload carry the number that the next one will have.
  const clear = !fleet.workers.some((worker) => isCandidate(fleet, worker));
  if (fleet.reload.state !== 'idle' || !clear) return;
  // The new master reads the configuration anyway; where it fails, the reload comes after all.
  if (fleet.upgrade.state === 'asked' || fleet.upgrade.state === 'starting') return;
  const rollback = fleet.reloadPending ? null : crashLoop(turn);
  if (!fleet.reloadPending && rollback === null) return;
  const id = fleet.reloads + 1;
  turn.change({
    reloadPending: false,
    reloads: id,
    probation: null,
    reload: { state: 'preparing', reload: id, since: now, rollback },
  });
  turn.do({ type: 'prepare', reload: id, generation: fleet.generation + 1, rollback });
}

/** Why the generation before is to be brought back, if it is: more of the new one's workers crashed than there are. */
function crashLoop({ fleet, now }: Turn): string | null {
  const { probation, wanted } = fleet;
  if (probation === null || now >= probation.until) return null;
  if (probation.crashes <= Math.max(fixed.rollbackCrashes, wanted)) return null;
  return `generation ${probation.generation} crashed ${probation.crashes} times after its rollout`;
}

function judgeCanary(turn: Turn, state: Extract<Reload, { state: 'canary' }>): void {
  const canary = turn.fleet.workers.find((worker) => isCandidate(turn.fleet, worker));
  const failure = state.failure ?? overdueReason(canary);
  if (failure !== null) {
    const duration = turn.now - state.since;
    turn.change({
      reload: { state: 'idle' },
      lastReload: {
        verdict: 'rejected',
        reload: state.reload,
        generation: turn.fleet.generation,
        reason: failure,
        duration,
      },
    });
    turn.do({ type: 'reject', reload: state.reload, reason: failure, duration });
    return;
  }
  if (canary?.phase.name !== 'ready' || !turn.due(canary.phase.since + state.policy.minReady)) return;
  turn.change({
    generation: state.generation,
    policy: state.policy,
    wanted: state.policy.workers,
    dormant: false,
    halted: false,
    // A fix does not wait for the backoff of what it fixes.
    slots: new Map([...turn.fleet.slots].map(([key, slot]) => [key, { ...slot, failures: 0, notBefore: turn.now }])),
    reload: {
      state: 'rolling',
      reload: state.reload,
      since: state.since,
      rollback: state.rollback,
      generation: state.generation,
      failures: 0,
    },
  });
  turn.do({ type: 'promote', reload: state.reload, generation: state.generation });
}

function overdueReason(canary: Worker | undefined): string | null {
  if (canary?.phase.name !== 'killed') return null;
  if (canary.phase.reason !== 'boot-timeout') return `the first new worker was killed (${canary.phase.reason})`;
  const why = canary.hindrance === null ? '' : `: ${canary.hindrance}`;
  return `the first new worker was not ready within bootTimeout${why}`;
}

/** What was started for a reload that was rejected leaves again. */
function removeRejected(turn: Turn): void {
  if (turn.fleet.reload.state === 'canary') return;
  for (const worker of turn.fleet.workers) {
    if (!isCandidate(turn.fleet, worker)) continue;
    const deadline = turn.now + turn.fleet.policy.gracefulTimeout;
    if (worker.phase.name === 'booting') turn.dismiss(worker, ['reload-rejected', 'reload'], deadline);
    if (worker.phase.name === 'ready') turn.drain(worker, 'reload', deadline);
  }
}
