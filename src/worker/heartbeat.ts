/** The periodic proof that this worker's event loop turns. */
import { type EventLoopUtilization, type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { WorkerFigures } from '../protocol/figures.ts';
import type { Channel } from './channel.ts';
import { shortage } from './descriptors.ts';
import { marked } from './evidence.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Traffic } from './traffic/traffic.ts';

/** Milliseconds between two looks at the clock; what the histogram records begins there. */
const resolution = 20;
const shortageEvery = 1_000;

export class Heartbeat {
  readonly #channel: Channel;
  readonly #traffic: Traffic;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution });
  #utilisation: EventLoopUtilization = performance.eventLoopUtilization();
  #memory = { rss: 0, heapUsed: 0 };
  #cpu = { used: process.cpuUsage(), at: performance.now() };
  #sending = false;
  readonly #metrics: Metrics | null;

  constructor(channel: Channel, traffic: Traffic, metrics: Metrics | null) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.#metrics = metrics;
  }

  start(interval: number): void {
    this.#delay.enable();
    setInterval(() => this.#lookForShortage(), shortageEvery).unref();
    const beat = marked(() => this.beat());
    setInterval(beat, interval).unref();
  }

  /** Beats now. A beat is left out while the one before is still on its way: nothing may pile up in this process. */
  beat(): void {
    if (this.#sending || !this.#channel.isOpen) return;
    this.#sending = true;
    this.#metrics?.report();
    this.#channel.send({ type: 'beat', figures: this.#figures() }, () => {
      this.#sending = false;
    });
  }

  #lookForShortage(): void {
    const found = shortage(this.#traffic.connections.open.size);
    if (found !== null) this.#channel.send({ type: 'short', ...found });
  }

  /** Without a free file descriptor memory cannot be measured: the last figures stay. */
  #measureMemory(): { readonly rss: number; readonly heapUsed: number } {
    try {
      const { rss, heapUsed } = process.memoryUsage();
      this.#memory = { rss, heapUsed };
    } catch {
      // EMFILE: it reads a file.
    }
    return this.#memory;
  }

  #figures(): WorkerFigures {
    this.#traffic.connections.sweep();
    const { rss, heapUsed } = this.#measureMemory();
    const utilisation = performance.eventLoopUtilization();
    const since = performance.eventLoopUtilization(utilisation, this.#utilisation);
    this.#utilisation = utilisation;
    const loopDelayP99 = delayOf(this.#delay.percentile(99));
    const loopDelayMax = delayOf(this.#delay.max);
    this.#delay.reset();
    const [latencyP50 = null, latencyP99 = null] = this.#metrics?.latency.percentiles([0.5, 0.99]) ?? [];
    this.#metrics?.latency.turn();
    return {
      requests: this.#traffic.requests,
      inFlight: this.#traffic.inFlight.count(),
      connections: this.#traffic.connections.open.size,
      rss,
      heapUsed,
      loopDelayP99,
      loopDelayMax,
      clock: performance.now(),
      loopUtilisation: Number.isFinite(since.utilization) ? since.utilization : 0,
      cpu: this.#measureCpu(),
      latencyP50,
      latencyP99,
    };
  }

  #measureCpu(): number {
    const { used, at } = this.#cpu;
    this.#cpu = { used: process.cpuUsage(), at: performance.now() };
    const microseconds = this.#cpu.used.user + this.#cpu.used.system - used.user - used.system;
    const elapsed = this.#cpu.at - at;
    return elapsed > 0 ? Math.max(0, microseconds / 1_000 / elapsed) : 0;
  }
}

/** Nanoseconds of the histogram to milliseconds of lateness; an empty histogram has a minimum of -1 and no maximum. */
function delayOf(nanoseconds: number): number {
  const late = nanoseconds / 1e6 - resolution;
  return Number.isFinite(late) && late > 0 ? late : 0;
}
