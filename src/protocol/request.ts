/** What is said of a request that is not answered yet: in reports of workers, and in the lines made of them. */

import type { RequestPhase } from './requests.ts';

/** A request as a report has it. */
export interface ReportedRequest {
  readonly method: string;
  readonly url: string;
  /** Milliseconds since it began. */
  readonly age: number;
  /** Its `X-Request-ID`; `null` if it has none. */
  readonly id: string | null;
  /** The trace id of its `traceparent`; `null` if it came with none. */
  readonly trace: string | null;
  /** As its framework or the hook `route` knows it; `null` if that is not known. */
  readonly route: string | null;
  readonly phase: RequestPhase | null;
}

/** An id that a client or a proxy may choose: short, printable, and harmless wherever it is shown. */
const goodId = /^[\w.:@/+=,-]{1,200}$/;
const traceId = /^(?!0{32})[\da-f]{32}$/;

export function isRequestId(value: unknown): value is string {
  return typeof value === 'string' && goodId.test(value);
}

export function isTraceId(value: unknown): value is string {
  return typeof value === 'string' && traceId.test(value);
}

/** @returns by what a request is found in other logs, such as ` (id 7f3a, trace 4bf9…)`; empty if there is nothing */
export function idsOf({ id, trace }: Pick<ReportedRequest, 'id' | 'trace'>): string {
  const ids = [id === null ? [] : `id ${id}`, trace === null ? [] : `trace ${trace}`].flat();
  return ids.length === 0 ? '' : ` (${ids.join(', ')})`;
}
