/** What may not be, found in the counts and in the log of a soak. */
import { type Report, total } from '../support/load/mix.ts';
import { Tally, type TallyData } from '../support/load/tally.ts';
import { slowness } from '../support/slowness.ts';
import { type Reports, sum } from './clients.ts';
import type { Patient } from './service.ts';

/**
 * Of connections that cannot move, and were closed for the service's sake, so many may lose a request that crosses with
 * their end. Most clients are told with an answer. Some think for longer than an old worker waits, here some 5 s: of those
 * behind a line of up to 150 ms each way one in ten sends in the 300 ms after the moment at which the end was decided.
 */
const mayCross = 0.05;

/** After what operators do: no request may fail, save of those that are promised less. */
export function faultsOfOrders({ nothing, noFailure, few }: Reports): string[] {
  const found = [...incomplete(nothing), ...incomplete(noFailure), ...incomplete(few)];
  for (const [name, counts] of [...Object.entries(nothing), ...Object.entries(noFailure)]) {
    const { failed } = new Tally().merge(counts);
    if (failed > 0) found.push(`${name}: ${failed} of ${counts.sent} requests failed`);
  }
  for (const [name, { clients, connections }] of Object.entries(nothing)) {
    if (connections > clients) found.push(`${name}: ${clients} clients opened ${connections} connections`);
  }
  for (const [name, counts] of Object.entries(few)) {
    const tally = new Tally().merge(counts);
    const bound = boundOf(name, counts);
    if (tally.failed > bound) found.push(`${name}: ${tally.failed} failed, ${bound} might`);
    if (tally.failed > tally.resets)
      found.push(`${name}: ${tally.failed - tally.resets} failed otherwise than by an end`);
  }
  return found;
}

/**
 * How many requests over connections that cannot move may fail. A message of a WebSocket, of which a client has one under
 * way at a time, may cross with each close: RFC 6455, 5.5.1, lets who has sent one discard what comes after.
 */
export function boundOf(name: string, { clients, connections }: TallyData): number {
  const closed = Math.max(0, connections - clients);
  // What takes longer on a busy machine, as an answer does, crosses more often.
  const expected = Math.min(0.5, mayCross * slowness()) * closed;
  // Three standard deviations: a sample may have bad luck.
  return name.startsWith('WebSocket') ? closed : Math.ceil(expected + 3 * Math.sqrt(expected));
}

/** After what goes wrong: only requests inside a worker that died have failed. */
export function faultsOfMishaps(reports: Reports, patient: Patient): string[] {
  const all = sum(reports);
  const found = [...incomplete(reports.nothing), ...incomplete(reports.noFailure), ...incomplete(reports.few)];
  for (const failure of ['refused', 'client-timeout', 'wrong-body', 'http-5xx', 'other'] as const) {
    if (all.failedAs(failure) > 0) found.push(`${all.failedAs(failure)} requests failed as ${failure}`);
  }
  const dead = deaths(patient);
  // A client has one request under way at a time; one that pipelines, four.
  const inside = dead.size * (all.clients + 3 * (reports.nothing.pipelining?.clients ?? 0));
  // Orders are given here too, and what cannot move may cross with them.
  const most = Object.entries(reports.few).reduce((so, [name, counts]) => so + boundOf(name, counts), inside);
  const movable = total({ ...reports.nothing, ...reports.noFailure });
  if (dead.size === 0 && movable.failed > 0) found.push(`${movable.failed} failed that can move, and no worker died`);
  if (all.failed > most) found.push(`${all.failed} failed, with ${dead.size} dead workers`);
  // Who answered last on a connection that cannot move still has it; over a slow line it may have crossed with an order.
  const near = Object.fromEntries(Object.entries(reports.few).filter(([name]) => !name.includes('slow line')));
  for (const detail of total(near).details) {
    const owner = /connection of worker (\d+)/.exec(detail)?.[1];
    if (owner !== undefined && !dead.has(Number(owner))) found.push(`worker ${owner} was not killed: ${detail}`);
  }
  return found;
}

/** What the masters said, from the first line to the last. */
export function faultsOfLog(patient: Patient): string[] {
  const { log, killed, blocking } = patient;
  const found: string[] = [];
  for (const line of log) {
    const isMine = killed.has(Number(line.pid));
    // It had no socket yet when it was no longer wanted: no client has met it. With one it would have drained.
    if (/^worker gets SIGKILL: not needed/.test(line.msg)) continue;
    if (/^worker exited unasked/.test(line.msg) && !isMine) found.push(`nobody killed it: ${JSON.stringify(line)}`);
    if (/^worker gets/.test(line.msg) && !isMine && !/stuck/.test(line.msg)) found.push(JSON.stringify(line));
    if (/^(reload|upgrade) \d+ (failed|stopped)/.test(line.msg)) found.push(JSON.stringify(line));
  }
  const stuck = log.filter((line) => /^worker gets SIGABRT: stuck/.test(line.msg) && !killed.has(Number(line.pid)));
  if (stuck.length > blocking.length) found.push(`${stuck.length} were stuck, ${blocking.length} were made to be`);
  return found;
}

/** Workers that died otherwise than by themselves. */
export function deaths({ log, killed }: Patient): Set<number> {
  const ended = log.filter((line) => /^worker (gets|exited unasked)/.test(line.msg)).map((line) => Number(line.pid));
  return new Set([...killed, ...ended]);
}

function incomplete(report: Report): string[] {
  return Object.entries(report).flatMap(([name, counts]) => {
    const { sent, answered, failed } = new Tally().merge(counts);
    return answered + failed === sent ? [] : [`${name}: ${sent - answered - failed} requests are unaccounted for`];
  });
}
