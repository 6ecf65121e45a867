/** Which release it is, in the lines that say that a generation serves. */
import type { Action } from '../../core/actions.ts';
import { type ReleaseIdentity, releaseText } from '../../protocol/release-text.ts';
import type { Line } from './line.ts';

const types: ReadonlySet<Action['type']> = new Set(['promote', 'complete', 'declareStarted']);

/** @param release of the generation in force */
export function withRelease(line: Line, { type }: Action, release: () => ReleaseIdentity): Line {
  if (!types.has(type)) return line;
  const identity = release();
  const fields = { ...line.fields, release: identity };
  // Said once, at the end.
  return { ...line, fields, message: type === 'promote' ? line.message : `${line.message} (${releaseText(identity)})` };
}
