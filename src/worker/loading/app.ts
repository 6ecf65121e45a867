/** From the app's first line to the moment it can serve: what listens, and when it is ready. */
import net, { type Server } from 'node:net';
import type { BootInfo } from '../../protocol/messages.ts';
import { pause, turn } from '../../system/pause.ts';
import { hasPreloads } from '../../system/preloads.ts';
import type { BindPolicy, Listens } from '../listen.ts';
import {
  classify,
  classifyProduct,
  describeUnusable,
  describeValue,
  likeliestExport,
  listExports,
  namedExport,
  pickExport,
  promisedExport,
  type Servable,
  serve,
} from './export.ts';
import { ExportError, type FailureWatch, UnservedError } from './failure.ts';
import { leaveHost, standInForMain } from './hosting.ts';
import { mainExports, preloadsByImport } from './main-module.ts';
import { watchForNativeServer } from './native-server.ts';

/**
 * Milliseconds an app that exports a handler is given to listen by itself while it is still busy: "connect to the
 * database, then listen" is common, and such apps often export something too. To call a function that turns out not to
 * be a factory does more harm than to serve a handler twice. `server` is how long a server on port 0 may take our server's
 * place; from then on it is the app's private affair.
 */
const patience = { handler: 1_000, factory: 3_000, server: 10_000 };

/** Milliseconds in which an app that listens by itself mostly has done so. */
const hintAfter = 5_000;

export class App implements BindPolicy {
  readonly #boot: BootInfo;
  readonly #listens: Listens;
  readonly #failures: FailureWatch;
  readonly #onReady: () => void;
  /** The server that prefork has made for an export; it gives way to a server of the app's own. */
  #standIn: Server | null = null;
  /** The listens made now are the served export's. */
  #isServing = false;
  /** Nothing is preloaded any more that is not ours. */
  #isPreloaded = false;
  #isEvaluated = false;
  /** What the app exports, if none of it can be served. */
  #unusable: { readonly exports: unknown } | null = null;
  #isReady = false;
  /** Of `performance.now()`. */
  #readyAt = 0;

  constructor(boot: BootInfo, listens: Listens, failures: FailureWatch, onReady: () => void) {
    this.#boot = boot;
    this.#listens = listens;
    this.#failures = failures;
    this.#onReady = onReady;
  }

  start(): void {
    const { exportName, path } = this.#boot.settings.app;
    if (![process.execArgv.join(' '), process.env.NODE_OPTIONS].some(hasPreloads)) this.#isPreloaded = true;
    // In the order in which Node loads them: files of `--require` in this turn, then those of `--import`.
    else
      queueMicrotask(() => {
        void preloadsByImport().then(() => {
          this.#isPreloaded = true;
        });
      });
    const work =
      exportName === null
        ? mainExports(path).then(
            ({ exports }) => this.#serveMain(exports),
            () => this.#onThrown(),
          )
        : new Promise<unknown>((resolve) => {
            standInForMain(path);
            leaveHost(resolve);
          }).then((exports) => this.#serveNamed(exports, exportName));
    work.catch((error: unknown) => this.#failures.fail(error));
  }

  /**
   * The process has nothing left to do, and is about to end. An app that has never listened is most likely one whose
   * export was meant to be served.
   */
  onIdle(): void {
    if (this.#unusable === null || this.#hasListened() || this.#failures.hasFailed || isBusy()) return;
    const { given } = this.#boot.settings.app;
    this.#failures.fail(
      new UnservedError(describeUnusable(this.#unusable.exports, given)),
      Number(process.exitCode ?? 0),
    );
  }

  /** An app that is busy may listen at any time: to say what is most likely wrong is all that can be done. Once is enough. */
  #hintLater(exports: unknown): void {
    const { app, name } = this.#boot.settings;
    if (this.#boot.slot !== 0 || likeliestExport(exports) === null) return;
    setTimeout(() => {
      if (this.#hasListened() || this.#failures.hasFailed) return;
      process.stderr.write(`prefork: [${name}] waits: so far ${describeUnusable(exports, app.given)}\n`);
    }, hintAfter).unref();
  }

  /** Whether a `listen()` made now is served on the configured addresses, if there are any. */
  wantsBound(server: Server): boolean {
    if (this.#boot.settings.bind.length === 0) return false;
    if (this.#boot.settings.app.exportName === null) return true;
    return this.#isServing && (this.#standIn === null || this.#standIn === server);
  }

  get hasBegun(): boolean {
    return this.#isPreloaded || process.mainModule !== undefined;
  }

  get isReady(): boolean {
    // A server of the app's own may still take the place of ours.
    const isWaiting = this.#standIn !== null && performance.now() < this.#readyAt + patience.server;
    return this.#isReady && !isWaiting;
  }

  yields(server: Server): boolean {
    return server === this.#standIn;
  }

  /** A `listen()` was answered. */
  onSettled(server: Server, isShared: boolean): void {
    if (this.#listens.isListening) this.#isServing = false;
    const standIn = this.#standIn;
    if (
      isShared &&
      standIn !== null &&
      server !== standIn &&
      server.listening &&
      this.#boot.settings.app.exportName === null
    ) {
      this.#standIn = null;
      // Not http's close(), which cuts idle connections.
      net.Server.prototype.close.call(standIn);
    }
    this.#check();
  }

  async #serveMain(exports: unknown): Promise<void> {
    this.#isEvaluated = true;
    watchForNativeServer(() => this.#hasListened());
    this.#check();
    const servable = pickExport(exports) ?? (await promisedExport(exports));
    if (servable === null) this.#unusable = { exports };
    if (servable === null) return this.#hintLater(exports);
    if (this.#hasListened()) return;
    await this.#whileBusy(servable.kind === 'factory' ? patience.factory : patience.handler);
    if (!this.#hasListened()) await this.#serve(servable, this.#boot.settings.app.path, exports);
  }

  /**
   * The main module has thrown. Node says so by another way, and ends the process; but for an app that catches it by a
   * listener of its own: what listens by then is served, as under plain node.
   */
  async #onThrown(): Promise<void> {
    await turn();
    this.#isEvaluated = true;
    this.#check();
  }

  async #serveNamed(exports: unknown, name: string): Promise<void> {
    const { path } = this.#boot.settings.app;
    const value = namedExport(exports, name, path);
    const servable = classify(value);
    this.#isEvaluated = true;
    if (servable === null) {
      throw new ExportError(
        `${path}: export "${name}" is ${describeValue(value)}, which cannot be served. ${listExports(exports)}`,
      );
    }
    await this.#serve(servable, `${path}: export "${name}"`, exports);
  }

  async #serve(servable: Servable, what: string, exports: unknown): Promise<void> {
    const made = servable.kind === 'factory' ? await classifyProduct(servable) : servable;
    // A factory may well listen by itself.
    if (this.#boot.settings.app.exportName === null && this.#hasListened()) return;
    if (made === null || made.kind === 'factory') {
      throw new ExportError(`${what} is a function that returns nothing that can be served. ${listExports(exports)}`);
    }
    // Until it listens, which is later than this call: a host is looked up first.
    this.#isServing = true;
    this.#standIn = await serve(made, this.#boot.settings.bind[0] ?? this.#boot.defaultBind);
  }

  /** Waits until the app has nothing under way, has listened, or has had time enough. */
  async #whileBusy(limit: number): Promise<void> {
    const step = 20;
    for (let waited = 0; waited < limit; waited += step) {
      if (this.#hasListened() || !isBusy()) return;
      await pause(step);
    }
  }

  #hasListened(): boolean {
    return this.#listens.isPending || this.#listens.isListening;
  }

  #check(): void {
    if (this.#isReady || !this.#isEvaluated || this.#failures.hasFailed) return;
    if (this.#listens.isPending || !this.#listens.isListening) return;
    this.#isReady = true;
    this.#readyAt = performance.now();
    // The app's own handlers of 'listening' run first.
    setImmediate(() => this.#onReady());
  }
}

/** What every process may have without being busy. */
const idleResources = new Set(['PipeWrap', 'TTYWrap', 'Immediate', 'TickObject', 'SignalWrap']);

function isBusy(): boolean {
  return process.getActiveResourcesInfo().some((resource) => !idleResources.has(resource));
}
