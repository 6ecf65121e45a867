/** What is counted, and where the figures go. */
import { boolean, hostPort, names, string } from './kinds.ts';
import { inGroup } from './setting.ts';

const setting = inGroup('Metrics');

export const metrics = {
  metrics: setting({ kind: boolean, default: true, doc: 'Count requests and their durations in the workers' }),
  /** `host:port`. */
  statsd: setting({
    kind: hostPort(8_125),
    default: null,
    doc: 'Send the same figures to a statsd, host:port, by UDP',
    elsewhere: ['statsd_host'],
  }),
  statsdPrefix: setting({ kind: string, default: 'prefork', doc: 'First part of the names in statsd' }),
  statsdTags: setting({
    kind: names,
    default: {},
    doc: 'Tags of every figure in statsd (DogStatsD), NAME=value; repeatable',
    elsewhere: ['dogstatsd_tags'],
  }),
};
