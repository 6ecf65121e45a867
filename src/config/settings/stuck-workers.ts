/** What happens to a worker whose event loop blocks. */
import { time } from './kinds.ts';
import { inGroup } from './setting.ts';

const setting = inGroup('Stuck workers');

export const stuckWorkers = {
  /** 0 is off. */
  timeout: setting({
    kind: time,
    default: 30_000,
    zero: 'off',
    short: 't',
    for: ['core'],
    doc: 'A worker whose event loop blocks this long is killed',
  }),
  /** 0 is off. */
  blockedWarning: setting({
    kind: time,
    default: 1_000,
    zero: 'off',
    doc: 'A worker whose event loop blocks this long is reported',
  }),
};
