/** Reads a supervisor's log as a story: who was ready when, who retired, how long each drain took. */
import type { LogLine } from './log-reader.ts';

/** How many workers were ready, after each line that changed it. */
export function readyOverTime(log: readonly LogLine[]): readonly { readonly at: number; readonly ready: number }[] {
  const ready = new Set<number>();
  return log.flatMap((line) => {
    if (typeof line.worker !== 'number') return [];
    if (/^worker ready /.test(line.msg)) ready.add(line.worker);
    else if (/^worker (retires|exited|gets|is gone|left)/.test(line.msg)) ready.delete(line.worker);
    else return [];
    return [{ at: line.time, ready: ready.size }];
  });
}

/** The most workers that were neither draining nor gone at a time: the surge above the configured number. */
export function mostLive(log: readonly LogLine[]): number {
  const live = new Set<number>();
  let most = 0;
  for (const line of log) {
    if (typeof line.worker !== 'number') continue;
    if (line.msg === 'worker spawned') live.add(line.worker);
    else if (/^worker (retires|exited|gets|is gone|left)/.test(line.msg)) live.delete(line.worker);
    most = Math.max(most, live.size);
  }
  return most;
}

/** Milliseconds that each drained worker took to leave. */
export function drainTimes(log: readonly LogLine[]): readonly number[] {
  return log.flatMap((line) => (typeof line.drainMs === 'number' ? [line.drainMs] : []));
}
