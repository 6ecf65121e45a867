/** What a Content-Security-Policy calls a style or a script that stands in the document. */
import { createHash } from 'node:crypto';

/** @see https://www.w3.org/TR/CSP3/#grammardef-hash-source */
export function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
