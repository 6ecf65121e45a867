/** Checks what a worker says of the requests that it serves. */
import { plain } from '../system/plain.ts';
import { clip, isAmount, isFields } from './check-values.ts';
import { isRequestId, isTraceId, type ReportedRequest } from './request.ts';
import { maxMethod, maxRoute, maxUrl, requestPhases } from './requests.ts';

/** Requests of one message. */
export const maxRequests = 20;

/** @returns those of the list that are requests; none if it is no list */
export function requestsIn(raw: unknown, most = maxRequests): ReportedRequest[] {
  if (!Array.isArray(raw)) return [];
  return raw.slice(0, most).flatMap((each: unknown): ReportedRequest[] => {
    if (!isFields(each) || typeof each.method !== 'string' || typeof each.url !== 'string' || !isAmount(each.age))
      return [];
    const { id, trace, route, phase } = each;
    return [
      {
        method: plain(clip(each.method, maxMethod)),
        url: plain(clip(each.url, maxUrl)),
        age: each.age,
        id: isRequestId(id) ? clip(id, 200) : null,
        trace: isTraceId(trace) ? trace : null,
        route: typeof route === 'string' ? plain(clip(route, maxRoute)) : null,
        phase: requestPhases.find((known) => known === phase) ?? null,
      },
    ];
  });
}
