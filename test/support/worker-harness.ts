/** A master reduced to what a worker needs of one: sockets, a fork as the real one makes it, and ears. */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { afterEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Address } from '../../src/config/address.ts';
import { plainSettings, settingsFor } from '../../src/config/settings.ts';
import { WorkerChannel } from '../../src/master/workers/channel.ts';
import { type BootInfo, bootVariable, type MasterMessage, type WorkerMessage } from '../../src/protocol/messages.ts';
import { bindDatagramHandle, bindHandle, type Handle, handleAddress } from '../../src/system/node-internals.ts';
import { isAlive } from './proc.ts';
import { until } from './until.ts';

export interface WorkerOptions {
  /** A path under test/fixtures, or an absolute one. */
  readonly app: string;
  readonly exportName?: string;
  /** Port 0 is replaced by one that is free. */
  readonly bind?: readonly Address[];
  readonly defaultBind?: Address;
  readonly linger?: number;
  readonly gracefulTimeout?: number;
  /** Kernel queues of each TCP listener. */
  readonly queues?: number;
  readonly nodeArgs?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** What a worker sends, by its type. */
export type Message<T extends WorkerMessage['type']> = Extract<WorkerMessage, { type: T }>;

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

interface Listener {
  readonly key: string;
  readonly handles: readonly Handle[];
}

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
export const loopback: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 };

/** One worker under test, and its sockets. */
export class WorkerUnderTest {
  readonly messages: WorkerMessage[] = [];
  /** What the worker did that breaks the protocol. */
  readonly offences: string[] = [];
  output = '';
  exit: Exit | null = null;
  readonly #options: WorkerOptions;
  readonly #listeners = new Map<string, Listener>();
  readonly #worker: Worker;
  readonly #channel: WorkerChannel;
  readonly #datagrams = new Map<number, Handle>();
  #refusals = new Map<number, number>();

  /** Starts a worker without waiting for anything. */
  constructor(options: WorkerOptions) {
    this.#options = options;
    const { app, exportName = null, nodeArgs = [], args = [], env = {} } = options;
    const path = app.startsWith('/') ? app : fromRoot(`test/fixtures/${app}`);
    const boot: BootInfo = {
      id: 1,
      slot: 3,
      generation: 1,
      settings: settingsFor('worker', {
        ...plainSettings(new Map()),
        name: 'test',
        app: { given: app, path, named: path, exportName },
        bind: options.bind ?? [],
        drainLinger: options.linger ?? 400,
        replaceLinger: options.linger ?? 400,
        keepAlive: 0,
        health: null,
        gracefulTimeout: options.gracefulTimeout ?? 3_000,
      }),
      defaultBind: options.defaultBind ?? loopback,
      heartbeat: 100,
      metrics: null,
      queue: null,
      accessLog: null,
      compileCache: null,
      hooks: {},
    };
    cluster.setupPrimary({
      exec: exportName === null ? path : fromRoot('dist/worker/loading/host.js'),
      args: [...args],
      execArgv: [
        ...(nodeArgs[0] === '--import' ? [] : nodeArgs),
        '--require',
        fromRoot('dist/worker/agent.cjs'),
        ...(nodeArgs[0] === '--import' ? nodeArgs : []),
      ],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe'],
      serialization: 'json',
    });
    // Nothing of the test runner's own.
    const unset = Object.fromEntries(
      Object.keys(process.env)
        .filter((name) => name.startsWith('NODE_'))
        .map((name) => [name, undefined]),
    );
    this.#worker = cluster.fork({ ...unset, ...env, [bootVariable]: JSON.stringify(boot) });
    const child = this.#worker.process;
    this.#channel = new WorkerChannel(child, {
      onMessage: (message) => this.#receive(message),
      onOffence: (reason) => this.offences.push(reason),
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    child.on('exit', (code, signal) => {
      // What it said last is heard first.
      void this.#channel.ended.then(() => {
        this.exit = { code, signal };
        this.#channel.close();
      });
    });
  }

  get pid(): number {
    return this.#worker.process.pid ?? -1;
  }

  /** The port of the first listener, or of the one with this key. */
  port(key?: string): number {
    const listener = key === undefined ? [...this.#listeners.values()][0] : this.#listeners.get(key);
    const [handle] = listener?.handles ?? [];
    const port = handle === undefined ? undefined : handleAddress(handle)?.port;
    if (port === undefined) throw new Error(`no listener ${key ?? ''} among ${[...this.#listeners.keys()].join(', ')}`);
    return port;
  }

  get listenerKeys(): string[] {
    return [...this.#listeners.keys()];
  }

  handles(key: string): readonly Handle[] {
    return this.#listeners.get(key)?.handles ?? [];
  }

  all<T extends WorkerMessage['type']>(type: T): Message<T>[] {
    return this.messages.filter((message): message is Message<T> => message.type === type);
  }

  /** Waits for a message of a type. */
  async waitFor<T extends WorkerMessage['type']>(type: T, within = 10_000): Promise<Message<T>> {
    return await until(`the message ${type}`, () => this.all(type).at(-1), {
      within,
      abort: () => (this.exit === null || type === 'failed' ? null : `the worker has ended: ${this.#story()}`),
    });
  }

  async waitExit(within = 10_000): Promise<Exit> {
    return await until('the exit of the worker', () => this.exit, { within });
  }

  /** Answers the next listens on this port with an error. */
  refuse(port: number, errno: number): void {
    this.#refusals.set(port, errno);
  }

  send(message: MasterMessage, handle?: Handle): void {
    this.#channel.send(message, handle);
  }

  drain(
    order: Partial<{
      within: number;
      linger: number;
      quick: boolean;
      awaited: boolean;
      last: boolean;
      dropped: readonly string[];
    }> = {},
  ): void {
    const { linger = 400, gracefulTimeout = 3_000 } = this.#options;
    this.send({
      type: 'drain',
      within: gracefulTimeout,
      linger,
      quick: false,
      awaited: true,
      last: false,
      dropped: [],
      ...order,
      reject: false,
    });
  }

  /** A message for the app, as if its parent was another. */
  sendForeign(message: object): void {
    this.#worker.process.send?.(message, undefined, {}, () => {});
  }

  /** Nobody reads any more what the worker prints. */
  closeOutput(): void {
    this.#worker.process.stdout?.destroy();
    this.#worker.process.stderr?.destroy();
  }

  kill(signal: NodeJS.Signals): void {
    this.#worker.process.kill(signal);
  }

  /** As when the master dies. */
  disconnect(): void {
    this.#worker.process.disconnect();
  }

  /** Ends the worker however it is, and closes the sockets. For `after` hooks. */
  async stop(): Promise<void> {
    if (this.exit === null && isAlive(this.pid)) {
      const exited = once(this.#worker.process, 'exit');
      this.#worker.process.kill('SIGKILL');
      await exited;
    }
    for (const { handles } of this.#listeners.values()) for (const handle of handles) handle.close();
    this.#listeners.clear();
    for (const handle of this.#datagrams.values()) handle.close();
    this.#datagrams.clear();
  }

  #story(): string {
    return `${JSON.stringify(this.exit)} ${JSON.stringify(this.messages.slice(-3))}\n${this.output}`;
  }

  #receive(message: WorkerMessage): void {
    this.messages.push(message);
    if (message.type === 'listen') this.#answer(message);
    if (message.type === 'unlisten') this.send({ type: 'unlistened', listener: message.listener });
    if (message.type === 'bind') this.#bind(message);
    if (message.type === 'unbind') {
      this.#datagrams.get(message.seq)?.close();
      this.#datagrams.delete(message.seq);
    }
  }

  #bind({ seq, query: { address, port, family, flags } }: Message<'bind'>): void {
    const refusal = this.#refusals.get(port);
    const handle = refusal ?? bindDatagramHandle(address ?? '', port, family, flags);
    if (typeof handle === 'number') {
      this.send({ type: 'unbindable', seq, errno: handle });
      return;
    }
    this.#datagrams.set(seq, handle);
    this.send({ type: 'bound', seq }, handle);
  }

  #answer({ seq, bound, query, ordinal }: Message<'listen'>): void {
    const refusal = this.#refusals.get(query.port ?? -1);
    if (refusal !== undefined) {
      this.send({ type: 'refused', seq, errno: refusal });
      return;
    }
    const { bind = [] } = this.#options;
    const addresses: Address[] = bound ? [...bind] : [queryAddress(query)];
    const found = addresses.map((address, index) => this.#open(address, bound ? index : ordinal));
    const failed = found.find((listener) => typeof listener === 'number');
    if (typeof failed === 'number') {
      this.send({ type: 'refused', seq, errno: failed });
      return;
    }
    const listeners = found.filter((listener) => typeof listener !== 'number');
    const count = listeners.reduce((sum, { handles }) => sum + handles.length, 0);
    for (const { key, handles } of listeners) {
      for (const [queue, handle] of handles.entries()) {
        this.send({ type: 'grant', seq, listener: key, queue, count, backlog: 128 }, handle);
      }
    }
  }

  #open(address: Address, ordinal: number): Listener | number {
    const key = address.kind === 'tcp' && address.port === 0 ? `${address.host}:0#${ordinal}` : keyOf(address);
    const known = this.#listeners.get(key);
    if (known !== undefined) return known;
    const handles: Handle[] = [];
    // Further queues are sockets of their own, each on a port of its own: enough to see who accepts from what.
    for (let queue = 0; queue < (this.#options.queues ?? 1); queue++) {
      const handle = bindAddress(address, queue);
      if (typeof handle === 'number') return handle;
      handles.push(handle);
    }
    const listener = { key, handles };
    this.#listeners.set(key, listener);
    return listener;
  }
}

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const undo of cleanups.splice(0).reverse()) await undo();
});

/** Does something at the end of the test that runs, the latest first. */
export function cleanup(undo: () => unknown): void {
  cleanups.push(undo);
}

/** Starts a worker without waiting for anything, and stops it at the end of the test. */
export function spawn(options: WorkerOptions): WorkerUnderTest {
  const worker = new WorkerUnderTest(options);
  cleanup(() => worker.stop());
  return worker;
}

/** Starts a worker, waits until it is ready, and stops it at the end of the test. */
export async function start(options: WorkerOptions): Promise<WorkerUnderTest> {
  const worker = spawn(options);
  await worker.waitFor('ready');
  return worker;
}

/** The exit of a worker that has drained. */
export const gone: Exit = { code: 0, signal: null };

function keyOf(address: Address): string {
  switch (address.kind) {
    case 'tcp':
      return `${address.host}:${address.port}`;
    case 'unix':
      return address.path;
    case 'fd':
      return `fd ${address.fd}`;
  }
}

function queryAddress(query: Message<'listen'>['query']): Address {
  if (query.fd !== null) return { kind: 'fd', fd: query.fd };
  if (query.addressType === -1) return { kind: 'unix', path: query.address ?? '' };
  return { kind: 'tcp', host: query.address ?? '0.0.0.0', port: query.port ?? 0 };
}

function bindAddress(address: Address, queue: number): Handle | number {
  switch (address.kind) {
    case 'tcp':
      return bindHandle(address.host, queue === 0 ? address.port : 0, address.host.includes(':') ? 6 : 4, null, 0);
    case 'unix':
      return bindHandle(address.path, -1, -1, null, 0);
    case 'fd':
      return bindHandle(null, -1, -1, address.fd, 0);
  }
}
