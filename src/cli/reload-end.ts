/** How a reload ended, for the commands that wait for it. */
import { ControlError } from '../errors.ts';
import type { LastReload } from '../protocol/status.ts';

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
