/** What `prefork top` asks a service for. */
import type { Status } from '../../protocol/status.ts';
import type { TimelineEntry } from '../../protocol/timeline-entry.ts';
import { checkStatus, entriesIn } from '../check-answers.ts';
import { call } from '../client.ts';

export interface Answers {
  readonly status: Status;
  /** Oldest first. */
  readonly entries: readonly TimelineEntry[];
}

/** @throws ControlError */
export async function askAll(socket: string, signal?: AbortSignal): Promise<Answers> {
  const [status, entries] = await Promise.all([askStatus(socket, signal), askTimeline(socket, signal)]);
  return { status, entries };
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
