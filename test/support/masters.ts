/** A service whose master is replaced: which process is the master now, and what it holds. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { TestContext } from 'node:test';
import { assertClean } from './invariants.ts';
import { type Load, startLoad } from './load/child.ts';
import { fourKinds, type Report, table, total } from './load/mix.ts';
import { childrenOf, isAlive } from './proc.ts';
import { request, requestJson } from './request.ts';
import { stretched } from './slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from './supervisor.ts';
import { until } from './until.ts';

/** The new master has seen the end of the old one. */
const gone = /^the master before this one is gone/;

export interface Service {
  readonly s: Supervisor;
  readonly masters: Masters;
}

/** Starts a service of two workers, unless told, with `app.pid` and `app.ctl` in its folder. */
export async function startService(t: TestContext, options: ServiceOptions = {}): Promise<Service> {
  const { args = [], ownWorkers = false, ...rest } = options;
  const pid = rest.cwd === undefined ? 'app.pid' : join(tmpdir(), `prefork-upgrade-${randomUUID()}.pid`);
  const s = await startSupervisor(t, { ...(ownWorkers ? {} : { workers: 2 }), ...rest, args: ['--pid', pid, ...args] });
  await s.waitReady(30_000);
  return { s, masters: new Masters(s, pid) };
}

export interface ServiceOptions extends SupervisorOptions {
  /** The number of workers is the configuration's. */
  readonly ownWorkers?: boolean;
}

/** Stops it; everything ended well, whoever was the last master. @param allow lines of the log that are expected */
export async function stopService({ s, masters }: Service, allow?: RegExp): Promise<void> {
  await masters.stop();
  const { pidfile } = masters;
  await assertClean(s, {
    gone: [pidfile, `${pidfile}.2`, pidfile.replace(/pid$/, 'ctl')],
    leftWithin: 1_000,
    ...(allow === undefined ? {} : { allow }),
  });
}

/** Load of four kinds that fails the test unless every request is answered: `calm` ends it. */
export async function underLoad(t: TestContext, { s }: Service, first = 20): Promise<CalmLoad> {
  const load = startLoad(t, { target: s.target, groups: fourKinds });
  await load.answered(first);
  const calm = async (): Promise<Report> => {
    const report = await load.stop();
    const all = total(report);
    all.assertComplete();
    assert.equal(all.failed, 0, table(report));
    return report;
  };
  return { load, calm };
}

export interface CalmLoad {
  readonly load: Load;
  /** Ends the load; nothing of it has failed. */
  readonly calm: () => Promise<Report>;
}

/** A request that takes so long, once a worker has it. @returns its answer to come, which is 200 */
export async function slowRequest({ s, masters }: Service, milliseconds: number): Promise<{ answered: Promise<void> }> {
  // Less than gracefulTimeout, after which it would be cut.
  const ms = Math.min(20_000, stretched(milliseconds));
  const answer = request(s.target, `/slow?ms=${ms}`, { timeout: 30_000 });
  await until('the request to be there', async () => {
    const { workers } = await masters.status();
    return (workers as { inFlight: number }[]).some(({ inFlight }) => inFlight > 0);
  });
  return { answered: answer.then(({ status }) => assert.equal(status, 200)) };
}

export class Masters {
  readonly supervisor: Supervisor;
  readonly pidfile: string;

  constructor(supervisor: Supervisor, name = 'app.pid') {
    this.supervisor = supervisor;
    this.pidfile = isAbsolute(name) ? name : join(supervisor.dir, name);
  }

  /** Whom the pidfile names, or `<pidfile>.2`. */
  pid(second = false): number | null {
    const path = second ? `${this.pidfile}.2` : this.pidfile;
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : null;
  }

  current(): number {
    const pid = this.pid();
    if (pid === null) throw new Error(`there is no ${this.pidfile}`);
    return pid;
  }

  signal(signal: NodeJS.Signals, pid = this.current()): void {
    process.kill(pid, signal);
  }

  /** The log lines that match, of all masters: they share one stderr. */
  lines(match: RegExp): readonly string[] {
    return this.supervisor.log.filter(({ msg }) => match.test(msg)).map(({ msg }) => msg);
  }

  async waitForLine(match: RegExp, count = 1, within = 30_000): Promise<void> {
    await this.#until(`${count} times the log line ${String(match)}`, () => this.lines(match).length >= count, within);
  }

  async until(what: string, condition: () => boolean, within = 30_000): Promise<void> {
    await this.#until(what, condition, within);
  }

  workers(pid = this.current()): number[] {
    return childrenOf(pid)
      .filter(({ title }) => title.startsWith('prefork: worker'))
      .map((child) => child.pid);
  }

  /** Waits until another master is in charge, and knows that this one is gone. @returns the pid of the new one */
  async replaced(old: number, within = 30_000): Promise<number> {
    await this.#until(
      `another master than ${old}`,
      () => this.pid() !== null && this.pid() !== old && !isAlive(old),
      within,
    );
    const now = this.current();
    // Until it knows, it refuses another upgrade, as Gunicorn does.
    await this.#until(`${now} to know that ${old} is gone`, () => this.#isAlone(now), within);
    return now;
  }

  /** Whether this master has said, since it was started, that the one before it is gone. */
  #isAlone(pid: number): boolean {
    const { log } = this.supervisor;
    const started = log.findLastIndex((line) => /^upgrade \d+ started/.test(line.msg) && Number(line.pid) === pid);
    return started !== -1 && log.slice(started).some(({ msg }) => gone.test(msg));
  }

  /** Begins an upgrade. @returns the pid of the new master, once `<pidfile>.2` names it */
  async begin(): Promise<number> {
    this.signal('SIGUSR2');
    return await until('pidfile.2', () => this.pid(true), { within: 30_000 });
  }

  /** WINCH to the old master, and then the new one alone serves: half of Gunicorn's manual dance. */
  async retire(old: number): Promise<void> {
    this.signal('SIGWINCH', old);
    await this.until('the new one alone to serve', () => this.workers(old).length === 0);
  }

  /** Begins an upgrade, and waits until the pidfile names another master: the old one may still drain. */
  async inCharge(): Promise<number> {
    const old = this.current();
    this.signal('SIGUSR2', old);
    await this.until('the new one to be in charge', () => this.pid() !== null && this.pid() !== old);
    return this.current();
  }

  /** What the master in charge says of itself, once it answers at its control socket. */
  async status(): Promise<Record<string, unknown>> {
    const control = { socketPath: this.pidfile.replace(/pid$/, 'ctl') };
    return await until('the control socket', () => requestJson(control, '/status'));
  }

  /** One whole upgrade. */
  async upgrade(within = 30_000): Promise<number> {
    const old = this.current();
    this.signal('SIGUSR2', old);
    return await this.replaced(old, within);
  }

  /** Stops the service, whoever is its master, and waits until no process of it is left. */
  async stop(within = 30_000): Promise<void> {
    this.signal('SIGTERM');
    await this.gone(within);
  }

  async gone(within = 30_000): Promise<void> {
    const { supervisor } = this;
    await this.#until('the end of every process', () => supervisor.processesLeft().length === 0, within);
    await supervisor.waitExit(within);
  }

  async #until(what: string, condition: () => boolean, within: number): Promise<void> {
    const { supervisor } = this;
    await until(what, condition, { within }).catch((error: unknown) => {
      const left = supervisor.processesLeft().map(({ pid, parent, title }) => `${pid} (of ${parent}) ${title}`);
      throw new Error(`${String(error)}\nprocesses: ${left.join(', ')}\n${supervisor.describe()}`, { cause: error });
    });
  }
}
