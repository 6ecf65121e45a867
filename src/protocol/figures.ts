/**
 * What can be said of a worker, each thing once. The check of a heartbeat, the rows of the status, the columns of
 * `prefork workers`, of `prefork top` and of the page, and the gauges of `/metrics` are all made from this table, in its
 * order. A new figure is an entry here and its measurement in `worker/heartbeat.ts`.
 *
 * Data only, without imports of values: the page takes it into the browser.
 */
import type { Phase } from '../core/model.ts';

/**
 * What a value is, and of which type. It decides how the value is checked and how it is written for people.
 * `identifier` is a number that is not added up or compared in size, such as a pid; `bytes` are 0 until they are known;
 * a `share` is 0 to 1; `cores` are processors that were busy all the time, 1.5 is one and a half.
 */
interface TypeOfUnit {
  readonly identifier: number;
  readonly count: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly milliseconds: number;
  readonly bytes: number;
  readonly share: number;
  readonly cores: number;
  readonly phase: Phase['name'];
  readonly reason: string;
}

export type Unit = keyof TypeOfUnit;

/** An entry of the table. A view that has no part in it does not show the figure. */
export interface Figure {
  /** What it is, in half a sentence. */
  readonly doc: string;
  readonly unit: Unit;
  /** `worker`: measured in the worker and sent with its heartbeat. `master`: known without asking the worker. */
  readonly from: 'worker' | 'master';
  /** The value is `null` if there is nothing to say. */
  readonly nullable?: true;
  /** Decimal places that the status keeps; all of them without it. */
  readonly digits?: number;
  /** Sent by the worker, and not shown to operators. */
  readonly inStatus?: false;
  /** How rows are sorted by it at first; without it from the largest to the smallest. */
  readonly order?: 'ascending';
  /** Title of its column in `prefork workers` and `prefork status`. */
  readonly workers?: string;
  /** Its column in `prefork top`. */
  readonly top?: {
    readonly title: string;
    /** Cells, the mark of the sort column included. */
    readonly width: number;
    /** The column with the highest rank is the first to go if the terminal is narrow. */
    readonly rank: number;
  };
  /** Its column on the page. */
  readonly page?: {
    readonly title: string;
    /** Its name in the list of orders. */
    readonly sort: string;
    /** The tooltip; `doc` without it. */
    readonly about?: string;
    /** Names of the figures that the cell shows, separated by slashes; the figure itself without it. */
    readonly shows?: readonly string[];
    /** It has a sparkline: of the time in which the worker can serve, or of all its life. */
    readonly spark?: 'serving' | 'living';
    /** It is left out first on a narrow screen. */
    readonly minor?: true;
  };
  /** Its gauge in `/metrics`: a sample for each slot, or the sum over all workers. Times are in seconds there. */
  readonly gauge?: { readonly name: string; readonly help: string; readonly per: 'slot' | 'service' };
}

export type FigureTable = Readonly<Record<string, Figure>>;

/** A row of the status as any view reads it: values by the figure's name. */
export type Row = Readonly<Record<string, string | number | null>>;

export type ValueOf<E extends Figure> = TypeOfUnit[E['unit']] | (E extends { readonly nullable: true } ? null : never);

export const figures = {
  /** `null` for a spare. */
  slot: {
    doc: 'Place in the pool',
    unit: 'identifier',
    from: 'master',
    nullable: true,
    order: 'ascending',
    workers: 'slot',
    top: { title: 'slot', width: 5, rank: 0 },
    page: { title: 'Slot', sort: 'slot' },
  },
  /** Unique in the master's life. */
  id: { doc: 'Number of the worker, counted from the start of the master', unit: 'identifier', from: 'master' },
  /** `null` until the process exists. */
  pid: {
    doc: 'Process',
    unit: 'identifier',
    from: 'master',
    nullable: true,
    order: 'ascending',
    workers: 'pid',
    top: { title: 'pid', width: 8, rank: 1 },
    page: { title: 'PID', sort: 'PID' },
  },
  generation: {
    doc: 'Generation',
    unit: 'identifier',
    from: 'master',
    order: 'ascending',
    workers: 'gen',
    top: { title: 'gen', width: 4, rank: 6 },
    page: { title: 'Gen', sort: 'oldest generation' },
    gauge: { name: 'prefork_worker_generation', help: 'Generation of the worker', per: 'slot' },
  },
  phase: {
    doc: 'booting, spare, joining, ready, draining or killed, and why',
    unit: 'phase',
    from: 'master',
    order: 'ascending',
    workers: 'phase',
    top: { title: 'phase', width: 9, rank: 2 },
    page: { title: 'Phase', sort: 'phase' },
  },
  /** Shown beside the phase; `null` while the worker neither leaves nor is killed. */
  reason: { doc: 'Why it leaves or is killed', unit: 'reason', from: 'master', nullable: true },
  /** Seconds. */
  uptime: {
    doc: 'Time since it was started',
    unit: 'seconds',
    from: 'master',
    workers: 'age',
    top: { title: 'age', width: 7, rank: 5 },
    page: { title: 'Age', sort: 'age' },
    gauge: { name: 'prefork_worker_uptime_seconds', help: 'Age of the worker', per: 'slot' },
  },
  /** Seconds. */
  heartbeatAge: {
    doc: 'Time since its last heartbeat',
    unit: 'seconds',
    from: 'master',
    gauge: { name: 'prefork_worker_heartbeat_age_seconds', help: 'Time since the last heartbeat', per: 'slot' },
  },
  requests: { doc: 'Requests served in its life', unit: 'count', from: 'worker', workers: 'requests' },
  /** Over the last few heartbeats. */
  requestsPerSecond: {
    doc: 'Requests per second',
    unit: 'perSecond',
    from: 'master',
    workers: 'req/s',
    top: { title: 'req/s', width: 7, rank: 3 },
    page: { title: 'Req/s', sort: 'requests/s', spark: 'serving' },
  },
  inFlight: {
    doc: 'Requests under way',
    unit: 'count',
    from: 'worker',
    workers: 'in flight',
    top: { title: 'in flight', width: 10, rank: 4 },
    page: {
      title: 'In flight',
      sort: 'in flight',
      about: 'Requests under way, and open connections',
      shows: ['inFlight', 'connections'],
    },
    gauge: { name: 'http_active_requests', help: 'Requests under way', per: 'service' },
  },
  /** In its life, by `maxInFlight` or `maxLoopDelay`; `null` if there is no such limit. */
  rejected: { doc: 'Requests turned away with 503', unit: 'count', from: 'worker', nullable: true },
  /** In its life, by `requestTimeout`; `null` if there is none. */
  timedOut: { doc: 'Requests answered with 504', unit: 'count', from: 'worker', nullable: true },
  connections: {
    doc: 'Open connections',
    unit: 'count',
    from: 'worker',
    workers: 'conns',
    gauge: { name: 'http_open_connections', help: 'Connections open', per: 'service' },
  },
  /** Milliseconds, over the last ten seconds; `null` if no request ended in them, or if they are not measured. */
  latencyP50: {
    doc: 'Latency of its requests, median',
    unit: 'milliseconds',
    from: 'worker',
    nullable: true,
    digits: 2,
    top: { title: 'p50', width: 7, rank: 13 },
  },
  /** Milliseconds, as {@link figures.latencyP50}. */
  latencyP99: {
    doc: 'Latency of its requests, 99th percentile',
    unit: 'milliseconds',
    from: 'worker',
    nullable: true,
    digits: 2,
    top: { title: 'p99', width: 7, rank: 7 },
    page: {
      title: 'p50 / p99',
      sort: 'latency p99',
      about: 'Latency of its requests, median and 99th percentile',
      shows: ['latencyP50', 'latencyP99'],
      spark: 'living',
    },
  },
  /** Milliseconds, since the heartbeat before. */
  loopDelayP99: {
    doc: 'Event-loop delay, 99th percentile',
    unit: 'milliseconds',
    from: 'worker',
    digits: 1,
    workers: 'loop p99',
    top: { title: 'delay', width: 7, rank: 9 },
    page: { title: 'Loop delay', sort: 'loop delay', spark: 'serving' },
    gauge: {
      name: 'prefork_worker_event_loop_delay_seconds',
      help: '99th percentile of the last beat',
      per: 'slot',
    },
  },
  /** Milliseconds, since the heartbeat before. */
  loopDelayMax: { doc: 'Event-loop delay, maximum', unit: 'milliseconds', from: 'worker', inStatus: false },
  /** Milliseconds of its own running time when the figures were taken: what is counted per second is, by this clock. */
  clock: { doc: 'Its own monotonic clock', unit: 'milliseconds', from: 'worker', nullable: true, inStatus: false },
  /** 0 to 1, since the heartbeat before. */
  loopUtilisation: {
    doc: 'Event-loop utilisation',
    unit: 'share',
    from: 'worker',
    digits: 3,
    workers: 'loop',
    top: { title: 'loop', width: 5, rank: 10 },
    page: { title: 'Loop', sort: 'loop utilisation' },
    gauge: { name: 'prefork_worker_event_loop_utilisation', help: 'Share of the last beat, 0 to 1', per: 'slot' },
  },
  /** Processor time since the heartbeat before: 1 is one processor that was busy all the time. */
  cpu: {
    doc: 'Processor time, of one processor',
    unit: 'cores',
    from: 'worker',
    digits: 3,
    top: { title: 'cpu', width: 5, rank: 8 },
    page: { title: 'CPU', sort: 'CPU', minor: true },
    gauge: { name: 'prefork_worker_cpu_cores', help: 'Processors in use', per: 'slot' },
  },
  /** Bytes; 0 until the first heartbeat. */
  rss: {
    doc: 'Resident memory',
    unit: 'bytes',
    from: 'worker',
    workers: 'rss',
    top: { title: 'rss', width: 7, rank: 11 },
    page: { title: 'RSS', sort: 'RSS', spark: 'living' },
    gauge: { name: 'prefork_worker_resident_memory_bytes', help: 'Resident set size', per: 'slot' },
  },
  /** Bytes; 0 until the first heartbeat. */
  heapUsed: {
    doc: 'JavaScript heap in use',
    unit: 'bytes',
    from: 'worker',
    workers: 'heap',
    top: { title: 'heap', width: 7, rank: 14 },
    page: { title: 'Heap', sort: 'heap', minor: true },
    gauge: { name: 'prefork_worker_heap_used_bytes', help: 'V8 heap in use', per: 'slot' },
  },
  /** Times the slot got a new worker because the one before was gone. */
  restarts: {
    doc: 'Workers this slot has had before',
    unit: 'count',
    from: 'master',
    workers: 'restarts',
    top: { title: 'restarts', width: 9, rank: 12 },
    page: { title: 'Restarts', sort: 'restarts' },
  },
} as const satisfies FigureTable;

type Table = typeof figures;

/** What a worker sends of itself in a heartbeat. */
export type WorkerFigures = {
  readonly [K in keyof Table as Table[K] extends { readonly from: 'worker' } ? K : never]: ValueOf<Table[K]>;
};

/** What the master knows of a worker without asking it. */
export type WorkerFacts = {
  readonly [K in keyof Table as Table[K] extends { readonly from: 'master' } ? K : never]: ValueOf<Table[K]>;
};

/** A worker as `GET /status` shows it. */
export type WorkerStatus = {
  readonly [K in keyof Table as Table[K] extends { readonly inStatus: false } ? never : K]: ValueOf<Table[K]>;
};
