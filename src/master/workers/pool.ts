/** The processes: forks workers through node:cluster, carries messages, and reports what becomes of them as events. */
import cluster, { type ClusterSettings, type Worker as ClusterWorker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../config/resolved.ts';
import { inSlot, spareVariable } from '../../config/slot-env.ts';
import type { Event } from '../../core/events.ts';
import type { Limits } from '../../core/model.ts';
import { messageOf } from '../../errors.ts';
import { bootVariable, type MasterMessage, type WorkerMessage } from '../../protocol/messages.ts';
import type { QueueDescriptors } from '../../protocol/migration.ts';
import { launchAs } from '../../system/identity.ts';
import type { Handle } from '../../system/node-internals.ts';
import { readLines } from '../../system/output.ts';
import { ownFile, tsxLoader } from '../../system/own-files.ts';
import { hasPreloads, preloadFirst } from '../../system/preloads.ts';
import { type StdioPart, withoutStrays } from '../../system/strays.ts';
import { bootInfo } from './boot.ts';
import { WorkerChannel } from './channel.ts';
import { cacheFor, cacheVariable } from './compile-cache.ts';
import { type InspectorOptions, Inspectors } from './inspectors.ts';
import { Leftovers } from './leftovers.ts';
import { wantsTsx } from './typescript.ts';

export interface SpawnOrder {
  readonly id: number;
  /** `null` for a spare. */
  readonly slot: number | null;
  readonly generation: number;
  /** Whether it is to accept nobody until it is admitted. */
  readonly held?: boolean;
  readonly settings: Settings;
  readonly limits: Limits;
  /** Whether it is the first worker of a generation that is not in force yet. */
  readonly isCanary?: boolean;
}

/** What is told of the processes. */
export interface PoolObserver {
  onEvent(event: Event): void;
  onMessage(id: number, message: WorkerMessage): void;
  /** A line that a worker has printed; only if output is captured. */
  onOutput(from: Printed, line: string): void;
}

/** The worker that printed something, and the stream. */
export interface Printed {
  readonly slot: number | null;
  readonly worker: number;
  readonly generation: number;
  readonly pid: number;
  readonly stream: 'stdout' | 'stderr';
}

/** Milliseconds for a dead worker's last words to arrive: `exit` is often reported before its pipes are read out. */
const lastWords = 250;
/** Milliseconds between heartbeats. */
export const heartbeat = 500;

interface Process {
  readonly worker: ClusterWorker;
  readonly channel: WorkerChannel;
  readonly slotEnv: Readonly<Record<string, string>>;
  slot: number | null;
  gone: boolean;
}

const agent = fileURLToPath(ownFile('worker/agent.cjs'));
const host = fileURLToPath(ownFile('worker/loading/host.js'));

export class Pool {
  #observer: PoolObserver | null = null;
  readonly #processes = new Map<number, Process>();
  readonly #inspectors = new Inspectors();
  readonly #leftovers = new Leftovers();
  /** The queue between workers, as this process has it. */
  readonly #queue: QueueDescriptors | null;

  /** @param queue between workers; `null` if there is none */
  constructor(queue: QueueDescriptors | null) {
    this.#queue = queue;
  }

  /** To be called once, before the first worker is spawned. */
  connect(observer: PoolObserver): void {
    this.#observer = observer;
  }

  pidOf(id: number): number | null {
    return this.#processes.get(id)?.worker.process.pid ?? null;
  }

  spawn(order: SpawnOrder): void {
    const { id, settings } = order;
    let worker: ClusterWorker;
    try {
      const layout = layOut(settings, this.#queue);
      const env = environment(order, layout.queue);
      worker = fork(settings, layout.stdio, env, this.#inspectors.optionsFor(id, settings));
    } catch (error) {
      this.#observer?.onEvent({ type: 'workerSpawnFailed', id, reason: messageOf(error), jitter: Math.random() });
      return;
    }
    const channel = new WorkerChannel(worker.process, {
      onMessage: (message) => {
        if (!entry.gone) this.#observer?.onMessage(id, message);
      },
      // It is about to be killed.
      onOffence: (reason) => {
        if (!entry.gone) this.#observer?.onEvent({ type: 'workerMisbehaved', id, reason });
      },
    });
    const entry: Process = { worker, channel, slotEnv: settings.slotEnv, slot: order.slot, gone: false };
    this.#processes.set(id, entry);
    this.#watch(id, entry, settings.captureOutput ? this.#capture(order, entry) : Promise.resolve());
    const { pid } = worker.process;
    if (pid !== undefined) this.#observer?.onEvent({ type: 'workerSpawned', id, pid, limits: order.limits });
  }

  /** Sends a message, beside a handle if one is given. A worker that is gone is not an error: its exit is an event. */
  send(id: number, message: MasterMessage, handle?: Handle): void {
    this.#processes.get(id)?.channel.send(message, handle);
  }

  /** Tells a spare its slot. */
  place(id: number, slot: number): void {
    const entry = this.#processes.get(id);
    if (entry === undefined) return;
    entry.slot = slot;
    entry.channel.send({ type: 'place', slot, env: inSlot(entry.slotEnv, slot) });
  }

  signal(id: number, signal: NodeJS.Signals): void {
    const entry = this.#processes.get(id);
    // Not worker.kill(), which waits for a disconnect that a stuck worker never makes.
    if (entry !== undefined && !entry.gone) entry.worker.process.kill(signal);
  }

  /** @returns settles when all has been read */
  async #capture({ id, generation }: SpawnOrder, entry: Process): Promise<void> {
    const child = entry.worker.process;
    const { pid } = child;
    if (pid === undefined) return;
    const from = (stream: 'stdout' | 'stderr'): Promise<void> => {
      const source = child[stream];
      if (source === null) return Promise.resolve();
      const printed = { worker: id, generation, pid, stream };
      return readLines(source, (line) => this.#observer?.onOutput({ slot: entry.slot, ...printed }, line));
    };
    await Promise.all([from('stdout'), from('stderr')]);
  }

  #watch(id: number, entry: Process, printed: Promise<void>): void {
    const { worker, channel } = entry;
    const child = worker.process;
    child.on('error', (error) => {
      // EMFILE and the like: there is no process and there will be no exit.
      if (child.pid === undefined)
        this.#gone(id, entry, { type: 'workerSpawnFailed', id, reason: error.message, jitter: Math.random() });
    });
    worker.on('error', () => {});
    child.on('exit', (code, signal) => {
      const event: Event = { type: 'workerExited', id, code, signal, jitter: Math.random() };
      // What it forked may hold its pipes open for ever.
      const timer = setTimeout(() => this.#gone(id, entry, event), lastWords);
      void Promise.all([channel.ended, printed]).then(() => {
        clearTimeout(timer);
        this.#gone(id, entry, event);
      });
    });
  }

  #gone(id: number, entry: Process, event: Event): void {
    if (entry.gone) return;
    entry.gone = true;
    entry.channel.close();
    const { stdout, stderr } = entry.worker.process;
    for (const stream of [stdout, stderr]) this.#leftovers.add(stream ?? null);
    this.#processes.delete(id);
    this.#inspectors.forget(id);
    this.#observer?.onEvent(event);
  }
}

/**
 * cluster.fork() starts process.execPath, and there is no option for it: if another program has to come first, it is named
 * there for the moment. The worker's mask is set for the same moment, and inherited.
 */
function fork(
  settings: Settings,
  stdio: StdioPart[],
  env: NodeJS.ProcessEnv,
  inspector: InspectorOptions,
): ClusterWorker {
  const { execPath } = process;
  const { execArgv = [], ...rest } = clusterSettings(settings, stdio, inspector);
  const { command, args, ids } = launchAs(settings.identity, execPath, execArgv);
  cluster.setupPrimary({ ...rest, ...ids, execArgv: [...args] });
  const umask = process.umask(settings.umask);
  try {
    process.execPath = command;
    return cluster.fork(env);
  } finally {
    process.execPath = execPath;
    process.umask(umask);
  }
}

function clusterSettings(settings: Settings, stdio: StdioPart[], inspector: InspectorOptions): ClusterSettings {
  const loader = wantsTsx(settings) ? ['--import', tsxLoader()] : [];
  return {
    // The app's own file is the main module, so that argv, require.main and import.meta.main are what they are without us.
    exec: settings.app.exportName === null ? settings.app.path : host,
    args: [...settings.args],
    // First: what the app preloads may listen.
    execArgv: ['--require', agent, ...settings.nodeArgs, ...inspector.options, ...loader],
    cwd: settings.chdir,
    stdio: withoutStrays(stdio),
    // Without it node:cluster counts up from the well-known port.
    inspectPort: inspector.port,
    serialization: 'json',
  };
}

function stdioOf({ captureOutput, accessLog }: Settings): StdioPart[] {
  // Over the last one it speaks, see speechDescriptor.
  if (!captureOutput) return ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'];
  return ['ignore', 'pipe', 'pipe', 'ipc', 'pipe', ...(accessLog === '-' ? [1] : [])];
}

/** Which descriptor a worker finds what under. */
function layOut(
  settings: Settings,
  queue: QueueDescriptors | null,
): { readonly stdio: StdioPart[]; readonly queue: QueueDescriptors | null } {
  const stdio = stdioOf(settings);
  if (queue === null) return { stdio, queue };
  const { length } = stdio;
  return { stdio: [...stdio, queue.give, queue.take], queue: { give: length, take: length + 1 } };
}

/** cluster.fork() adds the master's environment to what it is given: what a worker must not have is set to undefined. */
function environment(order: SpawnOrder, queue: QueueDescriptors | null): NodeJS.ProcessEnv {
  const { settings } = order;
  // A spare gets the rest with its slot.
  const env = {
    ...settings.env,
    ...(order.slot === null ? { [spareVariable]: '1' } : inSlot(settings.slotEnv, order.slot)),
  };
  const removed = Object.keys(process.env).filter((name) => !Object.hasOwn(env, name));
  const { NODE_OPTIONS = '' } = env;
  const cache = cacheFor(order);
  return {
    ...Object.fromEntries(removed.map((name) => [name, undefined])),
    ...env,
    // Node takes these before the arguments, and does not take them at all where it has more rights than its user.
    ...(hasPreloads(NODE_OPTIONS) ? { NODE_OPTIONS: preloadFirst(agent, NODE_OPTIONS) } : {}),
    ...(cache === null ? {} : { [cacheVariable]: cache.folder }),
    [bootVariable]: JSON.stringify(bootInfo({ ...order, queue, cache }, heartbeat)),
  };
}
