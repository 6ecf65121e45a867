/** Waiting for a reload: what it is doing, and how it ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlError } from '../errors.ts';
import type { LastReload, Status } from '../protocol/status.ts';
import type { Service } from './client.ts';

/** Milliseconds between two looks at how far it is. */
const pollEvery = 250;

/** Prints a line for each step meanwhile, on stderr: only the result goes to stdout. */
export async function withProgress<T>(service: Service, wait: () => Promise<T>): Promise<T> {
  const done = new AbortController();
  const progress = showProgress(service, done.signal);
  try {
    return await wait();
  } finally {
    done.abort();
    await progress;
  }
}

/** Milliseconds between two lines with the figures of a trial: some ten lines of a short one, and a line each 5 s of a long one. */
function figuresEvery(running: Status['reload']['running'] | undefined): number {
  return Math.max(500, Math.min(5_000, (running?.trial?.seconds ?? 10) * 100));
}

async function showProgress(service: Service, signal: AbortSignal): Promise<void> {
  const { progressText } = await import('../protocol/reload-text.ts');
  let last = { line: '', figuresAt: Number.NEGATIVE_INFINITY };
  while (!signal.aborted) {
    const found = await service.status().catch(() => null);
    const step = found === null ? null : progressText(found);
    if (step !== null && !signal.aborted) {
      const running = found?.reload.running;
      const line = `reload ${running?.reload}: ${step}`;
      // Figures are never twice the same.
      const hasFigures = running?.trial != null || running?.compared != null;
      const isDue = !hasFigures || performance.now() - last.figuresAt >= figuresEvery(running);
      if (line !== last.line && isDue) {
        console.error(line);
        last = { line, figuresAt: hasFigures ? performance.now() : last.figuresAt };
      }
    }
    await sleep(pollEvery, undefined, { signal }).catch(() => {});
  }
}

/**
 * @param wanted the verdict that is a success
 * @returns the line for a success
 * @throws ControlError with the reason for anything else
 */
export async function ended(outcome: LastReload, wanted: 'completed' | 'rolled-back'): Promise<string> {
  const { reload, verdict, reason, generation, duration, traffic } = outcome;
  if (verdict !== wanted) {
    const { verdictText } = await import('../protocol/reload-text.ts');
    throw new ControlError(`reload ${reload} ${verdictText[verdict]}: ${reason ?? 'no reason given'}`);
  }
  const what =
    verdict === 'completed' ? `reload ${reload} done` : `reload ${reload} has brought the release before back`;
  const figures = traffic == null ? '' : ` (${traffic})`;
  return `${what} in ${duration.toFixed(2)} s, generation ${generation} serves${figures}`;
}
