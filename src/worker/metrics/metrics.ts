/** Everything that is counted in a worker, and how it gets to the master. */
import { registry } from '../../app/registry.ts';
import type { BootInfo } from '../../protocol/messages.ts';
import { within } from '../../system/within.ts';
import type { Channel } from '../channel.ts';
import { loadHook } from '../hooks.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { AppRegistries } from './app-registries.ts';
import type { Latency } from './latency.ts';
import { Routes, watchFastify } from './routes.ts';
import { TrafficMeter } from './traffic-meter.ts';

/** Milliseconds that a worker waits for the app's last figures before it leaves. */
const lastFigures = 500;
/** Milliseconds between the reports of a canary: fewer requests meet one that is bad. */
const eagerly = 100;
/** Milliseconds by which it goes on for longer than the trial: that begins when the master knows that it listens. */
const trialMargin = 5_000;

export class Metrics {
  readonly #channel: Channel;
  readonly #traffic: Traffic;
  readonly #routes = new Routes();
  readonly #meter: TrafficMeter;
  readonly #app: AppRegistries | null;
  readonly #labelFile: string | null;
  #trial: number | null;

  constructor(channel: Channel, traffic: Traffic, wanted: NonNullable<BootInfo['metrics']>, hooks: BootInfo['hooks']) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.#meter = new TrafficMeter(traffic, this.#routes, wanted.latencies);
    this.#trial = wanted.trial;
    this.#app = wanted.app ? new AppRegistries(channel) : null;
    this.#labelFile = hooks.routeLabel ?? null;
  }

  get latency(): Latency {
    return this.#meter.latency;
  }

  /** To be called before the app is loaded. */
  start(): void {
    this.#traffic.subscribe(this.#meter);
    watchFastify();
    this.#app?.start();
    // At any end of this process but a SIGKILL the master gets what it has served.
    process.on('exit', () => this.report());
    if (this.#labelFile === null) return;
    const loaded = this.#loadLabel(this.#labelFile);
    // The first request is named as well as the last.
    registry().starts.push(() => loaded);
  }

  /** The app listens. */
  onListening(): void {
    this.#routes.findFrameworks();
    this.#app?.onListening();
    this.#reportEagerly();
  }

  /** Sends the master what was added since the last report. If that cannot be sent now, the next report has it. */
  report(): void {
    if (!this.#channel.isOpen) return;
    const delta = this.#meter.take();
    if (delta !== null) this.#channel.send({ type: 'traffic', delta });
  }

  /** The worker has drained. */
  async finish(): Promise<void> {
    this.report();
    if (this.#app === null) return;
    await within(this.#app.finish(), lastFigures);
  }

  #reportEagerly(): void {
    if (this.#trial === null) return;
    const until = performance.now() + this.#trial + trialMargin;
    this.#trial = null;
    const timer = setInterval(() => {
      if (performance.now() > until) clearInterval(timer);
      else this.report();
    }, eagerly).unref();
  }

  async #loadLabel(file: string): Promise<void> {
    this.#routes.label = await loadHook('routeLabel', file);
  }
}
