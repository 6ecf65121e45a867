/** From what happens in the master to the events that the `on` hook and the webhook are told. */
import type { Settings } from '../../config/resolved.ts';
import type { ExitReason, ServiceEvent } from '../../config/service-event.ts';
import type { Action } from '../../core/actions.ts';
import type { Event, EventOf } from '../../core/events.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, Worker } from '../../core/model.ts';
import type { Logger } from '../log/logger.ts';
import type { Circumstances, Observer } from '../log/observer.ts';
import { Courier } from './courier.ts';

/** Milliseconds that one event may take: a hook, and a webhook that is tried again. */
const patience = { on: 30_000, webhook: 150_000 };
/** Milliseconds that the end of the master waits for what is still to be told. */
const lastWords = 5_000;

type Told<T> = T extends ServiceEvent ? Omit<T, 'id' | 'time' | 'service' | 'master'> : never;

export interface NotifierOptions {
  readonly settings: () => Settings;
  readonly logger: () => Logger;
  /** Unique for this master: ids of events begin with it. */
  readonly instance: string;
  /** Are told each event; the `on` hook and the webhook unless given. */
  readonly couriers?: readonly Pick<Courier, 'use' | 'deliver' | 'finish' | 'isOn'>[];
}

export class Notifier implements Observer {
  readonly #options: NotifierOptions;
  readonly #hook: Pick<Courier, 'use' | 'deliver' | 'finish' | 'isOn'>;
  readonly #webhook: Pick<Courier, 'use' | 'deliver' | 'finish' | 'isOn'>;
  #count = 0;
  #wanted: number | null = null;
  /** The service goes on without this master: its end is not the service's. */
  #isFollowed = false;

  constructor(options: NotifierOptions) {
    const { couriers = [], logger } = options;
    this.#options = options;
    this.#hook = couriers[0] ?? new Courier({ name: 'on', patience: patience.on, repeats: false, logger });
    this.#webhook = couriers[1] ?? new Courier({ name: 'webhook', patience: patience.webhook, repeats: true, logger });
    this.use(options.settings());
  }

  /** Takes the settings that are in force now. */
  use(settings: Settings): void {
    const { configFile, hooks, webhook } = settings;
    const hasHook = configFile !== null && hooks.includes('on');
    this.#hook.use(hasHook ? { task: { type: 'hook', path: configFile }, settings } : null);
    this.#webhook.use(webhook === null ? null : { task: { type: 'webhook', url: webhook }, settings });
  }

  event(event: Event, { fleet, now }: Circumstances): void {
    if (event.type === 'workerExited') this.#workerExited(event, fleet, now);
    // It told the end of the service itself, if that is what it was.
    if (event.type === 'successorGone' && fleet.stopping === null) this.#isFollowed = false;
  }

  action(action: Action, { fleet, now }: Circumstances): void {
    const { generation } = fleet;
    switch (action.type) {
      case 'declareStarted':
        this.#tell({ type: 'ready', workers: action.workers, generation, upgrade: fleet.predecessor !== 'none' });
        return;
      case 'kill': {
        const worker = findWorker(fleet, action.id);
        // A SIGKILL follows if that does not help.
        if (action.reason !== 'stuck' || action.signal !== 'SIGABRT' || worker === undefined) return;
        this.#tell({ type: 'stuck', ...factsOf(worker), blockedMs: Math.round(now - worker.beatAt) });
        return;
      }
      case 'complete': {
        const { reload, duration } = action;
        const facts = { reload, generation, durationMs: Math.round(duration) };
        const { lastReload } = fleet;
        if (lastReload?.verdict !== 'rolled-back') this.#tell({ type: 'reloaded', ...facts });
        else this.#tell({ type: 'rolledBack', ...facts, reason: lastReload.reason ?? '' });
        return;
      }
      case 'reject':
      case 'halt': {
        const { reload, reason, duration } = action;
        const facts = { reload, generation, durationMs: Math.round(duration), reason };
        this.#tell({ type: 'rejected', ...facts, halted: action.type === 'halt' });
        return;
      }
      case 'yield':
        this.#isFollowed = true;
        return;
      case 'exit': {
        // Of two masters the one that has the service tells its end.
        const isOthers = this.#isFollowed || fleet.upgrade.state === 'ready' || fleet.predecessor === 'serves';
        if (!isOthers) this.#tell({ type: 'stopped', status: action.status, reason: action.reason, generation });
        return;
      }
      default:
    }
  }

  onTurn({ generation, scaling: { last }, wanted }: Fleet): void {
    const before = this.#wanted;
    this.#wanted = wanted;
    if (before === null || before === wanted) return;
    const reason = last !== null && last.from === before && last.to === wanted ? last.reason : null;
    this.#tell({ type: 'scaled', from: before, to: wanted, reason, generation });
  }

  /** The master ends. */
  async finish(): Promise<void> {
    await Promise.all([this.#hook.finish(lastWords), this.#webhook.finish(lastWords)]);
  }

  #workerExited({ id, code, signal, death }: EventOf<'workerExited'>, before: Fleet, now: number): void {
    const worker = findWorker(before, id);
    if (worker === undefined) return;
    const { phase, bornAt } = worker;
    const asked = phase.name === 'draining' || phase.name === 'killed';
    const lifeMs = Math.round(now - bornAt);
    const about = {
      code,
      signal,
      asked,
      reason: reasonOf(worker),
      why: death?.why ?? null,
      unanswered: death?.inFlight ?? 0,
    };
    this.#tell({ type: 'workerExit', ...factsOf(worker), ...about, lifeMs });
  }

  #tell(told: Told<ServiceEvent>): void {
    if (!this.#hook.isOn && !this.#webhook.isOn) return;
    this.#count += 1;
    const { instance, settings } = this.#options;
    const base = {
      id: `${instance}-${this.#count}`,
      time: new Date().toISOString(),
      service: settings().name,
      master: process.pid,
    };
    const event: ServiceEvent = { ...base, ...told };
    this.#hook.deliver(event);
    this.#webhook.deliver(event);
  }
}

function factsOf({
  slot,
  id,
  pid,
  generation,
}: Worker): Pick<Worker, 'slot' | 'pid' | 'generation'> & { worker: number } {
  return { slot, worker: id, pid, generation };
}

function reasonOf({ phase }: Worker): ExitReason {
  if (phase.name === 'draining' || phase.name === 'killed') return phase.reason;
  return phase.name === 'ready' || phase.name === 'spare' ? 'crash' : 'boot';
}
