/** What `prefork top` asks a service for. */
import type { ShownRequests } from '../../protocol/requests.ts';
import type { Status } from '../../protocol/status.ts';
import type { TimelineEntry } from '../../protocol/timeline-entry.ts';
import { checkStatus, entriesIn } from '../check-answers.ts';
import { call } from '../client.ts';
import { checkRequests } from '../inside/check.ts';

export interface Answers {
  readonly status: Status;
  /** Oldest first. */
  readonly entries: readonly TimelineEntry[];
  /** `null` if the service does not say it. */
  readonly inFlight: ShownRequests | null;
}

/** @throws ControlError */
export async function askAll(socket: string, signal?: AbortSignal): Promise<Answers> {
  const [now, entries] = await Promise.all([askNow(socket, signal), askTimeline(socket, signal)]);
  return { ...now, entries };
}

/** All but the timeline. @throws ControlError */
export async function askNow(socket: string, signal?: AbortSignal): Promise<Omit<Answers, 'entries'>> {
  const [status, inFlight] = await Promise.all([askStatus(socket, signal), askRequests(socket, signal)]);
  return { status, inFlight };
}

/** An older master does not say it. */
async function askRequests(socket: string, signal?: AbortSignal): Promise<ShownRequests | null> {
  return await call(socket, 'GET', '/requests?most=20', undefined, signal).then(
    (answer) => checkRequests(answer, socket),
    () => null,
  );
}

/** @throws ControlError */
export async function askStatus(socket: string, signal?: AbortSignal): Promise<Status> {
  return checkStatus(await call(socket, 'GET', '/status', undefined, signal), socket);
}

/** The timeline; an older master has none. */
async function askTimeline(socket: string, signal?: AbortSignal): Promise<readonly TimelineEntry[]> {
  return await call(socket, 'GET', '/timeline', undefined, signal).then(entriesIn, () => []);
}

/** Whether nothing listens there, as opposed to a master that does not answer: the system says so at once. */
export function isAbsence(error: unknown): boolean {
  const { cause } = error instanceof Error ? error : { cause: undefined };
  return cause instanceof Error && 'code' in cause;
}
