/** The periodic proof that this worker's event loop turns. */
import type { EventLoopUtilization } from 'node:perf_hooks';
import type { WorkerFigures } from '../protocol/figures.ts';
import type { Channel } from './channel.ts';
import { shortage } from './descriptors.ts';
import { marked } from './evidence.ts';
import { LoopDelay } from './loop-delay.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { RequestInFlight } from './traffic/in-flight.ts';
import type { Traffic } from './traffic/traffic.ts';

const shortageEvery = 1_000;
/** Requests that a heartbeat tells of, how old they are at least, in milliseconds, and characters of their URLs. */
const maxRequests = 10;
const requestAge = 100;
const maxUrl = 200;
/** Bytes. */
const largeHeap = 64 * 1024 * 1024;

export class Heartbeat {
  readonly #channel: Channel;
  readonly #traffic: Traffic;
  readonly #delay = new LoopDelay();
  #utilisation: EventLoopUtilization = performance.eventLoopUtilization();
  #memory = { rss: 0, heapUsed: 0 };
  #cpu = { used: process.cpuUsage(), at: performance.now() };
  #sending = false;
  #hasToldLimit = false;
  readonly #metrics: Metrics | null;

  constructor(channel: Channel, traffic: Traffic, metrics: Metrics | null) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.#metrics = metrics;
  }

  start(interval: number): void {
    this.#delay.start();
    setInterval(() => this.#lookForShortage(), shortageEvery).unref();
    const beat = marked(() => this.beat());
    setInterval(beat, interval).unref();
  }

  /** Beats now. A beat is left out while the one before is still on its way: nothing may pile up in this process. */
  beat(): void {
    if (this.#sending || !this.#channel.isOpen) return;
    this.#sending = true;
    this.#metrics?.report();
    const figures = this.#figures();
    this.#channel.send({ type: 'beat', figures, ...this.#serving(figures.inFlight), ...this.#heapLimit() }, () => {
      this.#sending = false;
    });
  }

  /** What would be cut if the process ended before the next heartbeat, and was not about to be answered anyway. */
  #serving(inFlight: number): { readonly requests?: RequestInFlight[] } {
    if (inFlight === 0) return {};
    const requests = this.#traffic.inFlight.oldest(maxRequests, requestAge);
    if (requests.length === 0) return {};
    return { requests: requests.map((request) => ({ ...request, url: request.url.slice(0, maxUrl) })) };
  }

  /** Once, and not before the heap is of some size: the module takes memory itself. */
  #heapLimit(): { readonly heapLimit?: number } {
    if (this.#hasToldLimit || this.#memory.heapUsed < largeHeap) return {};
    this.#hasToldLimit = true;
    return { heapLimit: process.getBuiltinModule('node:v8').getHeapStatistics().heap_size_limit };
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
    const loopUtilisation = Number.isFinite(since.utilization) ? since.utilization : 0;
    const delay = this.#delay.take(loopUtilisation);
    const [latencyP50 = null, latencyP99 = null] = this.#metrics?.latency.percentiles([0.5, 0.99]) ?? [];
    this.#metrics?.latency.turn();
    return {
      requests: this.#traffic.requests,
      inFlight: this.#traffic.inFlight.count(),
      rejected: this.#traffic.limits?.rejected ?? null,
      timedOut: this.#traffic.limits?.timedOut ?? null,
      connections: this.#traffic.connections.open.size,
      rss,
      heapUsed,
      loopDelayP99: delay.p99,
      loopDelayMax: delay.max,
      clock: performance.now(),
      loopUtilisation,
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
