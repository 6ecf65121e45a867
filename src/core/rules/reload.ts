/**
 * A reload is a transaction: prepare, one canary, then the rest. Whatever fails before the rest changes nothing; whatever
 * fails after it leaves the fleet at full strength.
 */
import { isCandidate, isLive, isStale } from '../fleet.ts';
import { type Fleet, fixed, type Reload } from '../model.ts';
import type { Turn } from '../turn.ts';

export function reload(turn: Turn): void {
  if (turn.fleet.stopping !== null) return;
  begin(turn);
  const { reload: state } = turn.fleet;
  if (state.state === 'canary') judgeCanary(turn, state);
  if (turn.fleet.reload.state === 'rolling') judgeRollout(turn, turn.fleet.reload);
  // A further one may have been asked for while the last was under way.
  begin(turn);
  removeRejected(turn);
}

function begin(turn: Turn): void {
  const { fleet } = turn;
  // Workers of a rejected reload carry the number that the next one will have.
  const clear = !fleet.workers.some((worker) => isCandidate(fleet, worker));
  if (!fleet.reloadPending || fleet.reload.state !== 'idle' || !clear) return;
  const id = fleet.reloads + 1;
  turn.change({ reloadPending: false, reloads: id, reload: { state: 'preparing', reload: id, since: turn.now } });
  turn.do({ type: 'prepare', reload: id, generation: fleet.generation + 1 });
}

function judgeCanary(turn: Turn, state: Extract<Reload, { state: 'canary' }>): void {
  const canary = turn.fleet.workers.find((worker) => isCandidate(turn.fleet, worker));
  const failure = state.failure ?? overdueReason(canary?.phase);
  if (failure !== null) {
    const duration = turn.now - state.since;
    turn.change({
      reload: { state: 'idle' },
      lastReload: { verdict: 'rejected', reload: state.reload, reason: failure, duration },
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
    reload: { state: 'rolling', reload: state.reload, since: state.since, generation: state.generation, failures: 0 },
  });
  turn.do({ type: 'promote', reload: state.reload, generation: state.generation });
}

function overdueReason(phase: Fleet['workers'][number]['phase'] | undefined): string | null {
  if (phase?.name !== 'killed') return null;
  return phase.reason === 'boot-timeout'
    ? 'the first new worker was not ready within bootTimeout'
    : `the first new worker was killed (${phase.reason})`;
}

function judgeRollout(turn: Turn, state: Extract<Reload, { state: 'rolling' }>): void {
  const { fleet } = turn;
  const duration = turn.now - state.since;
  const fresh = new Set(
    fleet.workers.filter((w) => w.phase.name === 'ready' && w.generation === state.generation).map((w) => w.slot),
  );
  const everySlot = Array.from({ length: fleet.dormant ? 0 : fleet.wanted }, (_, slot) => slot);
  const replaced = !fleet.workers.some((worker) => isLive(worker) && isStale(fleet, worker));
  if (replaced && everySlot.every((slot) => fresh.has(slot))) {
    turn.change({
      reload: { state: 'idle' },
      lastReload: { verdict: 'completed', reload: state.reload, generation: state.generation, duration },
    });
    turn.do({ type: 'complete', reload: state.reload, generation: state.generation, duration });
    return;
  }
  const late = turn.due(state.since + fleet.policy.progressDeadline);
  if (state.failures < fixed.rolloutFailures && !late) return;
  const reason = late
    ? 'not every worker was replaced within progressDeadline'
    : `${state.failures} new workers in a row failed to boot`;
  turn.change({
    halted: true,
    reload: { state: 'idle' },
    lastReload: { verdict: 'halted', reload: state.reload, reason, duration },
  });
  turn.do({ type: 'halt', reload: state.reload, reason, duration });
}

/** What was started for a reload that was rejected leaves again. */
function removeRejected(turn: Turn): void {
  if (turn.fleet.reload.state === 'canary') return;
  for (const worker of turn.fleet.workers) {
    if (!isCandidate(turn.fleet, worker)) continue;
    if (worker.phase.name === 'booting') turn.kill(worker, 'reload-rejected', 'SIGKILL');
    if (worker.phase.name === 'ready') turn.drain(worker, 'reload', turn.now + turn.fleet.policy.gracefulTimeout);
  }
}
