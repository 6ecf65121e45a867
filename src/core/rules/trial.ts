/**
 * The trial of a canary: it takes its share of real requests, and is compared with the old generation in the same minutes.
 * It leaves as soon as it is surely worse, and passes only at the end.
 */
import { fixed } from '../fixed.ts';
import { isCandidate, servingCount } from '../fleet.ts';
import type { CanaryPolicy, CanaryStage, Comparison, Fleet, Reload, TrialPart } from '../model.ts';
import { refused } from '../outcomes.ts';
import type { Turn } from '../turn.ts';
import { comparisonText, isComparable, worseThanOld } from './judge.ts';

type Canary = Extract<Reload, { state: 'canary' }>;

/** What becomes of a canary that is ready, `wait` as long as that is open. The first call begins the trial, if there is one. */
export function tryOut(turn: Turn, state: Canary): 'wait' | 'promote' | 'hold' {
  const { canary } = state.policy;
  const next = state.order === 'hold' ? 'hold' : 'promote';
  if (canary === null || state.stage.name === 'held' || !isToBeTried(turn.fleet, state)) return next;
  if (state.stage.name !== 'trial') begin(turn, state, canary);
  const comparison = comparisonOf(turn.fleet, state);
  const worse = comparison === null ? null : worseThanOld(canary, comparison);
  if (worse !== null) {
    refuse(turn, state, `generation ${state.generation} is ${worse}`);
    return 'wait';
  }
  if (state.stage.name === 'trial') seePart(turn, state, state.stage, comparison);
  const since = state.stage.name === 'trial' ? state.stage.since : turn.now;
  if (!turn.due(since + canary.for)) return 'wait';
  return conclude(turn, state, canary, comparison) ?? next;
}

/** An operator's word, and a generation that served well before, need no proof; and where nobody serves there is none. */
function isToBeTried(fleet: Fleet, { rollback, order, stage }: Canary): boolean {
  if (rollback !== null || order === 'promote') return false;
  // A pool that is dismissed in the middle of it is not to be woken at once.
  return servingCount(fleet) > 0 || (stage.name === 'trial' && fleet.dormant);
}

function begin(turn: Turn, state: Canary, canary: CanaryPolicy): void {
  const { reload, generation } = state;
  const part: TrialPart = { extra: 0, at: turn.now, fresh: 0, old: 0 };
  turn.change({ reload: { ...state, stage: { name: 'trial', since: turn.now, part } }, traffic: null });
  turn.do({ type: 'try', reload, generation, within: canary.for });
}

/** Clients whose connections it was given may all be idle: it gets one more, of one at work, until it has its requests. */
function seePart(
  turn: Turn,
  state: Canary,
  stage: Extract<CanaryStage, { name: 'trial' }>,
  comparison: Comparison | null,
): void {
  const { part } = stage;
  if (comparison === null || !turn.due(part.at + fixed.partEvery)) return;
  const [fresh, old] = [comparison.fresh.requests, comparison.old.requests];
  const share = (fresh - part.fresh + old - part.old) / (servingCount(turn.fleet) + 1);
  // What it was to get before may still be on its way, or is not there to be had.
  const isShort = !turn.fleet.balancing && share >= 1 && fresh - part.fresh < share * fixed.leastPart;
  const next = { extra: part.extra + Number(isShort), at: turn.now, fresh, old };
  turn.change({ reload: { ...state, stage: { ...stage, part: next } } });
}

function comparisonOf({ traffic }: Fleet, { generation }: Canary): Comparison | null {
  return traffic?.generation === generation ? traffic : null;
}

/** The end of a trial in which the canary was not surely worse. @returns `null` if it has passed */
function conclude(
  turn: Turn,
  state: Canary,
  canary: CanaryPolicy,
  comparison: Comparison | null,
): 'wait' | 'promote' | 'hold' | null {
  const { reload } = state;
  if (comparison !== null && isComparable(canary, comparison)) {
    const text = comparisonText(comparison);
    turn.change({ judged: { reload, text } });
    turn.do({ type: 'judge', reload, verdict: 'passed', text, next: state.order === 'hold' ? 'hold' : 'promote' });
    return null;
  }
  const requests = comparison?.fresh.requests ?? 0;
  const waiting = unanswered(turn.fleet, comparison);
  if (waiting > 0) {
    refuse(
      turn,
      state,
      `generation ${state.generation} does not answer: ${waiting} requests wait, ${requests} were answered`,
    );
    return 'wait';
  }
  const text = undecidedText(canary, comparison);
  turn.change({ judged: { reload, text } });
  const next = state.order === 'hold' && canary.onUndecided === 'promote' ? 'hold' : canary.onUndecided;
  turn.do({ type: 'judge', reload, verdict: 'undecided', text, next });
  if (next !== 'reject') return next;
  refuse(turn, state, `${text} (onUndecided is reject)`);
  return 'wait';
}

/** `undecided: 12 requests of the 200 that minRequests asks for`. */
function undecidedText({ minRequests }: CanaryPolicy, comparison: Comparison | null): string {
  const requests = comparison?.fresh.requests ?? 0;
  if (requests < minRequests) return `undecided: ${requests} requests of the ${minRequests} that minRequests asks for`;
  return `undecided: ${requests} requests, and the generation before had none to compare with`;
}

/**
 * Requests that a canary has been given and leaves unanswered, if that is most of them and is not so with the old
 * generation, whose app may be one of endless answers; else 0.
 */
function unanswered(fleet: Fleet, comparison: Comparison | null): number {
  const inFlight = { fresh: 0, old: 0 };
  for (const worker of fleet.workers)
    inFlight[isCandidate(fleet, worker) ? 'fresh' : 'old'] += worker.figures?.inFlight ?? 0;
  // Clients that all wait for the canary leave the old generation with nothing to answer, too.
  const isUsual = inFlight.old > 0 && inFlight.old >= (comparison?.old.requests ?? 0);
  const isMost = inFlight.fresh >= fixed.leastWaiting && inFlight.fresh > (comparison?.fresh.requests ?? 0);
  return isMost && !isUsual ? inFlight.fresh : 0;
}

function refuse(turn: Turn, state: Canary, reason: string): void {
  turn.change({ reload: refused(state, reason) });
}
