/** A reload in words, for the commands, `prefork top` and the page. */
import type { LastReload, Status, TrialStatus } from './status.ts';

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
  verify: 'the verify command tries the first new worker',
  verified: 'the first new worker is verified, and gets clients',
  trial: 'the first new worker is judged by its traffic',
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
      if (running.trial !== undefined) return trialText(running.trial, running.compared);
      return stageText[running.stage ?? 'boot'] ?? 'the first new worker is tried';
    case 'refused':
      return 'nothing is changed';
    case 'rolling': {
      const fresh = workers.filter((worker) => worker.phase === 'ready' && worker.generation === generation).length;
      const compared = running.compared === undefined ? '' : ` (${running.compared})`;
      return `${Math.min(fresh, wanted)} of ${wanted} workers are new${compared}`;
    }
  }
}

/** The verdict as it forms. */
function trialText({ left, minRequests, fresh }: TrialStatus, compared = `in ${fresh.requests} requests`): string {
  const missing = fresh.requests < minRequests ? ` of the ${minRequests} that are needed` : '';
  return `the first new worker is judged by its traffic: ${compared}${missing}, ${Math.ceil(left)} s left`;
}
