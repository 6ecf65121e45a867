/**
 * A worker that has missed a deadline is ended: a boot that hangs, a loop that is stuck, a drain that does not end. A
 * worker that broke the protocol is ended at once.
 */

import { fixed } from '../fixed.ts';
import { policyOf, withWorker } from '../fleet.ts';
import type { KillReason, Worker } from '../model.ts';
import type { Turn } from '../turn.ts';

export function overdue(turn: Turn): void {
  for (const worker of turn.fleet.workers) check(turn, worker);
}

function check(turn: Turn, worker: Worker): void {
  const { phase } = worker;
  const { bootTimeout, gracefulTimeout } = policyOf(turn.fleet, worker);
  if (worker.offence !== null && phase.name !== 'killed') {
    turn.kill(worker, 'misbehaved', 'SIGKILL');
    return;
  }
  switch (phase.name) {
    case 'booting':
    case 'joining':
      // A long synchronous import sends no heartbeats and is no fault: only the boot's own deadline applies.
      if (!turn.due(phase.since + bootTimeout)) {
        // A spare has had its heartbeats before.
        if (phase.name === 'joining') judgeSilence(turn, worker);
        return;
      }
      // What has sockets may have clients.
      if (worker.listening) turn.drain(worker, 'boot-timeout', turn.now + gracefulTimeout);
      else explainAndKill(turn, worker, 'boot-timeout', phase.since);
      return;
    case 'spare':
    case 'ready':
      judgeSilence(turn, worker);
      return;
    case 'draining':
      if (turn.due(phase.deadline + fixed.drainMargin)) turn.kill(worker, 'drain-timeout', 'SIGKILL');
      // Its heap snapshot blocks it: it has the time that its drain has.
      else if (phase.reason !== 'memory' || policyOf(turn.fleet, worker).snapshots !== true) judgeSilence(turn, worker);
      return;
    case 'killed':
      // SIGABRT can be caught, and waits in a stopped process; SIGKILL does neither.
      if (phase.signal === 'SIGABRT' && turn.due(phase.since + fixed.killGrace)) {
        turn.kill(worker, phase.reason, 'SIGKILL');
      }
  }
}

/** Heartbeats are missing: first its stack is taken, and if they stay away it is killed, with that evidence in the log. */
function judgeSilence(turn: Turn, worker: Worker): void {
  const { timeout, blockedWarning } = policyOf(turn.fleet, worker);
  const { capture } = worker;
  const beatAt = Math.max(worker.beatAt, worker.excusedUntil);
  if (timeout > 0 && turn.due(beatAt + timeout)) {
    explainAndKill(turn, worker, 'stuck', beatAt);
    return;
  }
  const warnAfter = Math.min(
    blockedWarning || Number.POSITIVE_INFINITY,
    timeout > 0 ? timeout / 2 : Number.POSITIVE_INFINITY,
  );
  if (!Number.isFinite(warnAfter)) return;
  const warnAt = Math.max(beatAt + warnAfter, capture === null ? 0 : capture.since + fixed.warnEvery);
  if (turn.due(warnAt)) askForStack(turn, worker, false);
}

/** @param since an older explanation says nothing about this */
function explainAndKill(turn: Turn, worker: Worker, reason: KillReason, since: number): void {
  const { capture } = worker;
  if (capture === null || !capture.fatal || capture.since < since) askForStack(turn, worker, true);
  else if (capture.done || turn.due(capture.since + fixed.captureLimit)) turn.kill(worker, reason, 'SIGABRT');
}

function askForStack(turn: Turn, worker: Worker, fatal: boolean): void {
  turn.fleet = withWorker(turn.fleet, worker.id, { capture: { since: turn.now, fatal, done: false } });
  turn.do({ type: 'capture', id: worker.id, fatal });
}
