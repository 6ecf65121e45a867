/**
 * What is promised to an app, tried on one framework: it is served unchanged, three reloads under load lose nothing, a
 * handler that never returns is named, and a stop under load ends every request that was taken.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { fromRoot } from '../../support/paths.ts';
import { freePort } from '../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';
import { ask } from './http-client.ts';
import { nodeFor } from './install.ts';
import type { Balance, News, Order } from './load.ts';
import type { Framework, Request } from './table.ts';

export interface Finding {
  /** Of Node. */
  readonly node: string;
  readonly version: string;
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  readonly reloads: number;
  /** What is wrong, in words; empty where all is well. */
  readonly faults: readonly string[];
}

const reloads = 3;
const workers = 2;
/** Long enough for a slow machine, and no longer: every framework waits for it once. */
const stuckAfter = '8s';

/** Runs the whole check in the folder that {@link install} gave. Leaves no process behind. */
export async function check(framework: Framework, folder: string): Promise<Finding> {
  const afterwards: (() => unknown)[] = [];
  try {
    return await examine(framework, folder, (act) => afterwards.push(act));
  } finally {
    for (const act of afterwards.reverse()) await act();
  }
}

type After = (act: () => unknown) => void;

async function examine(framework: Framework, folder: string, after: After): Promise<Finding> {
  const port = await freePort();
  const supervisor = await start(framework, folder, port, after);
  await supervisor.waitReady(60_000);
  const faults: string[] = [];
  const first = new AppLoad(framework, folder, port, after);
  await first.further(100);
  for (let reload = 1; reload <= reloads; reload++) {
    const said = await supervisor.reload(60_000);
    if (!said.msg.includes(' done')) faults.push(said.msg);
    await first.further(100);
  }
  const reloaded = await first.stop();
  faults.push(...lossesOf('in the reloads', reloaded));
  faults.push(...(await blocked(framework, folder, supervisor, port)));
  const second = new AppLoad(framework, folder, port, after);
  await second.further(100);
  second.leave();
  const end = await supervisor.stop('SIGTERM', 40_000);
  const stopped = await second.stop();
  if (end.code !== 0) faults.push(`after TERM it exited with ${end.signal ?? end.code}`);
  faults.push(...lossesOf('in the stop', stopped));
  const killed = supervisor.log.filter(({ msg }) => /^worker (?:gets SIG|broke the protocol)/.test(msg));
  // One is the worker that was made to block; it gets a second signal if its app handles the first.
  if (new Set(killed.map(({ worker }) => worker)).size > 1) faults.push(...killed.map(({ msg }) => msg));
  return {
    node: nodeVersion(nodeFor(framework)),
    version: versionOf(framework, folder),
    reloads,
    sent: reloaded.sent + stopped.sent,
    answered: reloaded.answered + stopped.answered,
    lost: reloaded.lost + stopped.lost,
    faults,
  };
}

async function start(framework: Framework, folder: string, port: number, after: After): Promise<Supervisor> {
  const { app, args = [], env = {}, cwd = '.' } = framework;
  return await startSupervisor({ after } as unknown as TestContext, {
    app,
    bind: null,
    workers,
    args: ['-t', stuckAfter, '--control-socket', 'none', ...args],
    env: { HOST: '127.0.0.1', HOSTNAME: '127.0.0.1', NODE_ENV: 'production', ...env, PORT: String(port) },
    cwd: join(folder, cwd),
    node: nodeFor(framework),
  });
}

/** A handler blocks its worker: the log has to name it, and the others go on serving. */
async function blocked(framework: Framework, folder: string, supervisor: Supervisor, port: number): Promise<string[]> {
  const since = supervisor.log.length;
  const answer = blockOne(framework, folder, port);
  try {
    await supervisor.waitForLog(/^worker gets SIG\w+: stuck/, { since, within: 40_000 });
    await supervisor.waitForLog(/^worker ready in/, { since, within: 60_000 });
    // A warning comes first, and the stack again before the end: on a machine that is busy the first may be without.
    const lines = supervisor.log.slice(since).filter(({ msg }) => /is blocked for/.test(msg));
    if (lines.some(({ stack }) => JSON.stringify(stack).includes('blockForever'))) return [];
    return [`the stuck handler is not named: ${lines.at(-1)?.msg}`];
  } catch (error) {
    return [`the stuck handler is not found: ${String(error).slice(0, 200)}`];
  } finally {
    await answer;
  }
}

async function blockOne(
  { block = { path: '/block' }, client }: Framework,
  folder: string,
  port: number,
): Promise<void> {
  const own: { connect?: (port: number) => { block?: () => Promise<void>; close(): void } } =
    client === undefined ? {} : await import(pathToFileURL(join(folder, client)).href);
  const connected = own.connect?.(port);
  try {
    if (connected?.block === undefined) await ask(port, block);
    else await connected.block();
  } catch {
    // Its worker is killed.
  } finally {
    connected?.close();
  }
}

function lossesOf(when: string, { sent, answered, lost, refused, details }: Balance): string[] {
  const found = lost === 0 ? [] : [`${lost} lost ${when}: ${details.join('; ')}`];
  if (sent !== answered + lost + refused) found.push(`${sent - answered - lost - refused} unaccounted for ${when}`);
  return found;
}

function nodeVersion(node: string): string {
  return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
}

function versionOf({ package: name }: Framework, folder: string): string {
  const manifest = join(folder, 'node_modules', name, 'package.json');
  return String((JSON.parse(readFileSync(manifest, 'utf8')) as { version: unknown }).version);
}

/** The process that makes the load. */
class AppLoad {
  readonly #child: ChildProcess;
  #answered = 0;
  #balance: Balance | null = null;
  #ended: string | null = null;

  constructor(framework: Framework, folder: string, port: number, after: After) {
    const request: Request = framework.request ?? { path: '/' };
    const own = framework.client === undefined ? [] : [join(folder, framework.client)];
    this.#child = fork(fromRoot('test/compat/frameworks/load.ts'), [String(port), JSON.stringify(request), ...own], {
      execArgv: ['--import', 'tsx'],
      cwd: fromRoot('.'),
    });
    after(() => {
      if (this.#ended === null) this.#child.kill('SIGKILL');
    });
    this.#child.on('message', (news: News) => {
      if ('balance' in news) this.#balance = news.balance;
      else this.#answered = news.answered;
    });
    this.#child.on('exit', (code, signal) => (this.#ended = `the load ended with ${signal ?? code}`));
  }

  /** Waits for so many answers more. */
  async further(count: number): Promise<void> {
    const goal = this.#answered + count;
    await until(`${goal} answers`, () => this.#answered >= goal, { within: 30_000, abort: () => this.#ended });
  }

  /** From now on the service may refuse connections. */
  leave(): void {
    this.#order('leaving');
  }

  async stop(): Promise<Balance> {
    this.#order('stop');
    return await until('the balance of the load', () => this.#balance, {
      within: 60_000,
      abort: () => (this.#balance === null ? this.#ended : null),
    });
  }

  #order(order: Order): void {
    if (this.#child.connected) this.#child.send(order);
  }
}
