/** Memory and descriptors of the master and of its workers, over the time of a soak. */
import { fdCount, residentSize } from '../support/proc.ts';

export interface Sample {
  /** Seconds since the start. */
  readonly at: number;
  readonly reloads: number;
  readonly sent: number;
  readonly master: Use;
  /** The worker that has most, of each. */
  readonly worker: Use;
  readonly workers: number;
}

export interface Use {
  /** Bytes. */
  readonly rss: number;
  readonly fds: number;
}

/** What processes use; one that has just gone uses nothing. */
export function useOf(pids: readonly number[]): Use {
  const each = pids.map((pid) => {
    try {
      return { rss: residentSize(pid), fds: fdCount(pid) };
    } catch {
      return { rss: 0, fds: 0 };
    }
  });
  return { rss: Math.max(0, ...each.map(({ rss }) => rss)), fds: Math.max(0, ...each.map(({ fds }) => fds)) };
}

/** As a table of at most so many rows, the first and the last among them. */
export function figuresTable(samples: readonly Sample[], most = 15): string {
  const step = Math.max(1, Math.ceil((samples.length - 1) / (most - 1)));
  const shown = samples.filter((_, index) => index % step === 0 || index === samples.length - 1);
  const heads = ['seconds', 'reloads', 'sent', 'master MB', 'master fds', 'workers', 'worker MB', 'worker fds'];
  const mega = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const cells = shown.map(({ at, reloads, sent, master, workers, worker }) => [
    ...[String(Math.round(at)), String(reloads), String(sent), mega(master.rss), String(master.fds)],
    ...[String(workers), mega(worker.rss), String(worker.fds)],
  ]);
  const widths = heads.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  ');
  return [line(heads), ...cells.map(line)].join('\n');
}
