/** Counts and times of day as people read them. Nothing here touches the document. */

export function number(value: number, digits = 0): string {
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** The time of day, and the day if it is another one. */
export function timeOf(iso: string, now: Date): string {
  const time = new Date(iso);
  const clock = time.toLocaleTimeString('en-GB');
  if (time.toDateString() === now.toDateString()) return clock;
  return `${time.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${clock}`;
}
