/** Why a test of Node's own gives another result in a worker of prefork than without it. */
import type { Difference } from './suite.ts';

interface Reason {
  /** Names of tests, without the suffix. */
  readonly tests: readonly string[];
  readonly reason: string;
}

const reasons: readonly Reason[] = [];

/** @returns `null` if nobody has looked at it */
export function reasonFor({ name }: Pick<Difference, 'name'>): string | null {
  const test = name.replace(/\.m?js$/, '');
  return reasons.find(({ tests }) => tests.includes(test))?.reason ?? null;
}
