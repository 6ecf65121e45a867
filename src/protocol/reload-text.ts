/** A reload in words, for the commands, `prefork top` and the page. */
import type { LastReload, Status } from './status.ts';

/** How a reload ended: `reload 3 ...`. */
export const verdictText: Readonly<Record<LastReload['verdict'], string>> = {
  completed: 'completed',
  rejected: 'failed, nothing was changed',
  halted: 'stopped half way',
  held: 'is held',
  'rolled-back': 'was rolled back',
};

const stageText: Readonly<Record<NonNullable<Status['reload']['running']>['stage'] & string, string>> = {
  boot: 'the first new worker boots',
  held: 'held: the first new worker serves, prefork promote or prefork abort decides',
};

/** What the reload that is under way is doing; `null` if there is none. */
export function progressText({ reload: { running }, workers, generation, wanted }: Status): string | null {
  switch (running?.step) {
    case undefined:
      return null;
    case 'preparing':
      return 'reading the configuration';
    case 'canary':
      return stageText[running.stage ?? 'boot'] ?? 'the first new worker is tried';
    case 'refused':
      return 'nothing is changed';
    case 'rolling': {
      const fresh = workers.filter((worker) => worker.phase === 'ready' && worker.generation === generation).length;
      return `${Math.min(fresh, wanted)} of ${wanted} workers are new`;
    }
  }
}
