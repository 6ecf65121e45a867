/** How many workers there are, and what a boot may take. */
import { count, countOrRange, positiveTime } from './kinds.ts';
import { computed, inGroup } from './setting.ts';

const setting = inGroup('Workers');

/** No service has more. */
export const maxWorkersEver = 1_024;

export const workers = {
  workers: setting({
    kind: countOrRange(1, maxWorkersEver),
    default: computed('2 x cores + 1'),
    short: 'w',
    env: 'WEB_CONCURRENCY',
    for: ['core'],
    doc: 'Number of workers, auto, or a range in which the number follows the load',
    elsewhere: ['instances'],
  }),
  maxWorkers: setting({
    kind: count(1, maxWorkersEver),
    default: computed('4 x cores, at least 2 x workers'),
    for: ['core'],
    doc: 'Ceiling for TTIN',
  }),
  /** 0 is off. */
  spares: setting({
    kind: count(0, maxWorkersEver),
    default: 0,
    zero: 'off',
    for: ['core'],
    doc: 'Booted workers without connections: one takes the place of a worker that is gone at once',
  }),
  bootTimeout: setting({
    kind: positiveTime,
    default: 60_000,
    for: ['core'],
    doc: 'A worker must listen within this time',
    elsewhere: ['listen_timeout', 'worker_boot_timeout'],
  }),
  /** 0 is never. */
  maxBootFailures: setting({
    kind: count(0),
    default: 0,
    zero: 'never',
    for: ['core'],
    doc: 'Failed boots in a row after which the service gives up',
  }),
};
