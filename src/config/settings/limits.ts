/** What becomes of requests that take too long, and of more of them than a worker can take: see docs/limits.md. */
import { count, time } from './kinds.ts';
import { inGroup } from './setting.ts';

const setting = inGroup('Slow and too much');

export const limits = {
  /** 0 is off. */
  slowRequest: setting({
    kind: time,
    default: 0,
    zero: 'off',
    for: ['worker'],
    doc: 'A request that takes this long is reported while it runs, with the stack if the event loop is blocked',
    elsewhere: ['request_slowlog_timeout'],
  }),
  /** 0 is off. */
  requestTimeout: setting({
    kind: time,
    default: 0,
    zero: 'off',
    for: ['worker'],
    doc: 'A request to which the app has sent nothing for this long is answered with 504',
    elsewhere: ['request_terminate_timeout', 'request_timeout'],
  }),
  /** 0 is off. */
  maxInFlight: setting({
    kind: count(0),
    default: 0,
    zero: 'off',
    for: ['worker'],
    doc: 'Requests that a worker works on at a time; further ones are answered with 503',
    elsewhere: ['max_concurrent_requests'],
  }),
  /** 0 is off. */
  maxLoopDelay: setting({
    kind: time,
    default: 0,
    zero: 'off',
    for: ['worker'],
    doc: 'New requests are answered with 503 while the event loop is later than this',
    elsewhere: ['maxEventLoopDelay'],
  }),
};
