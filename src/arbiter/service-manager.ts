/** What systemd is told, from what the arbiter knows. Says nothing, and costs nothing, where nobody asked. */
import { isReady } from '../core/fleet.ts';
import type { Fleet } from '../core/model.ts';
import { Notifier, pingEvery } from '../master/systemd.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ServiceManagerOptions {
  /** The environment as the master was started with. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: () => Logger;
  /** Whether this master is the service's main process; one that is to take over becomes it by `mainpid`. */
  readonly isMain?: boolean;
}

export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #notifier: Notifier;
  #isMain: boolean;
  #isReady = false;
  #saidReady = false;
  #isStopping = false;
  /** The reload that was last said to be under way; `null` where none is. */
  #reload: number | null = null;
  #status = '';
  #pings: NodeJS.Timeout | null = null;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#isMain = options.isMain ?? true;
    this.#notifier = new Notifier({ env: options.env, warn: (message) => options.logger().warn(message) });
    if (this.#isMain) this.#startPings();
  }

  /** The first worker is ready; it is told with the turn in which that was found. */
  announce(): void {
    this.#isReady = true;
  }

  onTurn(fleet: Fleet): void {
    if (!this.#notifier.isOn || !this.#isMain) return;
    const status = statusText(fleet);
    if (status !== this.#status) this.#notifier.status(status);
    this.#status = status;
    if (fleet.stopping !== null) {
      if (!this.#isStopping) this.#notifier.transition('STOPPING');
      this.#isStopping = true;
    } else if (this.#isReady && !this.#saidReady) {
      this.#saidReady = true;
      this.#notifier.transition('READY');
    } else if (this.#isReady) this.#followReload(fleet);
  }

  /**
   * Says which process is the service's main one: another master that takes over, after which this one keeps silent, or
   * this one, which speaks from then on.
   */
  mainpid(pid: number): void {
    const isMain = pid === process.pid;
    if (this.#isMain || isMain) this.#notifier.mainpid(pid);
    this.#isMain = isMain;
    this.#stopPings();
    if (!isMain) return;
    this.#startPings();
    this.#status = '';
    if (this.#isReady) this.#notifier.transition('READY');
  }

  /** The process ends next; what is to be told is told before. */
  async end(): Promise<void> {
    this.#stopPings();
    await this.#notifier.end();
  }

  #followReload({ reload }: Fleet): void {
    const now = reload.state === 'idle' ? null : reload.reload;
    if (now === this.#reload) return;
    if (this.#reload !== null) this.#notifier.transition('READY');
    if (now !== null) this.#notifier.transition('RELOADING');
    this.#reload = now;
  }

  /**
   * A timer of the loop that does everything else: where that loop is stuck, the pings stop. A service without ready
   * workers goes on pinging: another master would not do better, and sockets, backoff and the log would be lost.
   */
  #startPings(): void {
    const { env, isMain = true } = this.#options;
    // Who takes over has the environment of who was asked.
    const every = pingEvery(isMain ? env : { ...env, WATCHDOG_PID: undefined }, process.pid);
    if (every !== null && this.#notifier.isOn) this.#pings = setInterval(() => this.#notifier.ping(), every).unref();
  }

  #stopPings(): void {
    if (this.#pings !== null) clearInterval(this.#pings);
    this.#pings = null;
  }
}

/** One line for `systemctl status`. */
export function statusText(fleet: Fleet): string {
  const { generation, lastReload, reload, start, stopping, wanted, workers } = fleet;
  if (stopping !== null) return `stopping, ${workers.length} ${workers.length === 1 ? 'worker' : 'workers'} left`;
  if (fleet.dormant) return 'dormant: no workers, the sockets are kept';
  // While workers are replaced there may be more of them for a moment.
  const ready = Math.min(wanted, workers.filter(isReady).length);
  const prefix =
    start === 'starting' ? 'starting, ' : reload.state === 'idle' ? '' : `reload ${reload.reload} under way, `;
  const failed = lastReload !== null && lastReload.verdict !== 'completed' && reload.state === 'idle';
  const suffix = failed
    ? `; reload ${lastReload.reload} ${verdicts[lastReload.verdict]}: ${lastReload.reason ?? ''}`
    : '';
  return `${prefix}${ready}/${wanted} workers ready, generation ${generation}${suffix}`;
}

const verdicts = {
  rejected: 'failed, nothing was changed',
  halted: 'stopped half way',
  'rolled-back': 'was rolled back',
};
