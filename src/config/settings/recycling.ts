/** When a worker is spent and replaced. */
import { count, longTime, path, size } from './kinds.ts';
import { computed, inGroup } from './setting.ts';

const setting = inGroup('Recycling');

export const recycling = {
  /** 0 is off. */
  maxRequests: setting({
    kind: count(0),
    default: 0,
    zero: 'off',
    doc: 'Replace a worker after this many requests',
  }),
  maxRequestsJitter: setting({
    kind: count(0),
    default: 0,
    doc: 'Spread maxRequests: up to this many more, drawn per worker',
  }),
  /** 0 is off. */
  maxMemory: setting({
    kind: size,
    default: computed("off; in a container, a worker's share of its memory"),
    zero: 'off',
    for: ['core'],
    doc: 'Replace a worker whose resident memory exceeds this',
    elsewhere: ['max_memory_restart'],
  }),
  /** A folder; snapshots hold what is in memory, secrets included. */
  heapSnapshots: setting({
    kind: path,
    default: null,
    for: ['worker'],
    doc: 'Folder for a heap snapshot of each worker that exceeds maxMemory; the newest 3 are kept',
  }),
  /** 0 is off. */
  maxLifetime: setting({ kind: longTime, default: 0, zero: 'off', doc: 'Replace a worker at this age' }),
  maxLifetimeJitter: setting({ kind: longTime, default: 0, doc: 'Spread maxLifetime: up to this much more' }),
};
