/** The questions that the checks of messages ask of a value that came over a channel. */

export type Fields = Readonly<Record<string, unknown>>;

/** Longest string that is taken from a worker; an error report is cut, anything else is refused. */
export const maxText = 16_384;

/**
 * The start of a text. A slice of a string keeps all of that string in memory, for as long as the slice is kept: this one
 * is a copy.
 */
export function startOf(text: string, length: number): string {
  return text.length <= length ? text : Buffer.from(text.slice(0, length)).toString();
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxText;
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
