/** Waiting with a deadline: the only place in the tests that sleeps. Deadlines stretch with the machine. */
import { setTimeout as sleep } from 'node:timers/promises';
import { slownessNow } from './slowness.ts';

export interface UntilOptions {
  /** Milliseconds on a machine that has nothing else to do; 10 s unless told. */
  readonly within?: number;
  /** Milliseconds between two looks. */
  readonly every?: number;
  /** A reason to stop waiting early: a string is thrown as the failure. */
  readonly abort?: () => string | null;
}

/** What a condition gives while it does not hold. */
type NotYet = undefined | null | false;

/**
 * Waits until `condition` gives something other than `undefined`, `null` or `false`, and returns it. Past the deadline
 * it throws, naming what was waited for. A condition that throws has not come true; its last error is shown.
 */
export async function until<T>(
  what: string,
  condition: () => T | NotYet | Promise<T | NotYet>,
  options: UntilOptions = {},
): Promise<T> {
  const { within = 10_000, every = 20, abort } = options;
  const startedAt = performance.now();
  let allowed = within;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    const reason = abort?.() ?? null;
    if (reason !== null) throw new Error(`gave up waiting for ${what}: ${reason}`);
    if (performance.now() - startedAt >= allowed) {
      allowed = Math.max(allowed, within * slownessNow());
      if (performance.now() - startedAt >= allowed) {
        const because = lastError === undefined ? '' : ` (last error: ${String(lastError)})`;
        throw new Error(`waited ${Math.round(allowed)} ms in vain for ${what}${because}`, { cause: lastError });
      }
    }
    await sleep(every);
  }
}

/** Checks that something stays true for a while; throws as soon as it does not. */
export async function stays(what: string, condition: () => boolean | Promise<boolean>, during: number): Promise<void> {
  const end = performance.now() + during;
  while (performance.now() < end) {
    if (!(await condition())) throw new Error(`did not stay: ${what}`);
    await sleep(20);
  }
}

/** A pause that is part of a scenario ("a second later"), not a way to wait for something. */
export function pause(milliseconds: number): Promise<void> {
  return sleep(milliseconds);
}
