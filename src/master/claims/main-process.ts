/**
 * The claim of being the main process of systemd's service: systemd listens to it, restarts the service when it ends, and
 * is told how the service is. Costs nothing if no service manager asked.
 */
import { isReady } from '../../core/fleet.ts';
import type { Fleet } from '../../core/model.ts';
import type { Logger } from '../log/logger.ts';
import type { Claim, ClaimsBequest } from './claim.ts';
import { Notifier, pingEvery } from './systemd.ts';

/** Milliseconds that the end of the process may wait for systemd. */
const usualPatience = 1_000;
const yieldPatience = 15_000;
/** Milliseconds for systemd to know its new main process. */
const sayAgainAfter = 2_000;

export interface MainProcessOptions {
  /** The environment as the master was started with. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: () => Logger;
  readonly fleet: () => Fleet;
  /** Whether there is a master before this one, which is the main process until this one takes over. */
  readonly hasPredecessor: boolean;
}

export class MainProcess implements Claim {
  readonly #options: MainProcessOptions;
  readonly #notifier: Notifier;
  #isMain: boolean;
  #isReady = false;
  #saidReady = false;
  #isStopping = false;
  /** The reload that was last said to be under way; `null` if none is. */
  #reload: number | null = null;
  #status = '';
  /** The master before us, whose child we are; `null` once we are the service manager's own, and it knows. */
  #parent: number | null;
  #pings: NodeJS.Timeout | null = null;

  constructor(options: MainProcessOptions) {
    this.#options = options;
    this.#isMain = !options.hasPredecessor;
    this.#parent = this.#isMain ? null : process.ppid;
    this.#notifier = new Notifier({ env: options.env, warn: (message) => options.logger().warn(message) });
    if (this.#isMain) this.#startPings();
  }

  /** Says that the service is ready, once it is. */
  ensure(): void {
    const fleet = this.#options.fleet();
    this.#isReady ||= fleet.start !== 'starting';
    this.onTurn(fleet);
  }

  /** This process is the service's main one, and speaks from then on. */
  takeOver(): void {
    this.#notifier.mainpid(process.pid);
    this.#isMain = true;
    this.#stopPings();
    this.#startPings();
    this.#status = '';
    // If systemd listens to the main process alone, that was not this one yet.
    setTimeout(() => {
      this.#status = '';
    }, sayAgainAfter).unref();
    if (this.#isReady) this.#notifier.transition('READY');
  }

  /**
   * Another master is the service's main process, and this one keeps silent. With `NotifyAccess=main` systemd has not
   * heard the other one say so: only the main process may give it away.
   */
  yield(pid: number): void {
    this.#notifier.forget();
    if (this.#isMain) this.#notifier.mainpid(pid);
    this.#isMain = false;
    this.#stopPings();
  }

  /** What is to be told is told before the process ends. */
  async release(): Promise<void> {
    this.#stopPings();
    // If systemd does not know of the new master yet, the end of this one is the end of the service to it.
    await this.#notifier.end(this.#isMain ? usualPatience : yieldPatience);
  }

  /** The next master has it from its environment. */
  bequest(): Partial<ClaimsBequest> {
    return {};
  }

  /** Tells what has changed. */
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
   * A timer of the loop that does everything else: if that loop is stuck, the pings stop. A service without ready
   * workers goes on pinging: another master would not do better, and sockets, backoff and the log would be lost.
   */
  #startPings(): void {
    const { env, hasPredecessor } = this.#options;
    // A master that takes over has the environment of the one that was asked.
    const every = pingEvery(hasPredecessor ? { ...env, WATCHDOG_PID: undefined } : env, process.pid);
    if (every === null || !this.#notifier.isOn) return;
    this.#pings = setInterval(() => this.#notifier.ping(), every).unref();
    // A master that takes over does not know how long ago the last ping was.
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
