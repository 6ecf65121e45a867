/**
 * A hostile worker against a real master: everything it can send, hold, close, open, name and print, at random, for as long
 * as is wanted. As root the workers run as nobody. Beside it honest workers of the same service have clients, of which none
 * may notice anything; the master must answer all the while, and be at the end what it was at the beginning.
 *
 *   npm run fuzz -- [--for 10m] [--seed N] [--only <pattern of steps>]
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { call } from '../../src/cli/client.ts';
import { timedOut, within } from '../../src/system/within.ts';
import { bin, fromRoot } from '../support/paths.ts';
import { childrenOf, fdCount, isAlive, markedWith, residentSize } from '../support/proc.ts';
import { newSeed } from '../support/random.ts';
import { freePort } from '../support/request.ts';
import { stretched } from '../support/slowness.ts';
import { pause, until } from '../support/until.ts';

const { values } = parseArgs({
  options: { for: { type: 'string', default: '60s' }, seed: { type: 'string' }, only: { type: 'string', default: '' } },
});
const milliseconds = durationOf(values.for);
const seed = values.seed === undefined ? newSeed() : Number(values.seed);

const isRoot = process.geteuid?.() === 0;
const nobody = 65_534;
const workers = 6;
const hostileSlots = 4;
/**
 * Bytes by which what the master keeps may grow from the second third of a run to the last: what is bounded fills up. A
 * leak of one kilobyte for each worker or message is more than that in ten minutes. What it keeps is the least that it had
 * in ten seconds: in between there is what V8 has not collected yet, the more the busier the machine is.
 */
const maxGrowth = 40 * 1024 * 1024;
/**
 * Bytes that it may keep at any time: all that is bounded, filled to the brim, and what is just being made of it. In a
 * minute it does not fill up: without the limit of a message's length the master passes the smaller one in 15 seconds.
 */
const maxSize = (milliseconds < 300_000 ? 192 : 256) * 1024 * 1024;
/**
 * Milliseconds until the descriptors are again as many as before: the master goes on reading what the last workers have
 * printed, for ten seconds, see `src/master/workers/leftovers.ts`.
 */
const patience = 30_000;
/** Milliseconds in which the master answers `status`, without what it and this process have waited for a CPU. */
const maxAnswer = 2_000;
/**
 * Milliseconds of a CPU that the master may use until it answers: a turn of the event loop in which everything comes at
 * once, and the one in which the answer is made. On a busy machine its caches are cold, and a millisecond does less.
 */
const maxWork = 1_000;

interface Counts {
  sent: number;
  answered: number;
  readonly failed: string[];
}

interface Looks {
  count: number;
  slowest: number;
  /** The most that the master did until it answered. */
  work: number;
  readonly failed: string[];
}

function durationOf(text: string): number {
  const [, count, unit = 's'] = /^(\d+)(ms|s|m)?$/.exec(text) ?? [];
  if (count === undefined) throw new Error(`--for: expected 60s or 10m, got ${text}`);
  return Number(count) * { ms: 1, s: 1_000, m: 60_000 }[unit as 'ms' | 's' | 'm'];
}

function ask(port: number, agent: Agent | false, counts: Counts): Promise<void> {
  counts.sent += 1;
  return new Promise((resolve) => {
    const fail = (why: string): void => {
      counts.failed.push(why);
      resolve();
    };
    const asked = httpRequest({ host: '127.0.0.1', port, agent }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('error', (error) => fail(error.message));
      response.on('end', () => {
        if (response.statusCode !== 200 || Number(text) < hostileSlots) return fail(`${response.statusCode} ${text}`);
        counts.answered += 1;
        resolve();
      });
    });
    asked.setTimeout(15_000, () => asked.destroy(new Error('no answer')));
    asked.on('error', (error) => fail(error.message));
    asked.end();
  });
}

/** Honest clients, some of which keep their connections. */
function startClients(port: number): { readonly counts: Counts; stop(): Promise<void> } {
  const counts: Counts = { sent: 0, answered: 0, failed: [] };
  let isOver = false;
  const loops = [0, 1, 2, 3].map(async (index) => {
    const agent = index % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
    while (!isOver) {
      await ask(port, agent, counts);
      await pause(5);
    }
    if (agent !== false) agent.destroy();
  });
  return {
    counts,
    stop: async () => {
      isOver = true;
      await Promise.all(loops);
    },
  };
}

/** Milliseconds that the main thread of a process has run, and has waited for a CPU; see `test/support/slowness.ts`. */
function timesOf(pid: number): { readonly ran: number; readonly waited: number } {
  try {
    const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ').map(Number);
    return { ran: ran / 1e6, waited: waited / 1e6 };
  } catch {
    return { ran: 0, waited: 0 };
  }
}

/**
 * Asks for the status, over and over. What is judged is the master's own: the time that it, and this process, could not
 * run is the machine's, on which the hostile workers take all that there is.
 */
function startLooks(socket: string, pid: number): { readonly looks: Looks; stop(): Promise<void> } {
  const looks: Looks = { count: 0, slowest: 0, work: 0, failed: [] };
  let isOver = false;
  const look = async (): Promise<void> => {
    const [startedAt, before, own] = [performance.now(), timesOf(pid), timesOf(process.pid)];
    const error: unknown = await call(socket, 'GET', '/status').then(
      () => null,
      (reason: unknown) => reason,
    );
    const [took, after] = [performance.now() - startedAt, timesOf(pid)];
    const fair = took - (after.waited - before.waited) - (timesOf(process.pid).waited - own.waited);
    const work = after.ran - before.ran;
    looks.slowest = Math.max(looks.slowest, took);
    looks.work = Math.max(looks.work, work);
    const times = `${Math.round(took)} ms, ${Math.round(fair)} of them no wait for a CPU, ${Math.round(work)} at work`;
    // A command gives up after ten seconds, on any machine.
    const isLate = error === null || /no answer within/.test(String(error));
    if (!isLate) looks.failed.push(`${error} (${times})`);
    else if (fair > maxAnswer || work > maxWork) looks.failed.push(`${error ?? 'slow'} (${times})`);
  };
  const loop = (async () => {
    while (!isOver) {
      await look();
      // It is no JSON. What it costs to make it is a part of what is tried.
      if (looks.count % 10 === 0) await call(socket, 'GET', '/metrics').catch(() => {});
      looks.count += 1;
      await pause(300);
    }
  })();
  return {
    looks,
    stop: async () => {
      isOver = true;
      await loop;
    },
  };
}

/** What the workers may write to, and what they may not. */
interface Places {
  readonly dir: string;
  readonly folder: string;
  readonly precious: string;
  readonly pidfile: string;
  readonly socket: string;
  /** While it is there the hostile workers do nothing. */
  readonly enough: string;
}

function furnish(): Places {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-fuzz-')));
  const folder = join(dir, 'theirs');
  const precious = join(dir, 'precious');
  mkdirSync(folder);
  writeFileSync(precious, 'precious');
  symlinkSync(precious, join(folder, 'link'));
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  chmodSync(dir, 0o755);
  if (isRoot) chownSync(folder, nobody, nobody);
  const enough = join(folder, 'enough');
  writeFileSync(enough, '');
  writeFileSync(join(folder, 'steps'), '');
  if (isRoot) chownSync(join(folder, 'steps'), nobody, nobody);
  return { dir, folder, precious, pidfile: join(dir, 'app.pid'), socket: join(dir, 'app.ctl'), enough };
}

class Master {
  readonly #child: ChildProcess;
  readonly #mark = `FUZZ_RUN=${randomUUID()}`;
  /** The log without what workers have printed; the last of it. */
  readonly lines: string[] = [];
  readonly stray: string[] = [];
  printed = 0;
  exit: string | null = null;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, cwd: string) {
    const [name = '', value = ''] = this.#mark.split('=');
    this.#child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: { ...process.env, ...env, [name]: value, PWD: cwd, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.on('exit', (code, signal) => {
      this.exit = signal ?? `code ${code}`;
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      createInterface({ input: stream as Readable }).on('line', (line) => this.#take(line));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.exit === null) process.kill(this.pid, signal);
  }

  has(pattern: RegExp): boolean {
    return this.lines.some((line) => pattern.test(line));
  }

  /** Everything of this run that is left. */
  left(): number[] {
    return markedWith(this.#mark).filter(isAlive);
  }

  #take(line: string): void {
    if (line.includes('"stream":"std')) {
      this.printed += 1;
      return;
    }
    const list = /^\{"level":\d0,"time":"[^"]+","name":"/.test(line) ? this.lines : this.stray;
    list.push(line);
    if (list.length > 20_000) list.splice(0, 10_000);
  }
}

/** Waits until no worker is on its way, and says what the master has then. */
async function settled(m: Master, { socket }: Places): Promise<{ readonly fds: number; readonly children: number }> {
  const alive = (): string | null => (m.exit === null ? null : `the master ended: ${m.exit}`);
  const reload = await within(
    call<{ verdict: string; reason: string }>(socket, 'POST', '/reload', { wait: true }),
    stretched(30_000),
    { ref: true },
  );
  if (reload === timedOut || reload.verdict !== 'completed')
    throw new Error(`no reload any more: ${reload === timedOut ? 'it does not end' : reload.reason}`);
  const figures = () => ({ fds: fdCount(m.pid), children: childrenOf(m.pid).length });
  let last = figures();
  await until(
    'the master to be quiet',
    async () => {
      const before = last;
      await pause(1_500);
      last = figures();
      const { workers: all } = await call<{ workers: readonly { phase: string }[] }>(socket, 'GET', '/status');
      const isWhole = all.length === workers && all.every(({ phase }) => phase === 'ready');
      return isWhole && before.fds === last.fds && before.children === last.children;
    },
    { within: stretched(60_000), abort: alive },
  );
  return last;
}

/** Where what a worker says goes: a descriptor, or with `null` node:cluster's channel. */
async function speechOf(): Promise<number | null> {
  const messages = (await import('../../src/protocol/messages.ts')) as { readonly speechDescriptor?: number };
  return messages.speechDescriptor ?? null;
}

async function start(places: Places, honestPort: number): Promise<Master> {
  const python = ['/usr/bin/python3', '/usr/local/bin/python3'].find((file) => existsSync(file)) ?? null;
  if (python === null) console.log('there is no python3: no descriptors are sent over sockets');
  const { folder, precious, pidfile, dir } = places;
  const ports = { honestPort, hostilePort: await freePort() };
  const about = {
    seed,
    only: values.only,
    speech: await speechOf(),
    python,
    isOther: isRoot,
    hostileSlots,
    folder,
    precious,
    pidfile,
  };
  const args = [
    // Which worker has a connection is known only if it stays there: one that moves may come to one that is hostile.
    '--no-migration',
    ...[
      fromRoot('test/fuzz/app.cjs'),
      '-w',
      String(workers),
      '-p',
      pidfile,
      '--admin',
      `127.0.0.1:${await freePort()}`,
    ],
    ...['--timeout', '3s', '--blocked-warning', '500ms', '--graceful-timeout', '3s', '--boot-timeout', '30s'],
    ...['--rollback-window', '0', '--capture-output', '--log-format', 'json', ...(isRoot ? ['-u', 'nobody'] : [])],
  ];
  const env = {
    FUZZ: JSON.stringify({ ...about, ...ports }),
    FUZZ_PREFORK_URL: pathToFileURL(fromRoot('dist/index.js')).href,
  };
  return new Master(args, env, dir);
}

interface Result {
  readonly faults: readonly string[];
  readonly figures: readonly string[];
}

async function run(m: Master, places: Places, honestPort: number): Promise<Result> {
  const { socket, enough, folder, precious } = places;
  const faults: string[] = [];
  const fault = (isOne: boolean, text: string): void => {
    if (isOne) faults.push(text);
  };
  const gone = (): string | null => (m.exit === null ? null : `the master ended: ${m.exit}`);
  await until('the service to be ready', () => m.has(/"msg":"ready: /), { within: stretched(60_000), abort: gone });
  const before = await settled(m, places);
  const clients = startClients(honestPort);
  const looks = startLooks(socket, m.pid);
  const startedAt = performance.now();
  unlinkSync(enough);
  /** What the master kept, every ten seconds. */
  const kept: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  let reloads = 0;
  let reloadAt = startedAt + 5_000;
  let newsAt = startedAt + 10_000;
  while (m.exit === null && performance.now() - startedAt < milliseconds) {
    await pause(250);
    if (m.exit !== null) break;
    const now = performance.now();
    const size = sizeOf(m);
    if (size === null) continue;
    least = Math.min(least, size);
    most = Math.max(most, size);
    if (now > reloadAt) {
      // Workers that were killed over and over wait long for a successor; a reload does not.
      reloadAt = now + 5_000;
      reloads += 1;
      m.signal('SIGHUP');
    }
    if (now < newsAt) continue;
    newsAt += 10_000;
    kept.push(least);
    least = Number.POSITIVE_INFINITY;
    const { sent, answered, failed } = clients.counts;
    const left = Math.round((milliseconds - (now - startedAt)) / 1_000);
    console.log(
      `${left} s left: master ${mebibytes(size)}, ${fdCount(m.pid)} descriptors; clients sent ${sent}, answered ${answered}, failed ${failed.length}`,
    );
  }
  writeFileSync(enough, '');
  await clients.stop();
  await looks.stop();
  fault(m.exit !== null, `the master ended: ${m.exit}`);
  const { sent, answered, failed } = clients.counts;
  fault(sent !== answered + failed.length, `${sent - answered - failed.length} requests are unaccounted for`);
  fault(
    failed.length > 0,
    `${failed.length} requests to honest workers failed: ${[...new Set(failed)].slice(0, 5).join('; ')}`,
  );
  fault(answered < 10, `only ${answered} requests were answered`);
  for (const each of [...new Set(looks.looks.failed)].slice(0, 10)) faults.push(`status: ${each}`);
  // In less than five minutes what is bounded (metrics, routes, the timeline) is still filling up: then only the size counts.
  const third = Math.ceil(kept.length / 3);
  const growth = Math.min(...kept.slice(-third)) - Math.min(...kept.slice(third, -third));
  fault(milliseconds >= 300_000 && growth > maxGrowth, `what the master keeps grew by ${mebibytes(growth)}`);
  fault(Math.max(...kept) > maxSize, `the master kept ${mebibytes(Math.max(...kept))}`);
  fault(readFileSync(precious, 'utf8') !== 'precious', 'a file of the master was changed');
  const figures = [
    `clients of honest workers: sent ${sent}, answered ${answered}, failed ${failed.length}`,
    `status: asked ${looks.looks.count} times, slowest ${Math.round(looks.looks.slowest)} ms, most work until an answer ${Math.round(looks.looks.work)} ms`,
    `master: kept ${mebibytes(Math.min(...kept))} to ${mebibytes(Math.max(...kept))}, ${mebibytes(most)} at most; lines of workers ${m.printed}`,
  ];
  if (m.exit === null) {
    await settled(m, places);
    // What the last ones have forked lets go of its pipes, and what they have printed is read.
    // A worker that says it could lead has the master claim the right to name a leader: a socket, which it keeps.
    const most = before.fds + 1;
    const isBack = (): boolean => fdCount(m.pid) <= most && childrenOf(m.pid).length <= before.children;
    await until('the descriptors to be closed', isBack, { within: stretched(patience), abort: gone }).catch(() => {});
    const after = { fds: fdCount(m.pid), children: childrenOf(m.pid).length };
    fault(
      after.fds > most,
      `descriptors of the master: ${before.fds} before, ${after.fds} after: ${openIn(m.pid).join(', ')}`,
    );
    fault(
      after.children > before.children,
      `children of the master: ${before.children} before, ${after.children} after`,
    );
    figures.push(`descriptors ${before.fds} -> ${after.fds}, children ${before.children} -> ${after.children}`);
    const askedAt = performance.now();
    m.signal('SIGTERM');
    await until('the master to end', () => m.exit !== null, { within: stretched(15_000) }).catch(() => undefined);
    fault(m.exit !== 'code 0', `at TERM the master ended with ${m.exit ?? 'nothing'}`);
    figures.push(`stopped in ${Math.round(performance.now() - askedAt)} ms, ${reloads} reloads`);
  }
  for (const line of m.lines) fault(/this is a bug|"level":60/.test(line), line.slice(0, 2_000));
  for (const line of m.stray.slice(0, 20)) faults.push(`a line that is no record: ${line.slice(0, 500)}`);
  const steps = readFileSync(join(folder, 'steps'), 'utf8').trimEnd().split('\n');
  const kinds = new Map<string, number>();
  for (const step of steps) {
    const kind = step.replace(/^.*?: /, '');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  figures.push(`steps ${steps.length}: ${[...kinds].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  const offences = m.lines.filter((line) => /broke the protocol/.test(line)).length;
  figures.push(
    `workers that broke the protocol ${offences}, killed ${m.lines.filter((line) => /worker gets/.test(line)).length}`,
  );
  if (faults.length > 0) {
    console.log(`the last steps:\n${steps.slice(-20).join('\n')}`);
    console.log(`the log ends:\n${m.lines.slice(-20).join('\n').slice(-8_000)}`);
  }
  return { faults, figures };
}

/** Its memory; `null` if it is gone, which its exit tells. */
function sizeOf(m: Master): number | null {
  try {
    return residentSize(m.pid);
  } catch {
    return null;
  }
}

/** What a process has open, for the report. */
function openIn(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`;
    } catch {
      return fd;
    }
  });
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

async function main(): Promise<boolean> {
  console.log(`fuzz: ${milliseconds / 1_000} s, seed ${seed}, workers ${isRoot ? 'as nobody' : 'as the same user'}`);
  const places = furnish();
  const honestPort = await freePort();
  const m = await start(places, honestPort);
  try {
    const { faults, figures } = await run(m, places, honestPort);
    for (const line of figures) console.log(line);
    for (const line of faults) console.log(`FAULT: ${line}`);
    return faults.length === 0;
  } catch (error) {
    console.log(error);
    console.log(m.stray.concat(m.lines).slice(-30).join('\n'));
    return false;
  } finally {
    m.signal('SIGKILL');
    await until('everything to be gone', () => kill(m.left()), { within: 10_000 }).catch(() => undefined);
    rmSync(places.dir, { recursive: true, force: true });
  }
}

function kill(pids: readonly number[]): boolean {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone.
    }
  }
  return pids.length === 0;
}

const isGood = await main();
const only = values.only === '' ? '' : ` --only '${values.only}'`;
console.log(isGood ? 'fuzz: good' : `fuzz: FAILED; again: npm run fuzz -- --seed ${seed} --for ${values.for}${only}`);
process.exit(isGood ? 0 : 1);
