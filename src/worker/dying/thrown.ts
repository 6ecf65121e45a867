/** What an app has thrown, in words: it may be anything, and what explains an error is often not in its own message. */
import { inspect } from 'node:util';

/** Causes that are followed, and errors that are named of many. */
const maxDepth = 3;
const maxErrors = 3;
const maxText = 300;
/** What throws even when it is looked at. */
export const unshowable = 'something that cannot be shown';

export interface Thrown {
  /** Empty if it is no Error. */
  readonly name: string;
  readonly message: string;
  /** Its causes, and the errors that it stands for. `null` if it has none. */
  readonly because: string | null;
}

/** Never throws: a getter may, and a Proxy. */
export function describeThrown(thrown: unknown): Thrown {
  try {
    if (!(thrown instanceof Error)) return { name: '', message: valueText(thrown), because: null };
    const because = becauseOf(thrown, maxDepth).slice(0, maxText);
    return { name: String(thrown.name), message: String(thrown.message), because: because === '' ? null : because };
  } catch {
    return { name: '', message: unshowable, because: null };
  }
}

function becauseOf(error: Error, depth: number): string {
  const { cause, errors } = error as { cause?: unknown; errors?: unknown };
  if (depth === 0) return '';
  // What Node gives when it has tried each address of a name: its own message is empty.
  const each = Array.isArray(errors) ? (errors as unknown[]) : [];
  const more = each.length > maxErrors ? [`${each.length - maxErrors} more`] : [];
  const named = each.slice(0, maxErrors).map((inner) => innerText(inner, depth - 1));
  const caused = cause === undefined || cause === null ? [] : [`cause: ${innerText(cause, depth - 1)}`];
  return [...named, ...more, ...caused].join('; ');
}

function innerText(thrown: unknown, depth: number): string {
  if (!(thrown instanceof Error)) return valueText(thrown);
  const own = [String(thrown.name), firstLine(String(thrown.message))].filter((part) => part !== '').join(': ');
  const because = becauseOf(thrown, depth);
  return because === '' ? own : `${own} (${because})`;
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value.slice(0, maxText);
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 100 });
  return text.slice(0, maxText);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
