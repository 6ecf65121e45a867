/** What is heard of workers: from their processes, and from themselves. */
import type { Event } from '../core/events.ts';
import { findWorker } from '../core/fleet.ts';
import type { WorkerMessage } from '../protocol/messages.ts';
import type { Parts } from './parts.ts';

/** Something became of a process. */
export function hearPool(parts: Parts, event: Event): void {
  if (event.type === 'workerSpawned') parts.sentinel.add(event.pid);
  if (event.type === 'workerExited' || event.type === 'workerSpawnFailed') {
    const pid = findWorker(parts.fleet, event.id)?.pid;
    if (pid !== undefined && pid !== null) parts.sentinel.delete(pid);
    parts.handover.forget(event.id);
    parts.health.forget(event.id);
    parts.rates.forget(event.id);
    parts.metrics.forget(event.id);
  }
  parts.post(event);
}

/** A worker says something of itself. */
export function hearWorker(parts: Parts, id: number, message: WorkerMessage): void {
  const worker = findWorker(parts.fleet, id);
  if (worker === undefined) return;
  switch (message.type) {
    case 'listen':
      void parts.handover
        .answer(id, message, parts.generations.of(worker.generation))
        .finally(() => parts.sentinel.setSockets(parts.listeners.fds()));
      return;
    case 'unlisten':
      parts.handover.unlisten(id, message.listener);
      if (!parts.handover.accepts(id)) parts.post({ type: 'workerClosed', id });
      return;
    case 'ready':
      parts.post({ type: 'workerReadied', id });
      return;
    case 'beat':
      parts.rates.onBeat(id, message.figures.requests, performance.now());
      parts.post({ type: 'workerBeat', id, figures: message.figures });
      return;
    case 'traffic':
      parts.metrics.onTraffic(message.delta);
      return;
    case 'app-metrics':
      parts.metrics.onAppMetrics(id, message.metrics);
      return;
    case 'failed':
      parts.failures.report(worker, message.error);
      parts.post({ type: 'workerFailed', id, kind: message.kind, reason: firstLine(message.error) });
      return;
    case 'health': {
      const reason = parts.health.onChecks(id, message.checks);
      if (reason !== worker.hindrance) parts.post({ type: 'workerHindered', id, reason });
      else parts.health.spread(parts.fleet);
      return;
    }
    case 'log-trouble':
      parts.failures.reportLogTrouble(worker, message);
      return;
    case 'short':
      parts.failures.reportShortage(worker, message);
      return;
    case 'termed':
      parts.post({ type: 'workerTermed', id });
      return;
    case 'draining':
      parts.failures.reportDraining(worker, message);
      return;
    case 'drained':
      parts.failures.reportDrained(worker, message);
      parts.post({ type: 'workerClosed', id });
      return;
  }
}

function firstLine(error: { readonly name: string; readonly message: string }): string {
  return `${error.name}: ${error.message.split('\n', 1)[0] ?? ''}`;
}
