/** Checks what a worker says of its own end, and of what it had not answered then. */
import { plain } from '../system/plain.ts';
import { clip, type Fields, isAmount, isCount, isFields } from './check-values.ts';
import type { DyingMessage, SnapshotMessage, ToldRequest } from './messages.ts';

/** Requests of one message, and characters of their parts. */
export const maxRequests = 20;
const maxMethod = 20;
const maxUrl = 500;
/** Characters of a place in the sources. */
const maxFrame = 300;
const maxName = 100;
const maxMessage = 500;
const goodId = /^[\w.:@/+=,-]{1,200}$/;
/** Names of files that are made here; nothing else is one, so that it names no other folder. */
const snapshotName = /^[\w.-]{1,150}\.heapsnapshot$/;

/** @returns those of the list that are requests; none if it is no list */
export function requestsIn(raw: unknown, most = maxRequests): ToldRequest[] {
  if (!Array.isArray(raw)) return [];
  return raw.slice(0, most).flatMap((each: unknown) => {
    if (!isFields(each) || typeof each.method !== 'string' || typeof each.url !== 'string' || !isAmount(each.age))
      return [];
    const { id, route } = each;
    return [
      {
        method: text(each.method, maxMethod),
        url: text(each.url, maxUrl),
        age: each.age,
        ...(typeof id === 'string' && goodId.test(id) ? { id: clip(id, maxUrl) } : {}),
        ...(typeof route === 'string' ? { route: text(route, maxUrl) } : {}),
      },
    ];
  });
}

/** @returns a place in the sources; `null` if it is none */
export function frameIn(raw: unknown): string | null {
  return typeof raw === 'string' && raw !== '' ? text(raw, maxFrame) : null;
}

export function checkDying({ how, caller, after, requests, inFlight }: Fields): DyingMessage | null {
  if ((how !== 'exit' && how !== 'abort' && how !== 'end') || !isCount(inFlight)) return null;
  return {
    type: 'dying',
    how,
    caller: frameIn(caller),
    after: errorIn(after),
    requests: requestsIn(requests),
    inFlight,
  };
}

function errorIn(raw: unknown): DyingMessage['after'] {
  if (!isFields(raw) || typeof raw.name !== 'string' || typeof raw.message !== 'string') return null;
  return { name: text(raw.name, maxName), message: text(raw.message, maxMessage), frame: frameIn(raw.frame) };
}

export function checkSnapshot({ file, bytes, took, problem }: Fields): SnapshotMessage | null {
  if (!isCount(bytes) || !isAmount(took)) return null;
  const base = { type: 'snapshot', bytes, took } as const;
  if (typeof file === 'string' && snapshotName.test(file)) return { ...base, file: clip(file, 200), problem: null };
  return typeof problem === 'string' ? { ...base, file: null, problem: text(problem, maxMessage) } : null;
}

/** It is read by people, on one line. */
function text(raw: string, length: number): string {
  return plain(clip(raw, length));
}
