/** Everything that is counted in a worker, and how it gets to the master. */
import { registry } from '../../app/registry.ts';
import type { BootInfo } from '../../protocol/messages.ts';
import { within } from '../../system/within.ts';
import type { Channel } from '../channel.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { AppRegistries } from './app-registries.ts';
import type { Latency } from './latency.ts';
import { Routes, watchFastify } from './routes.ts';
import { TrafficMeter } from './traffic-meter.ts';

/** Milliseconds that a worker waits for the app's last figures before it leaves. */
const lastFigures = 500;

export class Metrics {
  readonly #channel: Channel;
  readonly #traffic: Traffic;
  readonly #routes = new Routes();
  readonly #meter: TrafficMeter;
  readonly #app: AppRegistries | null;
  readonly #labelFile: string | null;

  constructor(channel: Channel, traffic: Traffic, wanted: NonNullable<BootInfo['metrics']>) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.#meter = new TrafficMeter(traffic, this.#routes);
    this.#app = wanted.app ? new AppRegistries(channel) : null;
    this.#labelFile = wanted.routeLabel;
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

  async #loadLabel(file: string): Promise<void> {
    try {
      const exported = await loadConfig(file);
      const config: unknown = typeof exported === 'function' ? await exported() : exported;
      const label = (config as { routeLabel?: unknown } | null | undefined)?.routeLabel;
      if (typeof label === 'function') this.#routes.label = (request) => label.call(config, request) as unknown;
    } catch (error) {
      console.error(`prefork: routeLabel cannot be loaded from ${file}: ${String(error)}`);
    }
  }
}

/** Loads it as the master does, but changes nothing in this process unless it must. */
async function loadConfig(file: string): Promise<unknown> {
  // Loaded here: most workers need none of it.
  const { loadDefault } = await import('../../config/probe/module.ts');
  try {
    return await loadDefault(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | null)?.code;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    const { resolveOurselves } = await import('../../config/probe/resolve-ourselves.ts');
    resolveOurselves();
    return await loadDefault(file, true);
  }
}
