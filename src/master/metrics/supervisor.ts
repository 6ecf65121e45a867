/** What the supervisor itself did, counted from events and actions as they happen. */
import type { Action, ActionOf } from '../../core/actions.ts';
import { type DeathCause, deathCauses } from '../../core/death.ts';
import type { Event } from '../../core/events.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, PlaceReason, ReloadOutcome, Worker } from '../../core/model.ts';
import { Durations, Tally } from './counts.ts';
import { type Family, family, single } from './family.ts';

const startReasons = ['start', 'scale', 'reload', 'recycle', 'respawn', 'spare'] as const;
const exitReasons = [
  ...['reload', 'requests', 'memory', 'lifetime', 'signal', 'operator', 'scale', 'upgrade', 'address', 'shutdown'],
  ...['crash', 'boot', 'stuck', 'boot-timeout', 'drain-timeout', 'reload-rejected', 'misbehaved', 'spawn'],
] as const;
const placeReasons: readonly PlaceReason[] = ['gone', 'scale', 'recycle'];
type StartReason = (typeof startReasons)[number];
type ExitReason = (typeof exitReasons)[number];
const verdicts: readonly ReloadOutcome['verdict'][] = ['completed', 'rejected', 'halted', 'rolled-back'];

export class SupervisorTotals {
  readonly #starts = new Tally(startReasons);
  readonly #places = new Tally(placeReasons);
  readonly #exits = new Tally(exitReasons);
  readonly #deaths = new Tally(deathCauses.filter((cause) => cause !== 'asked'));
  readonly #reloads = new Tally(verdicts);
  readonly #captures = new Tally(['warning', 'fatal']);
  readonly #boots = new Durations([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]);
  readonly #rollouts = new Durations([0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]);
  readonly #startedAt = Date.now() / 1_000;
  #last: ReloadOutcome | null = null;
  #lastAt = 0;

  event(event: Event, before: Fleet, now: number): void {
    switch (event.type) {
      case 'workerBooted':
      case 'workerReadied': {
        const worker = findWorker(before, event.id);
        if (worker?.phase.name === 'booting') this.#boots.observe((now - worker.bornAt) / 1_000);
        return;
      }
      case 'workerSpawnFailed':
        this.#exits.add('spawn' satisfies ExitReason);
        return;
      case 'workerExited': {
        const worker = findWorker(before, event.id);
        if (worker === undefined) return;
        this.#exits.add(exitReasonOf(worker));
        const cause: DeathCause = event.death?.cause ?? 'asked';
        if (cause !== 'asked') this.#deaths.add(cause);
        return;
      }
      default:
    }
  }

  action(action: Action, fleet: Fleet): void {
    if (action.type === 'spawn') this.#starts.add(startReasonOf(action, fleet));
    if (action.type === 'place') this.#places.add(action.reason);
    if (action.type === 'capture') this.#captures.add(action.fatal ? 'fatal' : 'warning');
  }

  onTurn({ lastReload }: Fleet): void {
    if (lastReload === null || lastReload === this.#last) return;
    this.#last = lastReload;
    this.#lastAt = Date.now() / 1_000;
    this.#reloads.add(lastReload.verdict);
    this.#rollouts.observe(lastReload.duration / 1_000);
  }

  families(): Family[] {
    const families = [
      family('counter', 'prefork_worker_starts_total', 'Workers started, by why', this.#starts.by('reason')),
      family('counter', 'prefork_worker_exits_total', 'Workers that are gone, by why', this.#exits.by('reason')),
      family(
        'counter',
        'prefork_worker_deaths_total',
        'Workers that ended without being asked to, by what ended them',
        this.#deaths.by('cause'),
      ),
      family(
        'counter',
        'prefork_spares_placed_total',
        'Spares that took a place, by why it was free',
        this.#places.by('reason'),
      ),
      this.#boots.family('prefork_worker_boot_duration_seconds', 'Time from the fork of a worker to its readiness'),
      family('counter', 'prefork_reloads_total', 'Reloads, by how they ended', this.#reloads.by('outcome')),
      this.#rollouts.family('prefork_reload_duration_seconds', 'Time from the start of a reload to its end'),
      family(
        'counter',
        'prefork_stuck_captures_total',
        'Stacks taken of workers that did not answer',
        this.#captures.by('kind'),
      ),
      single('gauge', 'prefork_start_time_seconds', 'When the master started, seconds since 1970', this.#startedAt),
    ];
    if (this.#last === null) return families;
    return [
      ...families,
      single(
        'gauge',
        'prefork_last_reload_successful',
        'Whether the last reload completed',
        this.#last.verdict === 'completed' ? 1 : 0,
      ),
      single(
        'gauge',
        'prefork_last_reload_timestamp_seconds',
        'When the last reload ended, seconds since 1970',
        this.#lastAt,
      ),
    ];
  }
}

function exitReasonOf({ phase }: Worker): ExitReason {
  switch (phase.name) {
    case 'booting':
    case 'joining':
      return 'boot';
    case 'spare':
    case 'ready':
      return 'crash';
    case 'draining':
    case 'killed':
      return phase.reason;
  }
}

/** The fleet already holds the worker that is to be spawned. */
function startReasonOf({ id, slot, generation }: ActionOf<'spawn'>, fleet: Fleet): StartReason {
  if (slot === null) return 'spare';
  const others = fleet.workers.filter((worker) => worker.slot === slot && worker.id !== id);
  if (others.some((worker) => worker.generation < generation)) return 'reload';
  if (generation > fleet.generation) return 'reload';
  if (others.some((worker) => worker.spent !== null)) return 'recycle';
  if (fleet.start === 'starting' && (fleet.slots.get(slot)?.restarts ?? 0) === 0) return 'start';
  return (fleet.slots.get(slot)?.restarts ?? 0) === 0 ? 'scale' : 'respawn';
}
