/** Every hook, once: a function of the config file that prefork calls. */
import type { IncomingMessage } from 'node:http';
import type { ServiceEvent } from './service-event.ts';
import { functionOf } from './settings/kinds.ts';
import { type Computed, computed, type Group, inGroup, type Setting } from './settings/setting.ts';

/** What the `onWorkerAbort` hook gets. */
export interface WorkerAbort {
  /** `null` for a spare. */
  readonly slot: number | null;
  readonly worker: number;
  readonly generation: number;
  readonly pid: number;
  /** Milliseconds without a heartbeat. */
  readonly blockedMs: number;
  /** Frames of the JavaScript stack, innermost first; empty if the stack could not be taken. */
  readonly stack: readonly string[];
  /** In flight, oldest first: `age` in milliseconds, `id` its `X-Request-ID`, `trace` the trace id of its `traceparent`. */
  readonly requests: readonly {
    readonly method: string;
    readonly url: string;
    readonly age: number;
    readonly id: string | null;
    readonly trace: string | null;
  }[];
}

/** `Call` is the function as a config file writes it. */
export interface Hook<Call = unknown, In extends 'child' | 'worker' = 'child' | 'worker'> {
  /** The process it runs in: a child of its own, which ends with it, or each worker. */
  readonly process: In;
  /** When it is called, to go behind "when". */
  readonly moment: string;
  /** What it gets. */
  readonly payload: string;
  /** What follows if it throws. */
  readonly onThrow: string;
  /** What holds without it. */
  readonly byDefault: string;
  readonly doc: string;
  readonly group: Group;
  readonly elsewhere?: readonly string[];
  /** Only a type, never set. */
  readonly call?: Call;
}

type Facts = Omit<Hook, 'process' | 'call'>;

/** A hook that runs in a child: its payload crosses as JSON, and only its end matters. */
export function inChild<Payload>(facts: Facts): Hook<(payload: Payload) => void | Promise<void>, 'child'> {
  return { process: 'child', ...facts };
}

/** A hook that runs in each worker, whose result counts. */
export function inWorker<Call extends (payload: never) => unknown>(facts: Facts): Hook<Call, 'worker'> {
  return { process: 'worker', ...facts };
}

/** The key is the hook's name in the config file. Each has one caller: `callHook` for a child, `loadHook` in a worker. */
export const hooks = {
  /**
   * Called with what happens to the service, one event after the other. It runs in a process of its own beside the master,
   * which lives on between events. See docs/events.md.
   */
  on: inChild<ServiceEvent>({
    moment: 'something happens to the service: see [events](events.md)',
    payload: 'the event',
    onThrow: 'the log has it as an error; nothing else follows',
    byDefault: 'none',
    group: 'Control and health',
    doc: 'Called with each event: ready, workerExit, stuck, reloaded, rejected, rolledBack, scaled, stopped',
    elsewhere: ['when_ready', 'worker_exit', 'child_exit', 'nworkers_changed', 'on_exit', 'on_reload'],
  }),
  /**
   * Called with the stack of a worker that is killed because it is stuck. It runs in a process of its own, which ends
   * when it is done, or after 10 s.
   */
  onWorkerAbort: inChild<WorkerAbort>({
    moment: 'a worker is killed because it is stuck',
    payload: 'its slot, pid, stack and requests in flight',
    onThrow: 'the log has it as an error; the worker is replaced all the same',
    byDefault: 'none',
    group: 'Stuck workers',
    doc: 'Called with the stack of a worker that is killed because it is stuck',
    elsewhere: ['worker_abort'],
  }),
  /** Names the route of a request. It runs in the workers; an empty result is no label. */
  routeLabel: inWorker<(request: IncomingMessage) => string | null | undefined>({
    moment: 'a request is counted',
    payload: 'the request',
    onThrow: "the worker's stderr has the first error; the framework's route is used",
    byDefault: "the framework's route",
    group: 'Metrics',
    doc: 'Function of a request that names its route for the metrics',
  }),
};

type Hooks = typeof hooks;

/** All hooks, by name. */
export type HookTable = Readonly<Record<string, Hook>>;

export type HookName = keyof Hooks;

/** The function that a hook is. */
export type HookCall<Name extends HookName> = CallOf<Hooks[Name]>;

type CallOf<Each> = Each extends Hook<infer Call> ? Call : never;

type HooksIn<In extends 'child' | 'worker'> = {
  [Name in HookName]: Hooks[Name]['process'] extends In ? Name : never;
}[HookName];

export type ChildHookName = HooksIn<'child'>;
export type WorkerHookName = HooksIn<'worker'>;

/** What a hook is called with. */
export type HookPayload<Name extends HookName> =
  HookCall<Name> extends (payload: infer Payload) => unknown ? Payload : never;

type HookSettings<T extends HookTable> = {
  readonly [Name in keyof T]: Setting<CallOf<T[Name]>, string, Computed, never>;
};

/** @returns each hook as a setting, which has no flag */
export function settingsOfHooks<T extends HookTable>(table: T): HookSettings<T> {
  const entries = Object.entries(table).map(([name, { byDefault, doc, group, elsewhere = [] }]) => [
    name,
    inGroup(group)({ kind: functionOf(), default: computed(byDefault), doc, elsewhere }),
  ]);
  // The kind of all hooks is one; the function as a config file writes it is only a type.
  return Object.fromEntries(entries) as HookSettings<T>;
}

/** Whether the name is that of a hook that runs in the workers. */
export function isWorkerHook(name: string, table: HookTable = hooks): name is WorkerHookName {
  return Object.hasOwn(table, name) && table[name]?.process === 'worker';
}
