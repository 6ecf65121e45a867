/** What is said of a worker, column by column, and the orders its rows can have. Nothing here touches the document. */
import type { WorkerStatus } from '../protocol/status.ts';
import { bytes, milliseconds, number, percent, rate, span } from './format.ts';
import type { Measure, SlotView } from './history.ts';

export interface Column {
  readonly name: string;
  readonly title: string;
  /** Said in full where there is room, and to screen readers. */
  readonly about: string;
  readonly text: (worker: WorkerStatus) => string;
  /** Its sparkline. */
  readonly measure?: Measure;
  /** Where it is left out first on narrow screens. */
  readonly minor?: true;
}

export const columns: readonly Column[] = [
  { name: 'slot', title: 'Slot', about: 'Place in the pool', text: ({ slot }) => String(slot) },
  {
    name: 'phase',
    title: 'Phase',
    about: 'booting, ready, draining or killed, and why',
    text: ({ phase, reason }) => (reason === null ? phase : `${phase}: ${reason}`),
  },
  { name: 'generation', title: 'Gen', about: 'Generation', text: ({ generation }) => String(generation) },
  { name: 'pid', title: 'PID', about: 'Process', text: ({ pid }) => String(pid ?? '-') },
  { name: 'age', title: 'Age', about: 'Time since it was started', text: ({ uptime }) => span(uptime) },
  {
    name: 'requests',
    title: 'Req/s',
    about: 'Requests per second',
    text: ({ requestsPerSecond }) => rate(requestsPerSecond),
    measure: 'requests',
  },
  {
    name: 'inFlight',
    title: 'In flight',
    about: 'Requests it is at, and its connections',
    text: ({ inFlight, connections }) => `${number(inFlight)} / ${number(connections)}`,
  },
  {
    name: 'latency',
    title: 'p50 / p99',
    about: 'Latency of its requests, median and 99th percentile',
    text: ({ latencyP50, latencyP99 }) =>
      latencyP50 === null && latencyP99 === null ? '-' : `${milliseconds(latencyP50)} / ${milliseconds(latencyP99)}`,
    measure: 'latency',
  },
  {
    name: 'delay',
    title: 'Loop delay',
    about: 'Event-loop delay, 99th percentile',
    text: ({ loopDelayP99 }) => milliseconds(loopDelayP99),
    measure: 'delay',
  },
  {
    name: 'utilisation',
    title: 'Loop',
    about: 'Event-loop utilisation',
    text: ({ loopUtilisation }) => percent(loopUtilisation),
  },
  { name: 'cpu', title: 'CPU', about: 'Cores in use', text: ({ cpu }) => number(cpu, 2), minor: true },
  {
    name: 'memory',
    title: 'RSS',
    about: 'Resident memory',
    text: ({ rss }) => bytes(rss),
    measure: 'memory',
  },
  {
    name: 'heap',
    title: 'Heap',
    about: 'JavaScript heap in use',
    text: ({ heapUsed }) => bytes(heapUsed),
    minor: true,
  },
  {
    name: 'restarts',
    title: 'Restarts',
    about: 'Workers this slot has had before',
    text: ({ restarts }) => String(restarts),
  },
];

type Compare = (a: SlotView, b: SlotView) => number;
const down =
  (value: (worker: WorkerStatus) => number): Compare =>
  (a, b) =>
    value(b.holder) - value(a.holder) || a.slot - b.slot;

/** The orders, by name; the first one is the one to begin with. Figures from the highest, as that is what is looked for. */
export const orders: Readonly<Record<string, readonly [title: string, compare: Compare]>> = {
  slot: ['slot', (a, b) => a.slot - b.slot],
  phase: ['phase', (a, b) => b.holder.phase.localeCompare(a.holder.phase) * -1 || a.slot - b.slot],
  generation: ['oldest generation', (a, b) => a.holder.generation - b.holder.generation || a.slot - b.slot],
  pid: ['PID', (a, b) => (a.holder.pid ?? 0) - (b.holder.pid ?? 0) || a.slot - b.slot],
  age: ['age', down(({ uptime }) => uptime)],
  requests: ['requests/s', down(({ requestsPerSecond }) => requestsPerSecond)],
  inFlight: ['in flight', down(({ inFlight }) => inFlight)],
  latency: ['latency p99', down(({ latencyP99 }) => latencyP99 ?? -1)],
  delay: ['loop delay', down(({ loopDelayP99 }) => loopDelayP99)],
  utilisation: ['loop utilisation', down(({ loopUtilisation }) => loopUtilisation)],
  cpu: ['CPU', down(({ cpu }) => cpu)],
  memory: ['RSS', down(({ rss }) => rss)],
  heap: ['heap', down(({ heapUsed }) => heapUsed)],
  restarts: ['restarts', down(({ restarts }) => restarts)],
};

type Keep = (view: SlotView, generation: number) => boolean;

export const filters: Readonly<Record<string, readonly [title: string, keep: Keep]>> = {
  all: ['all', () => true],
  unready: ['not ready', ({ holder, others }) => holder.phase !== 'ready' || others.length > 0],
  stale: ['older generations', ({ holder }, generation) => holder.generation < generation],
  busy: ['with requests', ({ holder }) => holder.inFlight > 0],
  restarted: ['restarted', ({ holder }) => holder.restarts > 0],
};
