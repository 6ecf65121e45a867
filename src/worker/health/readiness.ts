/** When a worker is ready: its startup work is done, and its critical checks pass. Afterwards they are run now and then. */
import { type CheckResult, runChecks } from '../../app/checks.ts';
import { registry } from '../../app/registry.ts';
import { maxCheckError, maxCheckName } from '../../protocol/check-values.ts';
import { pause } from '../../system/pause.ts';
import type { Channel } from '../channel.ts';

/** Milliseconds between two rounds of checks: while they fail at the start, and later. */
const retryEvery = 500;
const checkEvery = 5_000;

export class Readiness {
  readonly #channel: Channel;
  readonly #onFailed: (error: unknown) => void;
  #started = 0;
  #sent = '';
  /** The newest round. */
  results: readonly CheckResult[] = [];

  /** @param onFailed called if the startup work throws */
  constructor(channel: Channel, onFailed: (error: unknown) => void) {
    this.#channel = channel;
    this.#onFailed = onFailed;
  }

  get isWell(): boolean {
    return this.results.every(({ ok, critical }) => ok || !critical);
  }

  /** Calls back when the worker may serve: at once if the app has neither startup work nor checks. */
  whenWell(proceed: () => void): void {
    const { starts, checks } = registry();
    if (this.#started === starts.length && checks.size === 0) {
      proceed();
      return;
    }
    // The app may have nothing else that keeps it alive yet.
    this.#channel.hold();
    this.#become()
      .then(proceed, this.#onFailed)
      .finally(() => this.#channel.release());
  }

  /** Begins to run the checks now and then; called when the worker is ready. */
  watch(): void {
    setInterval(() => {
      if (registry().checks.size > 0) void this.#check();
    }, checkEvery).unref();
  }

  async #become(): Promise<void> {
    const { starts } = registry();
    while (this.#started < starts.length) {
      const next = starts[this.#started];
      this.#started += 1;
      await next?.();
    }
    await this.#check();
    while (!this.isWell) {
      await pause(retryEvery);
      await this.#check();
    }
    // What was added meanwhile counts as well.
    if (this.#started < starts.length) await this.#become();
  }

  async #check(): Promise<void> {
    this.results = await runChecks();
    const checks = this.results.slice(0, 50).map(({ name, ok, critical, error }) => ({
      name: name.slice(0, maxCheckName),
      ok,
      critical,
      error: error === null ? null : error.slice(0, maxCheckError),
    }));
    const text = JSON.stringify(checks);
    // Only changes are sent.
    if (text !== this.#sent) this.#channel.send({ type: 'health', checks });
    this.#sent = text;
  }
}
