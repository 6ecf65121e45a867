/**
 * Runs `bin/prefork.js` as the process an operator would run, and cleans up behind it whatever happens. Processes are
 * found by a marker in their environment and killed by pid, never by name.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type LogLine, LogReader } from './log-reader.ts';
import { bin, fixtureApp } from './paths.ts';
import {
  childrenOf,
  connectionsReadOn,
  fdCount,
  markedWith,
  type ProcessInfo,
  readProcess,
  residentSize,
  threadCount,
} from './proc.ts';
import { freePort, request, type Target } from './request.ts';
import { until } from './until.ts';

export interface SupervisorOptions {
  /** Path of the app; `null` leaves it to the config or `args`. The one-file fixture unless told. */
  readonly app?: string | null;
  /** Further arguments. */
  readonly args?: readonly string[];
  /** `-b` arguments; `127.0.0.1:<free port>` unless told, `null` for none. */
  readonly bind?: readonly string[] | null;
  readonly workers?: number;
  /** Settings, or the text of a module, for a config file in the temporary folder. */
  readonly config?: Readonly<Record<string, unknown>> | string;
  /** Added to the test's own environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The temporary folder unless told, so that no config is found by accident. */
  readonly cwd?: string;
  readonly node?: string;
  readonly nodeArgs?: readonly string[];
  readonly umask?: number;
  /** Listening servers, or descriptors, whose sockets it inherits as fd 3, 4, ...; `ignore` leaves a gap. */
  readonly inherit?: readonly (Server | number | 'ignore')[];
  /** In a session and process group of its own, for signals to the group. */
  readonly detached?: boolean;
  /** Bound to `app.sock` in the temporary folder instead of a port. */
  readonly unix?: boolean;
  /** The service speaks TLS. */
  readonly secure?: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** `performance.now()` at the exit. */
  readonly at: number;
}

/** The files in a supervisor's folder by which a test steers the one-file fixture while it runs. */
export interface Levers {
  readonly boot: string;
  readonly version: string;
  readonly gate: string;
  readonly terms: string;
}

interface Parts {
  readonly dir: string;
  readonly port: number;
  readonly target: Target;
  readonly levers: Levers;
}

export class Supervisor {
  readonly #child: ChildProcess;
  readonly #marker: string;
  /** The temporary folder of this run. */
  readonly dir: string;
  readonly port: number;
  readonly target: Target;
  readonly levers: Levers;
  readonly stdout: LogReader;
  readonly stderr: LogReader;
  exit: Exit | null = null;
  /** The output is complete: `close` comes after `exit`, and is held back by a worker that outlives the master. */
  #closed = false;

  constructor(child: ChildProcess, marker: string, parts: Parts) {
    this.#child = child;
    this.#marker = marker;
    this.dir = parts.dir;
    this.port = parts.port;
    this.target = parts.target;
    this.levers = parts.levers;
    this.stdout = new LogReader(child.stdout);
    this.stderr = new LogReader(child.stderr);
    child.on('error', (error) => this.stderr.append(`spawn failed: ${error.message}\n`));
    child.on('exit', (code, signal) => {
      this.exit = { code, signal, at: performance.now() };
    });
    child.on('close', () => {
      this.#closed = true;
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the supervisor was never spawned');
    return this.#child.pid;
  }

  /** The log: the JSON lines of stderr. */
  get log(): readonly LogLine[] {
    return this.stderr.lines;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.exit === null) process.kill(this.pid, signal);
  }

  /** To the whole process group; only where started `detached`. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Waits for a log line; `since` is an index into {@link log} (take `log.length` before the cause). */
  async waitForLog(
    match: RegExp | ((line: LogLine) => boolean),
    options: { readonly within?: number; readonly since?: number } = {},
  ): Promise<LogLine> {
    const { within = 15_000, since = 0 } = options;
    const test = match instanceof RegExp ? (line: LogLine) => match.test(line.msg) : match;
    const what = match instanceof RegExp ? `the log line ${String(match)}` : 'a log line';
    return await until(what, () => this.log.slice(since).find(test), {
      within,
      abort: () => (this.exit === null || this.log.slice(since).some(test) ? null : this.describe()),
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.describe()}`, { cause: error });
    });
  }

  async waitExit(within = 15_000): Promise<Exit> {
    const exit = await until('the exit of the master', () => this.exit, { within }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.describe()}`, { cause: error });
    });
    await until('the last output', () => this.#closed, { within: 500 }).catch(() => undefined);
    return exit;
  }

  /** Waits until the service answers `path` with 200. */
  async waitServing(path = '/healthz', within = 15_000): Promise<this> {
    await until(
      `an answer to ${path}`,
      async () => (await request(this.target, path, { timeout: within })).status === 200,
      { within, abort: () => (this.exit === null ? null : this.describe()) },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.describe()}`, { cause: error });
    });
    return this;
  }

  /** Waits until all workers of the first start are ready. */
  async waitReady(within = 15_000): Promise<this> {
    await this.waitForLog(/^ready: /, { within });
    return this;
  }

  /** Waits until there are exactly so many workers and no other child, such as one that boots. */
  async waitWorkers(count: number, within = 15_000): Promise<number[]> {
    return await until(
      `${count} workers`,
      () => (this.workers().length === count && this.children().length === count ? this.workers() : null),
      { within, abort: () => (this.exit === null ? null : this.describe()) },
    ).catch((error: unknown) => {
      const children = this.children().map(({ pid, title }) => `${pid} ${title}`);
      throw new Error(`${String(error)}\nchildren: ${children.join(', ')}\n${this.describe()}`, { cause: error });
    });
  }

  /**
   * Waits until workers have read what this process has sent on so many connections, kept-alive ones included. A
   * connection may be accepted before this process has sent anything by it: two looks in a row have a turn of the event
   * loop between them, in which it does.
   */
  async arrived(connections = 1, within = 15_000): Promise<void> {
    let looks = 0;
    await until(
      `${connections} requests to arrive`,
      () => {
        looks = connectionsReadOn(this.port) >= connections ? looks + 1 : 0;
        return looks >= 2;
      },
      { within, abort: () => (this.exit === null ? null : this.describe()) },
    );
  }

  /** Sends HUP and waits for the verdict: the log line that says how the reload ended. */
  async reload(within = 30_000): Promise<LogLine> {
    const since = this.log.length;
    this.signal('SIGHUP');
    return await this.waitForLog(verdict, { since, within });
  }

  /** Sends a signal that stops it and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', within = 15_000): Promise<Exit & { readonly ms: number }> {
    const startedAt = performance.now();
    this.signal(signal);
    const exit = await this.waitExit(within);
    return { ...exit, ms: exit.at - startedAt };
  }

  /** Sets a lever for the processes that start from now on; at once, so that none reads half of it. */
  set(lever: 'boot' | 'version', value: string): void {
    const path = this.levers[lever];
    writeFileSync(`${path}.new`, value);
    renameSync(`${path}.new`, path);
  }

  /** Every child of the master, zombies included. */
  children(): ProcessInfo[] {
    return this.exit === null ? childrenOf(this.pid) : [];
  }

  /** Pids of the workers: children that carry the title of one. */
  workers(): number[] {
    return this.children()
      .filter((child) => child.title.startsWith('prefork: worker'))
      .map((child) => child.pid);
  }

  /** Processes of this run that exist, the master included; zombies are not seen. */
  processesLeft(): ProcessInfo[] {
    return markedWith(this.#marker)
      .map(readProcess)
      .filter((info): info is ProcessInfo => info !== null && info.state !== 'Z');
  }

  /** What a leak shows in: of the master. */
  figures(): { readonly fds: number; readonly threads: number; readonly rss: number } {
    return { fds: fdCount(this.pid), threads: threadCount(this.pid), rss: residentSize(this.pid) };
  }

  /** For failure messages: how it ended and the last output. */
  describe(): string {
    const state = this.exit === null ? 'running' : `exited with ${this.exit.signal ?? this.exit.code}`;
    return `prefork ${state}; stderr ends:\n${this.stderr.text.slice(-3000)}\nstdout ends:\n${this.stdout.text.slice(-1000)}`;
  }

  /** Kills whatever is left of this run and removes its folder. Called at the end of every test. */
  async dispose(): Promise<void> {
    await until(
      'every process of the run to be killed',
      () => {
        const left = this.processesLeft();
        for (const { pid } of left) {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It went by itself.
          }
        }
        return left.length === 0;
      },
      { within: 10_000 },
    );
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The line that ends a reload. */
export const verdict = /^reload \d+ (done|failed|stopped half way)/;

/** Starts a supervisor for one test. It has been spawned when this returns, and no more: see `waitServing`. */
export async function startSupervisor(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-test-')));
  const port = await freePort();
  const marker = randomUUID();
  const levers = {
    boot: join(dir, 'boot'),
    version: join(dir, 'version'),
    gate: join(dir, 'gate'),
    terms: join(dir, 'terms'),
  };
  const args = [...(options.nodeArgs ?? []), bin];
  const app = options.app === undefined ? fixtureApp : options.app;
  if (app !== null) args.push(app);
  if (options.config !== undefined) {
    const path = join(dir, 'supervisor.config.mjs');
    writeConfig(path, options.config);
    args.push('-c', path);
  }
  const socketPath = join(dir, 'app.sock');
  const usual = options.unix === true ? `unix:${socketPath}` : `127.0.0.1:${port}`;
  const bind = options.bind === undefined ? [usual] : (options.bind ?? []);
  for (const address of bind) args.push('-b', address);
  if (options.workers !== undefined) args.push('-w', String(options.workers));
  args.push(...(options.args ?? []));
  const previousUmask = options.umask === undefined ? null : process.umask(options.umask);
  const cwd = options.cwd ?? dir;
  const child = spawn(options.node ?? process.env.PREFORK_TEST_NODE ?? process.execPath, args, {
    cwd,
    // As a shell does, which keeps symlinks in it.
    env: environment(marker, levers, { PWD: cwd, ...options.env }),
    stdio: ['ignore', 'pipe', 'pipe', ...(options.inherit ?? []).map(descriptorOf)],
    detached: options.detached ?? false,
  });
  if (previousUmask !== null) process.umask(previousUmask);
  const secure = options.secure ?? false;
  const target = options.unix === true ? { socketPath, secure } : { port, secure };
  const supervisor = new Supervisor(child, `RUN_ID=${marker}`, { dir, port, target, levers });
  t.after(() => supervisor.dispose());
  return supervisor;
}

/** The file descriptor of a listening server; Node has no public way to it. */
function descriptorOf(server: Server | number | 'ignore'): number | 'ignore' {
  if (typeof server === 'number' || server === 'ignore') return server;
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Writes a config file: an object as its default export, or the text as it is. */
export function writeConfig(path: string, config: Readonly<Record<string, unknown>> | string): void {
  writeFileSync(path, typeof config === 'string' ? config : `export default ${JSON.stringify(config, null, 2)};\n`);
}

function environment(
  marker: string,
  levers: Levers,
  own: Readonly<Record<string, string | undefined>>,
): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    BOOT_FILE: levers.boot,
    VERSION_FILE: levers.version,
    GATE_FILE: levers.gate,
    TERM_FILE: levers.terms,
    ...own,
    RUN_ID: marker,
  };
  // What the test runner sets for its own children is none of the supervisor's business.
  for (const name of ['NODE_TEST_CONTEXT', 'NODE_OPTIONS', 'PORT', 'WEB_CONCURRENCY', 'PREFORK_CMD_ARGS']) {
    if (!Object.hasOwn(own, name)) delete env[name];
  }
  for (const [name, value] of Object.entries(own)) if (value === undefined) delete env[name];
  return env;
}
