/** Figures as people read them. Nothing here touches the document. */

const nothing = '-';

export function number(value: number | null, digits = 0): string {
  return value === null ? nothing : value.toLocaleString('en', { maximumFractionDigits: digits });
}

/** Requests per second: one digit behind the point while it matters. */
export function rate(value: number): string {
  return number(value, value < 100 ? 1 : 0);
}

export function milliseconds(value: number | null): string {
  if (value === null) return nothing;
  if (value >= 10_000) return `${number(value / 1_000)} s`;
  if (value >= 1_000) return `${number(value / 1_000, 1)} s`;
  return `${number(value, value < 10 ? 1 : 0)} ms`;
}

export function bytes(value: number): string {
  if (value === 0) return nothing;
  const mebibytes = value / 2 ** 20;
  return mebibytes >= 1_024 ? `${number(mebibytes / 1_024, 1)} GB` : `${number(mebibytes, mebibytes < 10 ? 1 : 0)} MB`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

/** Seconds as a span of two units. */
export function span(seconds: number): string {
  const units: readonly (readonly [size: number, name: string])[] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ];
  const index = Math.max(
    0,
    units.findIndex(([size]) => seconds >= size),
  );
  const [size, name] = seconds < 1 ? ([1, 's'] as const) : (units[index] ?? ([1, 's'] as const));
  const first = `${Math.floor(seconds / size)}${name}`;
  const next = seconds < 1 ? undefined : units[index + 1];
  if (next === undefined) return first;
  return `${first} ${Math.floor((seconds % size) / next[0])}${next[1]}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** Time of day, and the day where it is another one. */
export function timeOf(iso: string, now: Date): string {
  const time = new Date(iso);
  const clock = time.toLocaleTimeString('en-GB');
  if (time.toDateString() === now.toDateString()) return clock;
  return `${time.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${clock}`;
}
