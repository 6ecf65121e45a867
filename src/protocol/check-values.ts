/** The questions that the checks of messages ask of a value that came over a channel. */

export type Fields = Readonly<Record<string, unknown>>;

/** Longest string that is taken from a worker; an error report is cut, anything else is refused. */
export const maxText = 16_384;

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

/** The beginning of a text. What is kept of a long one would keep all of it in memory, if it was not a copy. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : Buffer.from(text.slice(0, length), 'utf16le').toString('utf16le');
}
