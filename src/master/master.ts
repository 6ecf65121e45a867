/** The master: its parts, started. It decides nothing itself, and does nothing that is not an effect or a report. */
import type { Event } from '../core/events.ts';
import { connectEffects } from './effects.ts';
import { crash } from './end.ts';
import { type MasterOptions, makeParts, type Parts } from './parts.ts';
import { connectReports } from './reports.ts';

/** Milliseconds between two looks at the claims: a control socket's file that was removed comes back. */
const keepEvery = 5_000;

export class Master {
  readonly #parts: Parts;

  constructor(options: MasterOptions) {
    this.#parts = makeParts(options);
    connectEffects(this.#parts);
    connectReports(this.#parts);
  }

  /**
   * Takes the claims that are to be had at the start, and starts the first workers.
   *
   * @throws PreforkError if an admin address, a control socket or a pidfile that was configured cannot be used: nothing is
   *   left behind then
   */
  async start(): Promise<void> {
    const { arbiter, claims, generations, listeners, sentinel, sockets, statsd, succession } = this.#parts;
    try {
      await claims.ensure();
      sentinel.start();
    } catch (error) {
      sentinel.stop();
      await claims.release();
      throw error;
    }
    succession.start();
    setInterval(() => {
      // What the new master of an upgrade takes has not been removed by accident.
      const { stopping, upgrade } = arbiter.fleet;
      if (stopping !== null || upgrade.state === 'ready') return;
      void claims.keep();
      void sockets.keep();
    }, keepEvery).unref();
    process.on('uncaughtException', (error) => crash(error, this.#parts));
    statsd.start();
    sentinel.setGrace(generations.current.gracefulTimeout);
    sentinel.setSockets(listeners.fds());
    arbiter.post({ type: 'ticked' });
  }

  /** An order of an operator; while the process ends it is for the new master, if there is one. */
  post(event: Event): void {
    const { arbiter, succession } = this.#parts;
    if (arbiter.ended) succession.handOnLate(event);
    else arbiter.post(event);
  }
}
