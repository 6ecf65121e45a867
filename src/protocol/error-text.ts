/** What an app has thrown, as a line says it. */
import { plain } from '../system/plain.ts';
import type { ErrorReport } from './messages.ts';

/** Characters of an error's message in a line. */
const maxMessage = 300;

type Told = Pick<ErrorReport, 'name' | 'message' | 'because'>;

/** `TypeError: fetch failed (cause: Error: connect ECONNREFUSED 127.0.0.1:5432)` */
export function errorText({ name, message, because = null }: Told): string {
  const [first = ''] = message.split('\n', 1);
  const text = plain(first.slice(0, maxMessage));
  const both = [plain(name), text].filter((part) => part !== '').join(': ');
  const whole = first.length > maxMessage ? `${both}...` : both;
  return because === null ? whole : `${whole} (${plain(because)})`;
}

/** The same with where it comes from, and of a rejection that it is one. */
export function thrownText({ isRejection = false, frame = null, name, message, because = null }: ErrorReport): string {
  const place = placeText(frame);
  if (!isRejection) {
    const text = errorText({ name, message, because });
    return `${name === '' ? `${text} (not an Error)` : text}${place}`;
  }
  // What was no error Node has wrapped in one, and said so at length.
  const [, reason] = /rejected with the reason "([\s\S]*)"\.?$/.exec(message) ?? [];
  const text = errorText(reason === undefined ? { name, message, because } : { name: '', message: reason });
  return `a promise was rejected and nothing handled it: ${text}${place}`;
}

/** Where an error comes from, behind what it says; nothing if that is not known. */
export function placeText(frame: string | null): string {
  return frame === null ? '' : ` at ${frame}`;
}

/** The frames of a stack as Node prints it: what follows an error's own properties is none of them. */
export function framesOf(stack: string): string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map((line) => line.trim().replace(/ \{$/, ''));
}
