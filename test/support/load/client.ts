/** The base of every load client: a loop of requests that can be stopped without leaving one behind. */
import http from 'node:http';
import https from 'node:https';
import { addressOf, type Target } from '../request.ts';
import { whenLate } from '../slowness.ts';
import { pause } from '../until.ts';
import type { Failure, Tally, Who } from './tally.ts';

/** What a client may be told; each kind uses its part. */
export interface ClientOptions {
  readonly path?: string;
  /** Pause between requests, milliseconds: uniform in [0, think], or in the range. */
  readonly think?: number | readonly [least: number, most: number];
  /** Bytes of a request's body. */
  readonly body?: number;
  /** Milliseconds after which the client gives up; more on a slow machine. */
  readonly timeout?: number;
  /** Events, messages or chunks per request, or requests at once, where the kind has such. */
  readonly count?: number;
}

/** How many requests may still be sent, shared by the clients of one kind. */
export interface Budget {
  left: number;
}

export abstract class Client {
  protected readonly target: Target;
  protected readonly tally: Tally;
  protected readonly options: ClientOptions;
  readonly #budget: Budget;
  #stopping = false;
  #wake: () => void = () => undefined;
  #loop: Promise<void> | null = null;

  constructor(target: Target, tally: Tally, options: ClientOptions, budget: Budget) {
    this.target = target;
    this.tally = tally;
    this.options = options;
    this.#budget = budget;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Sends no further request; resolves once the last one has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    this.interrupt();
    await this.#loop;
  }

  /** Resolves when the budget is used up. */
  async done(): Promise<void> {
    await this.#loop;
  }

  /** One request from beginning to end, counted in the tally. True where it went well. */
  protected abstract once(): Promise<boolean>;

  /** Gives up what would go on for ever by itself. */
  protected interrupt(): void {}

  /** Lets go of connections. */
  protected async close(): Promise<void> {}

  /** A client that thinks for seconds is not waited for when all are to stop. */
  async #think(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#stopping) this.#wake();
    });
    this.#wake = () => undefined;
  }

  protected get stopping(): boolean {
    return this.#stopping;
  }

  protected get timeout(): number {
    return this.options.timeout ?? 10_000;
  }

  async #run(): Promise<void> {
    const think = this.options.think ?? 0;
    const [least, most] = typeof think === 'number' ? [0, think] : think;
    while (!this.#stopping && this.#budget.left > 0) {
      this.#budget.left--;
      const good = await this.once();
      if (!good) await pause(10);
      else if (most > 0) await this.#think(least + Math.random() * (most - least));
    }
    await this.close();
  }
}

/** One HTTP exchange as a load client does it. */
export interface Exchange {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly agent?: http.Agent;
  readonly timeout: number;
  /** Looks at a complete 200; tells who answered, or `null` where the body is wrong. */
  readonly check: (body: Buffer) => Who | null;
}

/** The worker at the other end of a connection, as its last answer said. */
const servedBy = new WeakMap<object, number>();

/** Does an exchange and counts it. Node's agents never retry; a reused connection that fails is a failure. */
export function exchange(target: Target, tally: Tally, call: Exchange): Promise<boolean> {
  const ticket = tally.begin();
  return new Promise((resolve) => {
    let settled = false;
    let gotHead = false;
    let gaveUp = false;
    let connection: object | null = null;
    const fail = (failure: Failure, detail: string): void => {
      if (settled) return;
      settled = true;
      cancel();
      tally.fail(ticket, failure, `${call.path}: ${detail}`);
      req.destroy();
      resolve(false);
    };
    const broken = (error: NodeJS.ErrnoException): void => {
      const last = connection === null ? undefined : servedBy.get(connection);
      const reused = req.reusedSocket ? ` on a reused connection of worker ${last ?? 'unknown'}` : '';
      fail(gaveUp ? 'client-timeout' : classify(error, gotHead), `${error.code ?? ''} ${error.message}${reused}`);
    };
    const settings = {
      ...addressOf(target),
      path: call.path,
      method: call.method ?? 'GET',
      headers: { ...call.headers },
      agent: call.agent ?? false,
      rejectUnauthorized: false,
    };
    const req = target.secure === true ? https.request(settings) : http.request(settings);
    const cancel = whenLate(call.timeout, () => {
      gaveUp = true;
      fail('client-timeout', `${call.timeout} ms`);
    });
    req.on('socket', (socket) => {
      connection = socket;
      if (!req.reusedSocket) tally.connections++;
    });
    req.on('error', broken);
    req.on('response', (res) => {
      gotHead = true;
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', broken);
      res.on('close', () => {
        if (!res.complete) fail('reset-mid-body', `closed after ${Buffer.concat(chunks).length} bytes`);
      });
      res.on('end', () => {
        if (settled) return;
        const status = res.statusCode ?? 0;
        const body = Buffer.concat(chunks);
        if (status >= 500) return fail('http-5xx', `${status} ${body.toString().slice(0, 200)}`);
        if (status !== 200) return fail('other', `${status} ${body.toString().slice(0, 200)}`);
        const who = call.check(body);
        if (who === null) return fail('wrong-body', body.toString('latin1').slice(0, 200));
        settled = true;
        cancel();
        if (who.pid !== undefined && connection !== null) servedBy.set(connection, who.pid);
        tally.answer(ticket, who);
        resolve(true);
      });
    });
    req.end(call.body);
  });
}

/** Names what a broken connection was. */
export function classify(error: NodeJS.ErrnoException, gotHead: boolean): Failure {
  switch (error.code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
    // A unix socket whose backlog is full.
    case 'EAGAIN':
      return 'refused';
    case 'ECONNRESET':
    case 'EPIPE':
    // As fetch names an end that comes instead of an answer.
    case 'UND_ERR_SOCKET':
      return gotHead ? 'reset-mid-body' : 'reset-before-byte';
    default:
      return 'other';
  }
}

/** Reads a JSON answer that says which worker it is from. */
export function whoIn(body: Buffer): (Who & { readonly fields: Readonly<Record<string, unknown>> }) | null {
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value !== 'object' || value === null) return null;
    const fields = value as Record<string, unknown>;
    if (typeof fields.pid !== 'number') return null;
    const version = fields.version;
    return { fields, pid: fields.pid, ...(typeof version === 'string' ? { version } : {}) };
  } catch {
    return null;
  }
}

let lastId = 0;

/** A path, and what its answer must be. */
export interface Tagged {
  readonly path: string;
  /** Tells who answered, or `null` where the body is wrong. */
  readonly check: (body: Buffer) => Who | null;
}

/** Adds an id that the one-file fixture gives back, so that an answer to another request is seen for what it is. */
export function tagged(path: string): Tagged {
  const id = String(++lastId);
  return {
    path: `${path}${path.includes('?') ? '&' : '?'}id=${id}`,
    check: (body) => {
      const who = whoIn(body);
      if (who === null) return null;
      // Apps other than the fixture do not know ids.
      return who.fields.id === undefined || who.fields.id === id ? who : null;
    },
  };
}
