/** Checks what a worker says of its own end, and of what it had not answered then. */
import { plain } from '../system/plain.ts';
import { requestsIn } from './check-requests.ts';
import { clip, type Fields, isAmount, isCount, isFields } from './check-values.ts';
import type { DyingMessage, SnapshotMessage } from './messages.ts';

/** Characters of a place in the sources. */
const maxFrame = 300;
const maxName = 100;
const maxMessage = 500;
/** Names of files that are made here; nothing else is one, so that it names no other folder. */
const snapshotName = /^[\w.-]{1,150}\.heapsnapshot$/;

/** @returns a place in the sources; `null` if it is none */
export function frameIn(raw: unknown): string | null {
  return typeof raw === 'string' && raw !== '' ? text(raw, maxFrame) : null;
}

/** @returns what explains an error, on one line; `null` if there is nothing */
export function becauseIn(raw: unknown): string | null {
  return typeof raw === 'string' && raw !== '' ? text(raw, maxMessage) : null;
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
  return {
    name: text(raw.name, maxName),
    message: text(raw.message, maxMessage),
    frame: frameIn(raw.frame),
    because: becauseIn(raw.because),
  };
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
