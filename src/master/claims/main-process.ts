/** What systemd is told, from what the arbiter knows. Says nothing, and costs nothing, where nobody asked. */
import { isReady } from '../../core/fleet.ts';
import type { Fleet } from '../../core/model.ts';
import type { Logger } from '../log/logger.ts';
import { Notifier, pingEvery } from './systemd.ts';

/** Milliseconds that the end of the process may wait for systemd. */
const usualPatience = 1_000;
const handoverPatience = 15_000;
/** Milliseconds for systemd to know its new main process. */
const sayAgainAfter = 2_000;

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
  /** The master before us, whose child we are; `null` once we are the service manager's own, and it knows. */
  #parent: number | null;
  #pings: NodeJS.Timeout | null = null;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#isMain = options.isMain ?? true;
    this.#parent = this.#isMain ? null : process.ppid;
    this.#notifier = new Notifier({ env: options.env, warn: (message) => options.logger().warn(message) });
    if (this.#isMain) this.#startPings();
  }

  /** The first worker is ready; it is told with the turn in which that was found. */
  announce(): void {
    this.#isReady = true;
  }

  onTurn(fleet: Fleet): void {
    if (!this.#notifier.isOn || !this.#isMain) return;
    this.#becomeOwn(fleet);
    // Two masters that speak at the same time may be heard in any order: from here on the new one does.
    if (fleet.upgrade.state !== 'ready') this.#tellStatus(statusText(fleet));
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
    if (!isMain) this.#notifier.forget();
    if (this.#isMain || isMain) this.#notifier.mainpid(pid);
    this.#isMain = isMain;
    this.#stopPings();
    if (!isMain) return;
    this.#startPings();
    this.#status = '';
    // Where the main process alone is heard, that was not us yet.
    setTimeout(() => {
      this.#status = '';
    }, sayAgainAfter).unref();
    if (this.#isReady) this.#notifier.transition('READY');
  }

  /** The process ends next; what is to be told is told before. */
  async end(): Promise<void> {
    this.#stopPings();
    // Where systemd does not know of the new master yet, the end of this one is the end of the service to it.
    await this.#notifier.end(this.#isMain ? usualPatience : handoverPatience);
  }

  /**
   * A main process that is not its own child systemd does not wait for: at a stop it would send TERM and KILL at once.
   * The child of the master before us was no child of systemd's; once that master is gone we are.
   */
  #becomeOwn({ stopping }: Fleet): void {
    if (this.#parent === null || process.ppid === this.#parent || stopping !== null) return;
    this.#parent = null;
    this.#notifier.becomeOwn();
  }

  #tellStatus(status: string): void {
    if (status !== this.#status) this.#notifier.status(status);
    this.#status = status;
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
    if (every === null || !this.#notifier.isOn) return;
    this.#pings = setInterval(() => this.#notifier.ping(), every).unref();
    // Who takes over does not know how long ago the last one was.
    this.#notifier.ping();
  }

  #stopPings(): void {
    if (this.#pings !== null) clearInterval(this.#pings);
    this.#pings = null;
  }
}

/** One line for `systemctl status`. */
export function statusText(fleet: Fleet): string {
  const { generation, stopping, wanted, workers } = fleet;
  if (stopping !== null) return `stopping, ${workers.length} ${workers.length === 1 ? 'worker' : 'workers'} left`;
  if (fleet.dormant) return 'dormant: no workers, the sockets are kept';
  // While workers are replaced there may be more of them for a moment.
  const ready = Math.min(wanted, workers.filter(isReady).length);
  return `${underWay(fleet)}${ready}/${wanted} workers ready, generation ${generation}${failures(fleet)}`;
}

function underWay({ reload, start, upgrade, upgrades }: Fleet): string {
  if (start === 'starting') return 'starting, ';
  if (upgrade.state !== 'none') return `upgrade ${upgrades} under way, `;
  return reload.state === 'idle' ? '' : `reload ${reload.reload} under way, `;
}

/** What went wrong last, until it goes well. */
function failures({ lastReload, lastUpgrade, reload, upgrade }: Fleet): string {
  let text = '';
  if (lastReload !== null && lastReload.verdict !== 'completed' && reload.state === 'idle')
    text += `; reload ${lastReload.reload} ${verdicts[lastReload.verdict]}: ${lastReload.reason ?? ''}`;
  if (lastUpgrade?.verdict === 'failed' && upgrade.state === 'none')
    text += `; upgrade ${lastUpgrade.upgrade} failed, nothing was changed: ${lastUpgrade.reason ?? ''}`;
  return text;
}

const verdicts = {
  rejected: 'failed, nothing was changed',
  halted: 'stopped half way',
  'rolled-back': 'was rolled back',
};
