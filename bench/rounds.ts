/** Runs contenders in turn, A B C A B C ..., each from a fresh start, and keeps what each measured per round. */
import { freePort } from '../test/support/request.ts';
import { pause } from '../test/support/until.ts';
import type { Contender, Running } from './contenders/contender.ts';

export interface Plan {
  readonly title: string;
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly workers: number;
}

/** Measurements by contender, one per round. */
export type Rounds<T> = ReadonlyMap<Contender, readonly T[]>;

const warmUp = 1_000;

export async function runRounds<T>(
  plan: Plan,
  measure: (port: number, running: Running) => Promise<T>,
): Promise<Rounds<T>> {
  const results = new Map<Contender, T[]>();
  for (let round = 1; round <= plan.rounds; round++) {
    for (const contender of plan.contenders) {
      process.stderr.write(`${plan.title}: round ${round} of ${plan.rounds}: ${contender.name}\n`);
      const port = await freePort();
      const running = await contender.start(port, plan.workers);
      try {
        await pause(warmUp);
        const result = await measure(port, running);
        results.set(contender, [...(results.get(contender) ?? []), result]);
      } finally {
        await running.stop();
      }
    }
  }
  return results;
}
