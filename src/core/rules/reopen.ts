/** USR1: log files are reopened, once for each request. */
import type { Turn } from '../turn.ts';

export function reopen(turn: Turn): void {
  if (!turn.fleet.reopen) return;
  turn.change({ reopen: false });
  turn.do({ type: 'reopen' });
}
