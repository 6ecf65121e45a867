/** What happens to a worker whose event loop blocks. */
import { boolean, time } from './kinds.ts';
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
  /** If not, no worker is ever sent SIGUSR1, and where Node can (22.14), it ignores it. */
  captures: setting({
    kind: boolean,
    default: true,
    doc: 'A worker that is reported or killed is asked where it is blocked; needs Linux',
  }),
};
