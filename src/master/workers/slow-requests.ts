/** What the log says of slow requests. */
import type { Worker } from '../../core/model.ts';
import type { SlowRequest, WorkerMessage } from '../../protocol/messages.ts';
import { seconds, workerFields } from '../log/line.ts';
import type { Logger } from '../log/logger.ts';

type Slow = Extract<WorkerMessage, { type: 'slow' }>;

/** A line each. How many there can be is the worker's to keep, and the master's to enforce (`restraint.ts`). */
export function reportSlow(worker: Worker, { requests, more, within }: Slow, logger: Logger): void {
  for (const request of requests) {
    const { method, url, route, id, trace, age, state, status } = request;
    const fields = {
      ...workerFields(worker),
      method,
      url,
      ...(route === null ? {} : { route }),
      ...(id === null ? {} : { requestId: id }),
      // As the access log has it.
      ...(trace === null ? {} : { trace_id: trace }),
      ...(status === null ? {} : { status }),
      [state === 'running' ? 'ageMs' : 'durationMs']: Math.round(age),
      state,
    };
    logger.warn(fields, sentence(request));
  }
  if (more > 0) {
    logger.warn(
      { ...workerFields(worker), more },
      `${more} more slow requests ${more === 1 ? 'is' : 'are'} not listed, of the ${within / 1_000} s before`,
    );
  }
}

function sentence({ method, url, route, id, trace, age, state, status }: SlowRequest): string {
  const named = [
    route === null || route === url ? [] : `route ${route}`,
    id === null ? [] : `request id ${id}`,
    trace === null ? [] : `trace ${trace}`,
  ].flat();
  const which = `${method} ${url}${named.length === 0 ? '' : ` (${named.join(', ')})`}`;
  switch (state) {
    case 'running':
      return `slow request: ${which} runs for ${seconds(age)}`;
    case 'answered':
      return `slow request: ${which} took ${seconds(age)} in all, answered with ${status ?? 'nothing'}`;
    case 'left':
      return `slow request: ${which} took ${seconds(age)} in all, then its client left`;
    case 'timed-out':
      return `request timed out: ${which} was answered with ${status ?? 504} after ${seconds(age)}`;
  }
}
