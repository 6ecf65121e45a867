/** What the operator asked to be handed on once: log files to reopen. */
import type { Turn } from '../turn.ts';

export function handover(turn: Turn): void {
  if (!turn.fleet.reopen) return;
  turn.change({ reopen: false });
  turn.do({ type: 'reopen' });
}
