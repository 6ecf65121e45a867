/** The questions that the checks of messages ask of a value that came over a channel. */

export type Fields = Readonly<Record<string, unknown>>;

/** Longest string that is taken from a worker; an error report is cut, anything else is refused. */
export const maxText = 16_384;

/** The same of the parts of an error report. */
export const maxErrorName = 200;
export const maxErrorMessage = 2_000;

/** Characters of what is said of one health check. */
export const maxCheckName = 100;
export const maxCheckError = 300;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxText;
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Not so large that sums lose what is added, or become infinite: JSON has 1e999. */
export function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

/** The beginning of a text. What is kept of a long one would keep all of it in memory, if it was not a copy. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : Buffer.from(text.slice(0, length), 'utf16le').toString('utf16le');
}
