/** Several kinds of client at once, from a description that can cross to a child process. */
import type { Target } from '../request.ts';
import type { Budget, Client, ClientOptions } from './client.ts';
import { FetchClient } from './fetch.ts';
import { Http2Client } from './http2.ts';
import { FreshClient, KeepAliveClient, UploadClient } from './kinds.ts';
import { DownloadClient, EventsClient } from './streams.ts';
import { failureKinds, Tally, type TallyData } from './tally.ts';
import { UpgradeClient } from './upgrade.ts';
import { WebSocketClient } from './websocket.ts';
import { PipeliningClient, SlowHeadClient, WireKeepAliveClient } from './wire.ts';

/** Each is a class below; what it does without being told otherwise, in the defaults. */
export type Kind =
  | 'busy'
  | 'idle'
  | 'fresh'
  | 'slow'
  | 'download'
  | 'upload'
  | 'events'
  | 'websocket'
  | 'http2'
  // On bare sockets: see `wire.ts`.
  | 'keep-alive'
  | 'thinking'
  | 'pipelining'
  | 'slow-head'
  | 'fetch'
  // With the client of `ws`; `websocket` is a bare upgrade.
  | 'ws';

export interface Group extends ClientOptions {
  readonly kind: Kind;
  /** Clients of this kind. */
  readonly clients: number;
  /** Requests of all of them together; without it they go on until stopped. */
  readonly requests?: number;
  /** Where it goes, where that is not where the others go. */
  readonly target?: Target;
  /** The row in the table, where it is not the kind. */
  readonly name?: string;
}

export interface MixSpec {
  readonly target: Target;
  readonly groups: readonly Group[];
}

/** The counts of each group, by its name. */
export type Report = Readonly<Record<string, TallyData>>;

/** What each kind does where the group says nothing else. */
const defaults: Readonly<Record<Kind, ClientOptions>> = {
  busy: {},
  idle: { think: 60 },
  fresh: {},
  slow: { path: '/slow?ms=200' },
  download: {},
  upload: {},
  events: {},
  websocket: { think: 20 },
  http2: {},
  'keep-alive': {},
  thinking: { think: [400, 9_000], timeout: 20_000 },
  pipelining: { think: 20 },
  'slow-head': { think: 100 },
  fetch: { think: 60 },
  ws: { think: 200 },
};

const classes: Readonly<
  Record<Kind, new (target: Target, tally: Tally, options: ClientOptions, budget: Budget) => Client>
> = {
  busy: KeepAliveClient,
  idle: KeepAliveClient,
  fresh: FreshClient,
  slow: KeepAliveClient,
  download: DownloadClient,
  upload: UploadClient,
  events: EventsClient,
  websocket: UpgradeClient,
  http2: Http2Client,
  'keep-alive': WireKeepAliveClient,
  thinking: WireKeepAliveClient,
  pipelining: PipeliningClient,
  'slow-head': SlowHeadClient,
  fetch: FetchClient,
  ws: WebSocketClient,
};

/** The four kinds of client that every reload is held against. */
export const fourKinds: readonly Group[] = [
  { kind: 'busy', clients: 4 },
  { kind: 'idle', clients: 16 },
  { kind: 'fresh', clients: 4 },
  { kind: 'slow', clients: 8 },
];

export class Mix {
  readonly tallies = new Map<string, Tally>();
  readonly #clients: Client[] = [];

  constructor(spec: MixSpec) {
    for (const group of spec.groups) {
      const name = group.name ?? group.kind;
      const tally = this.tallies.get(name) ?? new Tally();
      this.tallies.set(name, tally);
      const budget = { left: group.requests ?? Number.POSITIVE_INFINITY };
      const options = { ...defaults[group.kind], ...group };
      tally.clients += group.clients;
      for (let index = 0; index < group.clients; index++) {
        this.#clients.push(new classes[group.kind](group.target ?? spec.target, tally, options, budget));
      }
    }
  }

  start(): this {
    for (const client of this.#clients) client.start();
    return this;
  }

  async stop(): Promise<Report> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    return this.report();
  }

  /** Resolves once every group has used up its requests. */
  async done(): Promise<Report> {
    await Promise.all(this.#clients.map((client) => client.done()));
    return this.report();
  }

  /** Labels the requests sent from now on, so that their latencies can be told apart. */
  set phase(phase: string) {
    for (const tally of this.tallies.values()) tally.phase = phase;
  }

  /** Cheap enough to be asked for often. */
  get progress(): { sent: number; answered: number; failed: number; pids: number[] } {
    const sum = { sent: 0, answered: 0, failed: 0 };
    const pids = new Set<number>();
    for (const tally of this.tallies.values()) {
      sum.sent += tally.sent;
      sum.answered += tally.answered;
      sum.failed += tally.failed;
      for (const pid of tally.pids.keys()) pids.add(Number(pid));
    }
    return { ...sum, pids: [...pids] };
  }

  report(): Report {
    return Object.fromEntries([...this.tallies].map(([name, tally]) => [name, tally.toJSON()]));
  }
}

/** All groups together. */
export function total(report: Report): Tally {
  const all = new Tally();
  for (const tally of Object.values(report)) all.merge(tally);
  return all;
}

/** The table of a run: a row per group, a column per kind of failure that occurred, connections opened beside clients. */
export function table(report: Report): string {
  const rows = [...Object.entries(report), ['total', total(report).toJSON()] as const];
  const seen = failureKinds.filter((failure) => (total(report).failures.get(failure) ?? 0) > 0);
  const retried = total(report).retried > 0 ? ['retried'] : [];
  const heads = [
    ...['kind', 'clients', 'opened', 'sent', 'answered', 'failed', ...seen, ...retried],
    ...['workers', 'p50 ms', 'p99 ms', 'max ms'],
  ];
  const cells = rows.map(([name, data]) => {
    const tally = new Tally().merge(data);
    const latency = tally.overall;
    return [
      name,
      String(tally.clients),
      String(tally.connections),
      String(tally.sent),
      String(tally.answered),
      String(tally.failed),
      ...seen.map((failure) => String(tally.failedAs(failure))),
      ...retried.map(() => String(tally.retried)),
      String(tally.pids.size),
      latency.quantile(0.5).toFixed(1),
      latency.quantile(0.99).toFixed(1),
      latency.max.toFixed(1),
    ];
  });
  const widths = heads.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  const details = total(report).details.map((detail) => `  ${detail}`);
  return [line(heads), ...cells.map(line), ...details].join('\n');
}
