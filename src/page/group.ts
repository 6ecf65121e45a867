/** The timeline as it is shown: what repeats itself is one entry that says how often. Nothing here touches the document. */
import type { TimelineEntry } from '../protocol/timeline-entry.ts';

export interface Group {
  /** Number of its first entry: stays the same while it grows. */
  readonly key: number;
  readonly newest: TimelineEntry;
  readonly count: number;
  readonly slots: readonly number[];
}

/** Milliseconds in which the same counts as a repetition. */
const window = 60_000;

/** @param entries oldest first; @returns newest first */
export function grouped(entries: readonly TimelineEntry[]): Group[] {
  const groups: Group[] = [];
  // In a crash loop of many workers, what they say alternates: the last few groups may grow.
  const reach = 4;
  for (const entry of entries) {
    const index = groups.findIndex(
      ({ newest }, position) => position < reach && isRepetition(newest, entry) && !isInTheWay(groups, position),
    );
    const old = groups[index];
    if (old === undefined) {
      groups.unshift({ key: entry.seq, newest: entry, count: 1, slots: entry.slot === null ? [] : [entry.slot] });
      continue;
    }
    groups.splice(index, 1);
    const slots = entry.slot === null || old.slots.includes(entry.slot) ? old.slots : [...old.slots, entry.slot];
    groups.unshift({ key: old.key, newest: entry, count: old.count + 1, slots: [...slots].sort((a, b) => a - b) });
  }
  return groups;
}

function isRepetition(old: TimelineEntry, entry: TimelineEntry): boolean {
  if (old.kind !== entry.kind || whatOf(old) !== whatOf(entry) || entry.slot === null) return false;
  return Date.parse(entry.time) - Date.parse(old.time) < window;
}

/** What happened to a worker does not move past what happened to the service. */
function isInTheWay(groups: readonly Group[], position: number): boolean {
  return groups.slice(0, position).some(({ newest }) => newest.slot === null);
}

/** What happened, without what it happened to: in a crash loop each worker has other requests. */
function whatOf({ text }: TimelineEntry): string {
  return text.replace(/; (?:it was serving |\d+ requests? w(?:as|ere) in flight).*/s, '');
}
