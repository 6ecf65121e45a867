/** A reload in words, for the commands, `prefork top` and the page. */
import type { LastReload, Status } from './status.ts';

/** How a reload ended: `reload 3 ...`. */
export const verdictText: Readonly<Record<LastReload['verdict'], string>> = {
  completed: 'completed',
  rejected: 'failed, nothing was changed',
  halted: 'stopped half way',
  'rolled-back': 'was rolled back',
};

/** What the reload that is under way is doing; `null` if there is none. */
export function progressText({ reload: { running }, workers, generation, wanted }: Status): string | null {
  switch (running?.step) {
    case undefined:
      return null;
    case 'preparing':
      return 'reading the configuration';
    case 'canary':
      return 'the first new worker boots';
    case 'refused':
      return 'nothing is changed';
    case 'rolling': {
      const fresh = workers.filter((worker) => worker.phase === 'ready' && worker.generation === generation).length;
      return `${Math.min(fresh, wanted)} of ${wanted} workers are new`;
    }
  }
}
