/** What the log says of the exit of a worker: how, why, and what it left unanswered. */
import type { Death } from '../../core/death.ts';
import type { EventOf } from '../../core/events.ts';
import { findWorker } from '../../core/fleet.ts';
import type { Fleet, Phase, Worker } from '../../core/model.ts';
import { requestsText, requestText } from '../../protocol/unanswered-text.ts';
import { type Line, seconds, workerLine } from './line.ts';

/** Milliseconds for which nobody leads that are worth a warning. */
const longLeaderless = 1_000;

export function narrateExit(event: EventOf<'workerExited'>, before: Fleet, now: number): Line | null {
  const { id, code, signal, death } = event;
  const worker = findWorker(before, id);
  if (worker === undefined) return null;
  const { phase, bornAt } = worker;
  const how = signal === null ? `code ${code}` : signal;
  const kind = worker.slot === null ? 'spare' : 'worker';
  const about = death === undefined ? '' : `${whyOf(death)}${servingOf(death)}`;
  const fields = { code, signal, lifeMs: Math.round(now - bornAt), ...(death === undefined ? {} : fieldsOf(death)) };
  const tell = (level: Line['level'], message: string, more: Line['fields'] = {}): Line => ({
    ...workerLine(level, `${message}${about}`, before, id, { ...fields, ...more }),
    ...(death === undefined ? {} : { details: detailsOf(death, worker), stack: death.stack }),
  });
  if (phase.name === 'draining') {
    const drainMs = Math.round(now - phase.since);
    // Nobody could lead meanwhile.
    const isLate = before.leadership.leader?.id === id && drainMs >= longLeaderless;
    const level = isLate || signal !== null || (code ?? 0) !== 0 ? 'warn' : 'info';
    const late = isLate ? '; it led to its end: the work of onLeader did not end when its signal aborted' : '';
    return tell(level, `${kind} left after ${seconds(drainMs)} of drain (${how})${late}`, { drainMs });
  }
  if (phase.name === 'killed') return tell('info', `${kind} is gone (${how})`);
  return tell('error', `${kind} exited unasked (${how}) ${during(phase)}`);
}

function during(phase: Phase): string {
  if (phase.name === 'spare') return 'while it waited for a place';
  return phase.name === 'booting' || phase.name === 'joining' ? 'before it was ready' : 'while it served';
}

function whyOf({ why }: Death): string {
  return why === null ? '' : `: ${why}`;
}

function servingOf({ requests, inFlight }: Death): string {
  const named = requestsText(requests, inFlight);
  if (named !== '') return `; it was serving ${named}`;
  return inFlight > 0
    ? `; ${inFlight} ${inFlight === 1 ? 'request was' : 'requests were'} in flight, none for long`
    : '';
}

function fieldsOf({ cause, requests, inFlight, stack }: Death): Line['fields'] {
  return {
    ...(cause === 'asked' ? {} : { cause }),
    ...(inFlight > 0 ? { inFlight, requests } : {}),
    ...(stack.length > 0 ? { stack } : {}),
  };
}

/** The whole story, for those who open it. */
function detailsOf({ requests, inFlight, details }: Death, { figures }: Worker): string[] {
  const rest = inFlight - requests.length;
  const megabytes = (bytes: number | null | undefined): string => `${Math.round((bytes ?? 0) / 1_048_576)} MB`;
  return [
    ...requests.map((request) => `not answered: ${requestText(request)}`),
    ...(rest > 0 ? [`not answered: ${rest} ${requests.length > 0 ? 'more' : 'that had not taken long'}`] : []),
    ...details,
    ...(figures === null
      ? []
      : [
          `last figures: ${megabytes(figures.heapUsed)} of heap used, ${megabytes(figures.rss)} resident, ` +
            `${figures.connections} connections, ${figures.requests} requests served`,
        ]),
  ];
}
