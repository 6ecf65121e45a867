/** Who uses the service while the soak does things to it: all kinds of client, some of them behind slow lines. */
import { type Load, type LoadSpec, spawnLoad } from '../support/load/child.ts';
import { type Forwarder, spawnForwarder } from '../support/load/forwarder.ts';
import { type Group, type Report, total } from '../support/load/mix.ts';
import { Tally } from '../support/load/tally.ts';
import { freePort, type Target } from '../support/request.ts';

/** The ports of the fixture beside its own: see test/fixtures/load/further.cjs. */
export interface Ports {
  readonly http2: number;
  readonly further: { readonly tls: number; readonly http2Tls: number; readonly ws: number };
}

export async function findPorts(): Promise<Ports> {
  const further = { tls: await freePort(), http2Tls: await freePort(), ws: await freePort() };
  return { http2: await freePort(), further };
}

/** Milliseconds each way of the slow lines, drawn for each connection. */
const delay = [20, 150] as const;

/** A stuck worker is killed after its timeout and what its stack takes: nobody gives up before. */
const timeout = 20_000;

/** What a group is held to. */
export type Promised =
  /** No request fails, and there are no more connections than clients. */
  | 'nothing'
  /** No request fails; connections are the client's own choice. */
  | 'no failure'
  /** Connections that cannot move: some of their requests may cross with an end. */
  | 'few failures';

/** Where a slow line goes. */
type Place = 'plain' | 'tls' | 'http2Tls' | 'ws';

interface Row {
  readonly promised: Promised;
  readonly group: Group & { readonly name: string };
  /** Behind a slow line to this port. */
  readonly over?: Place;
  /** In the process whose event loop stands still now and then. */
  readonly stalls?: boolean;
}

const thinking = { kind: 'thinking', timeout, think: [400, 9_000] } as const;

function rows(plain: Target, { http2, further }: Ports): readonly Row[] {
  const tls = { port: further.tls, secure: true };
  const http2Tls = { port: further.http2Tls, secure: true };
  const ws = { port: further.ws };
  const nothing = (group: Row['group'], more: Partial<Row> = {}): Row => ({
    promised: 'nothing',
    group: { timeout, target: plain, ...group },
    ...more,
  });
  const noFailure = (group: Row['group']): Row => ({ ...nothing(group), promised: 'no failure' });
  const few = (group: Row['group'], more: Partial<Row> = {}): Row => ({
    promised: 'few failures',
    group: { timeout, ...group },
    ...more,
  });
  return [
    nothing({ name: 'keep-alive', kind: 'keep-alive', clients: 6, think: 4 }),
    nothing({ name: 'http.Agent, busy', kind: 'busy', clients: 2, think: 10 }),
    nothing({ name: 'http.Agent, idle', kind: 'idle', clients: 8 }),
    nothing({ name: 'fetch', kind: 'fetch', clients: 4 }),
    nothing({ name: 'POST, kept alive', kind: 'upload', clients: 2, think: 20 }),
    nothing({ name: 'pipelining', kind: 'pipelining', clients: 2 }),
    nothing({ name: 'slow head', kind: 'slow-head', clients: 2 }),
    nothing({ name: 'slow answer', kind: 'slow', clients: 4 }),
    nothing({ ...thinking, name: 'thinking', clients: 10 }),
    nothing({ ...thinking, name: 'thinking, slow line', clients: 40 }, { over: 'plain' }),
    nothing({ ...thinking, name: 'thinking, loop stalls', clients: 10 }, { stalls: true }),
    nothing({ ...thinking, name: 'thinking, loop stalls, slow line', clients: 20 }, { stalls: true, over: 'plain' }),
    noFailure({ name: 'connection per request', kind: 'fresh', clients: 3, think: 20 }),
    noFailure({ name: 'connection per POST', kind: 'fresh', clients: 1, think: 40, body: 16 * 1024 }),
    noFailure({ name: 'download', kind: 'download', clients: 2 }),
    noFailure({ name: 'server-sent events', kind: 'events', clients: 2, count: 40 }),
    // Of a protocol that prefork does not know: it waits for its end, until gracefulTimeout.
    noFailure({ name: 'upgraded', kind: 'websocket', clients: 2, count: 50 }),
    few({ name: 'TLS, kept alive', kind: 'keep-alive', clients: 4, think: 20, target: tls }),
    few({ ...thinking, name: 'TLS, thinking', clients: 10, target: tls }),
    few({ ...thinking, name: 'TLS, thinking, slow line', clients: 20 }, { over: 'tls' }),
    few({ name: 'HTTP/2', kind: 'http2', clients: 2, think: 20, target: { port: http2 } }),
    few({ name: 'HTTP/2 over TLS', kind: 'http2', clients: 2, think: 20, target: http2Tls }),
    few({ ...thinking, name: 'HTTP/2 over TLS, slow line', kind: 'http2', clients: 10 }, { over: 'http2Tls' }),
    few({ name: 'WebSocket', kind: 'ws', clients: 4, target: ws }),
    few({ name: 'WebSocket, slow line', kind: 'ws', clients: 4, think: [400, 2_000] }, { over: 'ws' }),
  ];
}

/** The slow lines, each in a process of its own. */
export class Lines {
  readonly #lines: Readonly<Record<Place, Forwarder>>;

  private constructor(lines: Readonly<Record<Place, Forwarder>>) {
    this.#lines = lines;
  }

  /** @param seed of the delays */
  static async start(plain: Target, { further }: Ports, seed: number): Promise<Lines> {
    const line = (to: Target, index: number): Promise<Forwarder> =>
      spawnForwarder({ to, there: delay, back: delay, seed: seed + index });
    const [first, tls, http2Tls, ws] = await Promise.all([
      line(plain, 0),
      line({ port: further.tls, secure: true }, 1),
      line({ port: further.http2Tls, secure: true }, 2),
      line({ port: further.ws }, 3),
    ]);
    return new Lines({ plain: first, tls, http2Tls, ws });
  }

  to(place: Place): Target {
    return this.#lines[place].target;
  }

  kill(): void {
    for (const line of Object.values(this.#lines)) line.kill();
  }
}

/** All clients, in two processes. */
export class Clients {
  readonly #rows: readonly Row[];
  readonly #loads: readonly Load[];

  private constructor(all: readonly Row[], loads: readonly Load[]) {
    this.#rows = all;
    this.#loads = loads;
  }

  /** Starts them; there are answers when this returns. */
  static async start(plain: Target, ports: Ports, lines: Lines): Promise<Clients> {
    const all = rows(plain, ports);
    const spec = (stalls: boolean): LoadSpec => ({
      target: plain,
      groups: all
        .filter((row) => (row.stalls ?? false) === stalls)
        .map(({ group, over }) => {
          const target = over === undefined ? group.target : lines.to(over);
          return target === undefined ? group : { ...group, target };
        }),
      ...(stalls ? { stall: { every: [700, 2_500] as const, lasts: 500 } } : {}),
    });
    const clients = new Clients(all, [spawnLoad(spec(false)), spawnLoad(spec(true))]);
    try {
      for (const load of clients.#loads) await load.answered(50, 60_000);
    } catch (error) {
      clients.kill();
      throw error;
    }
    return clients;
  }

  get progress(): { readonly sent: number; readonly answered: number; readonly failed: number } {
    const sum = (pick: (load: Load) => number): number => this.#loads.reduce((so, load) => so + pick(load), 0);
    return {
      sent: sum((load) => load.progress.sent),
      answered: sum((load) => load.progress.answered),
      failed: sum((load) => load.progress.failed),
    };
  }

  /** Lets the requests under way end. @returns the counts, by what was promised */
  async stop(): Promise<Reports> {
    for (const load of this.#loads) await load.further(50, 60_000);
    const reports = await Promise.all(this.#loads.map((load) => load.stop(120_000)));
    this.kill();
    const whole: Report = Object.assign({}, ...reports);
    const of = (promised: Promised): Report =>
      Object.fromEntries(
        this.#rows.flatMap((row) => {
          const counts = whole[row.group.name];
          return row.promised === promised && counts !== undefined ? [[row.group.name, counts]] : [];
        }),
      );
    return { nothing: of('nothing'), noFailure: of('no failure'), few: of('few failures') };
  }

  kill(): void {
    for (const load of this.#loads) load.kill();
  }
}

/** The counts of all groups, by what was promised to them. */
export interface Reports {
  readonly nothing: Report;
  readonly noFailure: Report;
  readonly few: Report;
}

/** What they have sent and got, all together. */
export function sum({ nothing, noFailure, few }: Reports): Tally {
  return [nothing, noFailure, few].reduce((all, report) => all.merge(total(report).toJSON()), new Tally());
}
