/**
 * Reads the one thing that a child says that runs config code: a line of JSON, in bounded memory. A hook runs as the
 * workers' user, and whatever its code can reach may be written by the app: nothing counts that is not as it should be.
 */
import { isUtf8 } from 'node:buffer';
import { Pieces } from '../../system/pieces.ts';
import { weightOf } from '../../system/weight.ts';
import { shorten } from '../show.ts';
import type { ProbeOrder, ProbeReport } from './messages.ts';

/** Bytes of an answer. That of a hook says only whether it failed. */
const maxLength = { settings: 8 * 1024 * 1024, hook: 64 * 1024 };
/** Values in it, roughly. */
const maxWeight = 200_000;
/** Characters of the reason of a failure, a path included. */
const maxReason = 2_000;
const newline = 0x0a;

/** What was heard: the report, or why there will be none. */
export type Heard =
  | { readonly kind: 'report'; readonly report: ProbeReport }
  | { readonly kind: 'offence'; readonly reason: string };

export class Answer {
  readonly #expected: ProbeOrder['type'];
  readonly #line = new Pieces();

  /** @param expected of what order it is the answer */
  constructor(expected: ProbeOrder['type']) {
    this.#expected = expected;
  }

  /**
   * Takes what has been read.
   *
   * @returns `null` until it is known what the answer is; it is not to be called afterwards
   */
  take(chunk: Buffer): Heard | null {
    const end = chunk.indexOf(newline);
    const part = end < 0 ? chunk : chunk.subarray(0, end);
    if (this.#line.length + part.length > maxLength[this.#expected]) return offence('it is too long');
    const line = this.#line.add(part);
    return end < 0 ? null : this.#finish(line);
  }

  #finish(line: Buffer): Heard {
    if (!isUtf8(line)) return offence('it is no text');
    if (weightOf(line) > maxWeight) return offence('it is too complex');
    let raw: unknown;
    try {
      raw = JSON.parse(line.toString('utf8'));
    } catch {
      return offence('it is no JSON');
    }
    const report = reportOf(raw, this.#expected);
    return report === null ? offence('it has not the form of one') : { kind: 'report', report };
  }
}

function offence(reason: string): Heard {
  return { kind: 'offence', reason };
}

/** What is in the settings is for the table of settings to check. */
function reportOf(raw: unknown, expected: ProbeOrder['type']): ProbeReport | null {
  if (!isObject(raw)) return null;
  const { type, reason, settings } = raw;
  if (type === 'failed') return typeof reason === 'string' ? { type, reason: shorten(reason, maxReason) } : null;
  if (expected === 'hook') return type === 'called' ? { type } : null;
  return type === 'settings' && isObject(settings) ? { type, settings } : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
