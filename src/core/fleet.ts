/** Questions about a fleet, and small changes to it: the vocabulary of the rules. */
import { fixed } from './fixed.ts';
import type {
  CanaryStage,
  CommonPhase,
  Fleet,
  Policy,
  Reload,
  RetireReason,
  SeatedWorker,
  Slot,
  Worker,
  WorkerRecord,
} from './model.ts';

const newSlot: Slot = { failures: 0, notBefore: 0, restarts: 0 };

export function slotOf(fleet: Fleet, slot: number): Slot {
  return fleet.slots.get(slot) ?? newSlot;
}

export function withSlot(fleet: Fleet, slot: number, change: Partial<Slot>): Fleet {
  return { ...fleet, slots: new Map(fleet.slots).set(slot, { ...slotOf(fleet, slot), ...change }) };
}

export function withWorker(
  fleet: Fleet,
  id: number,
  change: Partial<WorkerRecord> & { readonly phase?: CommonPhase },
): Fleet {
  return { ...fleet, workers: fleet.workers.map((worker) => (worker.id === id ? { ...worker, ...change } : worker)) };
}

/** The fleet in which this worker is as given. */
export function withChanged(fleet: Fleet, changed: Worker): Fleet {
  return { ...fleet, workers: fleet.workers.map((worker) => (worker.id === changed.id ? changed : worker)) };
}

export function findWorker(fleet: Fleet, id: number): Worker | undefined {
  return fleet.workers.find((worker) => worker.id === id);
}

/** Workers that have a place in the pool. */
export function seated(fleet: Fleet): readonly SeatedWorker[] {
  return fleet.workers.filter((worker) => worker.slot !== null);
}

/** Serves, or is about to: counts towards the size of the pool. */
export function isLive({ slot, phase }: Worker): boolean {
  return slot !== null && (phase.name === 'booting' || phase.name === 'joining' || phase.name === 'ready');
}

/** Has neither a place nor the order to leave: waits for a place, or boots to do so. */
export function isSpare({ slot, phase }: Worker): boolean {
  return slot === null && (phase.name === 'booting' || phase.name === 'spare');
}

/** Spares there should be now. */
export function wantedSpares(fleet: Fleet): number {
  return fleet.stopping !== null || fleet.dormant ? 0 : fleet.policy.spares;
}

/** Serves: one that is held has no clients. */
export function isReady(worker: Worker): boolean {
  return worker.phase.name === 'ready' && !worker.held;
}

/** Of the reload's new generation, which is not in force yet. */
export function isCandidate(fleet: Fleet, worker: Worker): boolean {
  return worker.generation > fleet.generation;
}

/** Of an older generation, and to be replaced. */
export function isStale(fleet: Fleet, worker: Worker): boolean {
  return worker.generation < fleet.generation && !fleet.halted;
}

/** The worker, to be replaced from `from` on; a reason that it has already stands. */
export function spent(worker: Worker, from: number, reason: RetireReason): Worker {
  return worker.spent === null ? { ...worker, spent: { reason, from } } : worker;
}

/** Why a worker is to be replaced at `now`, if it is. */
export function replaceReason(fleet: Fleet, worker: Worker, now: number): RetireReason | null {
  if (isStale(fleet, worker)) return 'reload';
  if (worker.spent !== null && now >= worker.spent.from) return worker.spent.reason;
  if (worker.limits.lifetime !== null && now >= worker.bornAt + worker.limits.lifetime) return 'lifetime';
  return null;
}

/** The number of workers there should be now. */
export function target(fleet: Fleet): number {
  return fleet.stopping !== null || fleet.dormant ? 0 : fleet.wanted;
}

export function readyCount(fleet: Fleet): number {
  return fleet.workers.filter(isReady).length;
}

/** Ready workers that stay: a reload's candidate leaves again if the reload is rejected. */
export function servingCount(fleet: Fleet): number {
  return fleet.workers.filter((worker) => isReady(worker) && !isCandidate(fleet, worker)).length;
}

/** Workers beyond one per slot, a canary apart: what `maxSurge` limits. */
export function surge(fleet: Fleet): number {
  const live = fleet.workers.filter((worker) => isLive(worker) && !isCandidate(fleet, worker));
  return live.length - new Set(live.map((worker) => worker.slot)).size;
}

/** How many older generations have workers that are still on their way out. */
export function drainingGenerations(fleet: Fleet): number {
  return generationsLeaving(fleet).size;
}

/** The numbers of those generations. */
export function generationsLeaving(fleet: Fleet): ReadonlySet<number> {
  const leaving = fleet.workers.filter((worker) => !isLive(worker) && worker.generation < fleet.generation);
  return new Set(leaving.map((worker) => worker.generation));
}

/** Workers of a slot that are still on their way out, for whatever reason. */
export function leaving(fleet: Fleet, slot: number): number {
  return fleet.workers.filter((worker) => worker.slot === slot && !isLive(worker)).length;
}

/** The limits that apply to a worker: a canary is held to its own generation's. */
export function policyOf(fleet: Fleet, worker: Worker): Policy {
  return fleet.reload.state === 'canary' && isCandidate(fleet, worker) ? fleet.reload.policy : fleet.policy;
}

/**
 * How long to wait before the next boot: 1.5^n from 100 ms to 30 s, as Einhorn does, spread by a quarter either way so
 * that slots that failed together do not retry together.
 *
 * @param failures consecutive failures, at least 1
 * @param jitter uniform in [0, 1)
 */
export function backoff(failures: number, jitter: number): number {
  const step = Math.min(30_000, 100 * 1.5 ** Math.min(failures - 1, 40));
  return Math.min(30_000, Math.round(step * (0.75 + jitter / 2)));
}

/** Whether a life was too short to count as a successful boot. */
export function wasUnstable(worker: Worker, now: number): boolean {
  switch (worker.phase.name) {
    case 'booting':
    case 'joining':
      return true;
    case 'spare':
    case 'ready':
      return now - worker.phase.since < fixed.stableAfter;
    case 'draining':
      return worker.phase.reason === 'boot-timeout';
    case 'killed':
      return worker.phase.reason === 'boot-timeout' || worker.phase.reason === 'misbehaved';
  }
}

/** A new master serves, and this one follows its workers: what operators ask for is the new one's to do. */
export function isLeaving({ upgrade }: Fleet): boolean {
  return upgrade.state === 'ready' && !upgrade.byHand;
}

/** Whether the reload has changed nothing yet, and its end is open. */
export function isUndecided(reload: Reload): reload is Extract<Reload, { state: 'preparing' | 'canary' }> {
  return reload.state === 'preparing' || reload.state === 'canary';
}

/** Why there is nothing that could be promoted or aborted now, or `null`. */
export function decisionRefusal({ reload, stopping }: Fleet): string | null {
  if (stopping !== null) return 'the service is stopping';
  if (reload.state === 'rolling')
    return `reload ${reload.reload} has gone further: its generation is in force; prefork rollback brings the one before back`;
  return isUndecided(reload) ? null : 'no reload is under way';
}

/** Whether a canary has clients, and may have them for long: everything else goes on meanwhile. */
export function isCanaryOut({ reload }: Fleet): boolean {
  return reload.state === 'canary' && !withoutClients.has(reload.stage.name);
}

/** Stages in which a canary has no clients yet, or has them for no longer than `minReady`. */
const withoutClients: ReadonlySet<CanaryStage['name']> = new Set(['boot', 'verify', 'verified']);

/** The reason of a rollback that no fault has begun. */
export const rollbackAskedFor = 'an operator asked for it';

/** Why the generation before cannot be brought back now, or `null`. */
export function rollbackRefusal(fleet: Fleet): string | null {
  const { reload, stopping, upgrade, generation } = fleet;
  if (stopping !== null) return 'the service is stopping';
  if (upgrade.state !== 'none') return 'an upgrade is under way';
  if (reload.state !== 'idle' && reload.rollback !== null) return 'one is under way';
  if (isUndecided(reload)) return 'a reload is under way that has changed nothing yet: prefork abort ends it';
  return generation === 1 ? 'there is no generation before this one' : null;
}

/** Boots in the first round of the very first start, which tries the app. */
export function firstRound(fleet: Fleet): number {
  return Math.max(1, Math.min(fleet.wanted, fleet.policy.maxBooting));
}

/** Why an upgrade cannot be begun now, or `null`. */
export function upgradeRefusal({ upgrade, stopping, start, predecessor }: Fleet): string | null {
  if (stopping !== null) return 'the service is stopping';
  if (upgrade.state === 'ending') return 'the new master of the last one is still on its way out';
  if (upgrade.state !== 'none') return 'one is under way';
  if (predecessor !== 'none') return 'the master before this one is still there';
  return start === 'starting' ? 'the service has not started yet' : null;
}
