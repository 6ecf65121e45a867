/** Says what became of the heap snapshots that workers write on their way out. */
import { join } from 'node:path';
import type { Settings } from '../../config/resolved.ts';
import type { Worker } from '../../core/model.ts';
import type { SnapshotMessage } from '../../protocol/messages.ts';
import { workerFields } from '../log/line.ts';
import type { Logger } from '../log/logger.ts';
import type { Timeline } from '../log/timeline.ts';

const megabyte = 1024 * 1024;

export class Snapshots {
  readonly #logger: () => Logger;
  readonly #timeline: Timeline;
  readonly #settingsOf: (generation: number) => Settings;

  constructor(logger: () => Logger, timeline: Timeline, settingsOf: (generation: number) => Settings) {
    this.#logger = logger;
    this.#timeline = timeline;
    this.#settingsOf = settingsOf;
  }

  /** A worker names a file; the folder is what the configuration says. */
  report(worker: Worker, { file, bytes, took, problem }: SnapshotMessage): void {
    const { heapSnapshots: folder } = this.#settingsOf(worker.generation);
    // Only a worker that breaks the rules says so unasked.
    if (folder === null || worker.phase.name !== 'draining' || worker.phase.reason !== 'memory') return;
    const path = file === null ? null : join(folder, file);
    const size = `${(bytes / megabyte).toFixed(1)} MB in ${(took / 1_000).toFixed(1)} s`;
    const text =
      path === null
        ? `no heap snapshot was written: ${problem}`
        : `heap snapshot written: ${path} (${size}); open it with Chrome DevTools, Memory, Load`;
    const level = path === null ? 'warn' : 'info';
    this.#logger()[level]({ ...workerFields(worker), snapshot: path, bytes }, text);
    this.#timeline.add({ kind: 'recycle', level, text, worker });
  }
}
