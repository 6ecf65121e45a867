/**
 * Many keep-alive connections in a process of its own: opened one after the other, left alone, and used again. Each does
 * what a plain client does: it opens a new connection only if the server has closed the one before.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Histogram } from '../../test/support/load/histogram.ts';

export interface KeptOrder {
  readonly port: number;
  readonly connections: number;
  /** Milliseconds between the opening of one and of the next. */
  readonly apart: number;
  readonly path: string;
}

/** What a round of requests came to. */
export interface KeptReport {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  /** Connections that the server had closed while they were idle, and that a request needed again. */
  readonly reopened: number;
  /** Answers by the process that gave them. */
  readonly pids: Readonly<Record<string, number>>;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

type Order =
  | ({ readonly type: 'open' } & KeptOrder)
  /** Requests for so many seconds, each after up to so many milliseconds of thought. */
  | { readonly type: 'talk'; readonly seconds: number; readonly think: number }
  /** One request on each. */
  | { readonly type: 'ask' }
  /** What is asked for from now on. */
  | { readonly type: 'path'; readonly path: string };

const entry = fileURLToPath(import.meta.url);

/** The parent's side. */
export class Kept {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves once each connection has had an answer. */
  static async open(order: KeptOrder): Promise<Kept> {
    const kept = new Kept(fork(entry, { execArgv: ['--import', 'tsx'] }));
    await kept.#order({ type: 'open', ...order });
    return kept;
  }

  talk(seconds: number, think: number): Promise<KeptReport> {
    return this.#order({ type: 'talk', seconds, think });
  }

  ask(): Promise<KeptReport> {
    return this.#order({ type: 'ask' });
  }

  path(path: string): void {
    this.#child.send({ type: 'path', path } satisfies Order);
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  async #order(order: Order): Promise<KeptReport> {
    this.#child.send(order);
    const answer: unknown = await Promise.race([
      once(this.#child, 'message').then(([report]: unknown[]) => report),
      once(this.#child, 'exit').then(([code, signal]: unknown[]) => {
        throw new Error(`the client of kept connections exited with ${String(signal ?? code)}`);
      }),
    ]);
    return answer as KeptReport;
  }
}

/** Milliseconds after which a client gives up. */
const patience = 30_000;

type Result = 'answered' | 'failed';

class Connection {
  readonly #order: KeptOrder;
  readonly #tally: Counts;
  #socket: net.Socket | null = null;
  #text = '';
  #settle: ((result: Result) => void) | null = null;
  #used = false;

  constructor(order: KeptOrder, tally: Counts) {
    this.#order = order;
    this.#tally = tally;
  }

  async request(): Promise<Result> {
    const startedAt = performance.now();
    this.#tally.sent++;
    const socket = this.#socket ?? this.#connect();
    const result = await new Promise<Result>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), patience);
      this.#settle = (how) => {
        clearTimeout(timer);
        this.#settle = null;
        resolve(how);
      };
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    });
    if (result === 'failed') this.#tally.failed++;
    else {
      this.#tally.answered++;
      this.#tally.latency.add(performance.now() - startedAt);
    }
    return result;
  }

  #connect(): net.Socket {
    if (this.#used) this.#tally.reopened++;
    this.#used = true;
    this.#text = '';
    const socket = net.connect(this.#order.port, '127.0.0.1');
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (chunk: string) => this.#read(socket, chunk));
    // What has ended or failed is closed by itself: nothing is half open here.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#settle?.('failed');
    });
    socket.on('end', () => {
      // An idle connection that has ended is not used again; one with a request on its way fails in 'close'.
      if (this.#settle === null && this.#socket === socket) this.#socket = null;
    });
    return socket;
  }

  #read(socket: net.Socket, chunk: string): void {
    this.#text += chunk;
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#text.slice(0, end).toLowerCase();
    const length = Number(/content-length: *(\d+)/.exec(head)?.[1] ?? 0);
    const body = this.#text.slice(end + 4);
    if (body.length < length) return;
    this.#text = '';
    if (/connection: *close/.test(head)) {
      this.#socket = null;
      socket.destroy();
    }
    const pid = /"pid": *(\d+)/.exec(body)?.[1];
    if (pid !== undefined) this.#tally.pids.set(pid, (this.#tally.pids.get(pid) ?? 0) + 1);
    this.#settle?.(head.startsWith('http/1.1 200') ? 'answered' : 'failed');
  }
}

class Counts {
  sent = 0;
  answered = 0;
  failed = 0;
  reopened = 0;
  pids = new Map<string, number>();
  latency = new Histogram();

  /** What has been counted; counting begins anew. */
  take(): KeptReport {
    const { sent, answered, failed, reopened, pids, latency } = this;
    const [p50, p99] = [latency.quantile(0.5), latency.quantile(0.99)];
    Object.assign(this, new Counts());
    return { sent, answered, failed, reopened, pids: Object.fromEntries(pids), p50, p99 };
  }
}

const counts = new Counts();
let connections: readonly Connection[] = [];
let path = '/';

async function obey(order: Order): Promise<void> {
  switch (order.type) {
    case 'path':
      path = order.path;
      return;
    case 'open': {
      path = order.path;
      connections = Array.from({ length: order.connections }, () => new Connection(order, counts));
      // By the clock: timers of a few milliseconds are late, and lateness adds up.
      const startedAt = performance.now();
      await Promise.all(
        connections.map(async (connection, index) => {
          await sleep(Math.max(0, startedAt + index * order.apart - performance.now()));
          await connection.request();
        }),
      );
      return;
    }
    case 'talk': {
      const end = performance.now() + order.seconds * 1000;
      await Promise.all(
        connections.map(async (connection) => {
          for (;;) {
            const wait = Math.random() * order.think;
            if (performance.now() + wait >= end) return;
            await sleep(wait);
            await connection.request();
          }
        }),
      );
      return;
    }
    case 'ask':
      // A few hundred at a time: what is measured is whether they are answered, not how a burst is.
      for (let first = 0; first < connections.length; first += 200) {
        await Promise.all(connections.slice(first, first + 200).map((each) => each.request()));
      }
  }
}

if (process.argv[1] === entry) {
  process.on('message', (order: Order) => {
    void obey(order).then(() => {
      if (order.type !== 'path') process.send?.(counts.take());
    });
  });
  process.on('disconnect', () => process.exit());
}
