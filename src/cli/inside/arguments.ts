/** What the commands that look into workers are given, checked before anything is asked or begun. */
import { ControlError } from '../../errors.ts';
import { longestLook, shortestLook } from '../../protocol/tube.ts';

/** @throws ControlError if it is not the number of a slot */
export function slotFrom(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new ControlError(`expected the number of a slot, got ${JSON.stringify(text.slice(0, 40))}`);
}

const units: Readonly<Record<string, number>> = { ms: 1, '': 1_000, s: 1_000, m: 60_000 };

/** @returns milliseconds. @throws ControlError if it is no time, or one that is too short or too long */
export function timeFrom(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m)?$/.exec(text.trim()) ?? [];
  const milliseconds = Math.round(Number(digits) * (units[unit] ?? Number.NaN));
  if (milliseconds >= shortestLook && milliseconds <= longestLook) return milliseconds;
  throw new ControlError(
    `--for: expected a time such as 500ms, 10s or 2m, from 100ms to 10m, got ${JSON.stringify(text.slice(0, 40))}`,
  );
}

/** `shop-slot0-20260115T101500Z.cpuprofile` */
export function defaultName(service: string, slot: number, ending: string, now = new Date()): string {
  const name =
    service
      .replace(/[^\w.-]+/g, '_')
      .replace(/^[.-]+/, '')
      .slice(0, 100) || 'prefork';
  const time = `${now.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  return `${name}-slot${slot}-${time}.${ending}`;
}
