/** Whoever has missed a deadline is ended: boots that hang, loops that are stuck, drains that do not end. */
import { policyOf } from '../fleet.ts';
import { fixed, type Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function overdue(turn: Turn): void {
  for (const worker of turn.fleet.workers) check(turn, worker);
}

function check(turn: Turn, worker: Worker): void {
  const { phase } = worker;
  const { timeout, bootTimeout } = policyOf(turn.fleet, worker);
  switch (phase.name) {
    case 'booting':
      // A long synchronous import sends no heartbeats and is no fault: only the boot's own deadline applies.
      if (turn.due(phase.since + bootTimeout)) turn.kill(worker, 'boot-timeout', 'SIGABRT');
      return;
    case 'ready':
      if (timeout > 0 && turn.due(worker.beatAt + timeout)) turn.kill(worker, 'stuck', 'SIGABRT');
      return;
    case 'draining':
      if (turn.due(phase.deadline + fixed.drainMargin)) turn.kill(worker, 'drain-timeout', 'SIGKILL');
      else if (timeout > 0 && turn.due(worker.beatAt + timeout)) turn.kill(worker, 'stuck', 'SIGABRT');
      return;
    case 'killed':
      // SIGABRT can be caught, and waits in a stopped process; SIGKILL does neither.
      if (phase.signal === 'SIGABRT' && turn.due(phase.since + fixed.killGrace)) {
        turn.kill(worker, phase.reason, 'SIGKILL');
      }
  }
}
