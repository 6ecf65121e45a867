/**
 * All kinds of clients against a service to which everything is done, at random: reloads, kills, blocks, stops, changes
 * of scale, while its workers are recycled. Ends with a balance: no request may fail but inside a worker that was killed.
 *
 *   npm run soak -- [--seconds 600] [--seed N]
 */
import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import { assertClean, assertNoZombies } from '../support/invariants.ts';
import { spawnLoad } from '../support/load/child.ts';
import { type Group, type Report, table, total } from '../support/load/mix.ts';
import { isAlive } from '../support/proc.ts';
import { newSeed, Random } from '../support/random.ts';
import { head, RawSocket } from '../support/raw.ts';
import { freePort } from '../support/request.ts';
import { stretched } from '../support/slowness.ts';
import { type Supervisor, startSupervisor } from '../support/supervisor.ts';
import { pause, until } from '../support/until.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: process.env.SOAK_SECONDS ?? '600' }, seed: { type: 'string' } },
});
const seconds = Number(values.seconds);
const random = new Random(values.seed === undefined ? newSeed() : Number(values.seed));

/** A stuck worker is killed after its timeout and what its stack takes: nobody gives up before. */
const timeout = 20_000;
const groups: readonly Group[] = [
  { kind: 'busy', clients: 2, think: 10, timeout },
  { kind: 'idle', clients: 8, timeout },
  { kind: 'fresh', clients: 3, think: 20, timeout },
  { kind: 'slow', clients: 4, timeout },
  { kind: 'download', clients: 2, timeout },
  { kind: 'upload', clients: 2, think: 20, timeout },
  { kind: 'events', clients: 2, count: 40, timeout },
  { kind: 'websocket', clients: 2, timeout },
];
const overHttp2: Group = { kind: 'http2', clients: 2, think: 20, timeout };
const clients = [...groups, overHttp2].reduce((sum, group) => sum + group.clients, 0);
const least = 2;
const most = 5;

/** What was done, and to whom. */
const done = new Map<string, number>();
const killed = new Set<number>();
/** Workers that the soak did not touch directly: whoever took a request that blocks. */
const blocking: RawSocket[] = [];
/** In the configuration: a reload brings it back. */
const configured = 3;
/** What the fleet was told to be, as near as it can be known: a reload takes effect some time after its signal. */
let wanted = configured;

type Deed = (s: Supervisor) => void;

const deeds: readonly (readonly [name: string, weight: number, deed: Deed])[] = [
  ['reload', 4, reload],
  ['kill', 2, (s) => strike(s, 'SIGKILL')],
  ['stop', 1, (s) => strike(s, 'SIGSTOP')],
  ['block for ever', 1, (s) => void blocking.push(RawSocket.open(s.target).write(head('/spin-forever')))],
  ['block for 700 ms', 3, (s) => void RawSocket.open(s.target).write(head('/spin?ms=700', { Connection: 'close' }))],
  ['abort a request', 2, (s) => abort(s)],
  ['one more', 2, (s) => scale(s, 1)],
  ['one less', 2, (s) => scale(s, -1)],
];

function strike(s: Supervisor, signal: NodeJS.Signals): void {
  const victim = random.pick(s.workers());
  if (victim === undefined) return;
  killed.add(victim);
  try {
    process.kill(victim, signal);
  } catch {
    // It left by itself just now.
  }
}

function abort(s: Supervisor): void {
  const socket = RawSocket.open(s.target).write(head('/slow?ms=1000'));
  setTimeout(() => socket.reset(), 200);
}

function reload(s: Supervisor): void {
  wanted = configured;
  s.signal('SIGHUP');
}

function scale(s: Supervisor, by: number): void {
  if (wanted + by < least || wanted + by > most) return;
  wanted += by;
  s.signal(by > 0 ? 'SIGTTIN' : 'SIGTTOU');
}

function choose(): (typeof deeds)[number] {
  let left = random.next() * deeds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const deed of deeds) {
    left -= deed[1];
    if (left < 0) return deed;
  }
  throw new Error('the weights are wrong');
}

/** Everything that may not be, in words. */
function faults(s: Supervisor, report: Report): string[] {
  const all = total(report);
  const found: string[] = [];
  for (const failure of ['refused', 'client-timeout', 'wrong-body', 'http-5xx', 'other'] as const) {
    if (all.failedAs(failure) > 0) found.push(`${all.failedAs(failure)} requests failed as ${failure}`);
  }
  if (all.answered + all.failed !== all.sent) found.push(`${all.sent - all.answered - all.failed} are unaccounted for`);
  const dead = deaths(s);
  // A client has one request under way at a time.
  if (all.failed > dead.size * clients) found.push(`${all.failed} failed, with ${dead.size} dead workers`);
  for (const detail of all.details) {
    const owner = /connection of worker (\d+)/.exec(detail)?.[1];
    if (owner !== undefined && !dead.has(Number(owner))) found.push(`worker ${owner} was not killed: ${detail}`);
  }
  for (const line of s.log) {
    const pid = Number(line.pid);
    // It had no socket yet when it was no longer wanted: no client has met it. With one it would have drained.
    if (/^worker gets SIGKILL: not needed/.test(line.msg)) continue;
    const isMine = killed.has(pid);
    if (/^worker exited unasked/.test(line.msg) && !isMine) found.push(`nobody killed it: ${JSON.stringify(line)}`);
    if (/^worker gets/.test(line.msg) && !isMine && !/stuck/.test(line.msg)) found.push(JSON.stringify(line));
    if (/^reload \d+ (failed|stopped)/.test(line.msg)) found.push(JSON.stringify(line));
  }
  const stuck = s.log.filter((line) => /^worker gets SIGABRT: stuck/.test(line.msg) && !killed.has(Number(line.pid)));
  if (stuck.length > blocking.length) found.push(`${stuck.length} were stuck, ${blocking.length} were made to be`);
  return found;
}

/** Workers that died otherwise than by themselves. */
function deaths(s: Supervisor): Set<number> {
  const ended = s.log.filter((line) => /^worker (gets|exited unasked)/.test(line.msg)).map((line) => Number(line.pid));
  return new Set([...killed, ...ended]);
}

const cleanups: (() => unknown)[] = [];
const context = { after: (cleanup: () => unknown) => cleanups.push(cleanup) } as unknown as TestContext;

async function main(): Promise<boolean> {
  console.log(`soak: ${seconds} s, seed ${random.seed}`);
  const h2 = await freePort();
  const s = await startSupervisor(context, {
    env: { H2_PORT: String(h2) },
    workers: configured,
    args: [
      ...['--timeout', `${stretched(3_000)}ms`, '--graceful-timeout', `${stretched(8_000)}ms`],
      ...['--max-workers', String(most)],
      ...['--max-requests', '1500', '--max-requests-jitter', '500', '--rollback-window', '0'],
    ],
  });
  await s.waitReady();
  const load = spawnLoad({ target: s.target, groups: [...groups, { ...overHttp2, target: { port: h2 } }] });
  cleanups.push(() => load.kill());
  await load.answered(50);
  const end = performance.now() + seconds * 1_000;
  let nextNews = performance.now() + 10_000;
  while (performance.now() < end && s.exit === null) {
    const [name, , deed] = choose();
    done.set(name, (done.get(name) ?? 0) + 1);
    deed(s);
    await pause(random.between(200, 1_800));
    if (performance.now() < nextNews) continue;
    nextNews += 10_000;
    const { sent, answered, failed } = load.progress;
    console.log(
      `${Math.round((end - performance.now()) / 1_000)} s left: sent ${sent}, answered ${answered}, failed ${failed}`,
    );
  }
  // What was stopped or blocked meets its timeout; what retires has its drain.
  await until('the stopped and the blocked to be gone', () => [...killed].every((pid) => !isAlive(pid)), {
    within: 30_000,
  });
  await until('the blocking requests to end', () => blocking.every((socket) => socket.ending !== 'open'), {
    within: 60_000,
  });
  await load.further(200);
  const report = await load.stop();
  // Only now: under load, workers reach maxRequests sooner than those before them have drained their WebSockets.
  await s.reload(60_000);
  await s.waitWorkers(configured, 60_000);
  await assertNoZombies(s);
  await s.stop();
  await assertClean(s);
  console.log(`\n${table(report)}\n`);
  console.log(`done: ${[...done].map(([name, times]) => `${name} ${times}`).join(', ')}`);
  const count = (pattern: RegExp): number => s.log.filter((line) => pattern.test(line.msg)).length;
  const recycled = count(/^worker retires: maxRequests/);
  console.log(
    `reloads done ${count(/^reload \d+ done/)}, workers recycled ${recycled}, workers dead ${deaths(s).size}`,
  );
  const found = faults(s, report);
  for (const fault of found) console.log(`FAULT: ${fault}`);
  if (found.length > 0) console.log(`the log ends:\n${s.describe()}`);
  return found.length === 0;
}

let isGood = false;
try {
  isGood = await main();
} catch (error) {
  console.log(error);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
console.log(isGood ? 'soak: good' : `soak: FAILED, seed ${random.seed}`);
process.exit(isGood ? 0 : 1);
