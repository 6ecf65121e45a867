/** How workers are replaced and stopped. */
import { canary } from './canary.ts';
import { boolean, moments, positiveTime, string, surge, time } from './kinds.ts';
import { computed, inGroup } from './setting.ts';

const setting = inGroup('Reload and stop');

export const reloadAndStop = {
  gracefulTimeout: setting({
    kind: positiveTime,
    default: 30_000,
    for: ['worker', 'core'],
    doc: 'Time for requests in flight to finish',
    elsewhere: ['kill_timeout', 'worker_shutdown_timeout'],
  }),
  drainLinger: setting({
    kind: time,
    default: computed('2s, at most half of gracefulTimeout'),
    for: ['worker'],
    doc: 'How long a worker of a service that stops keeps idle connections open for their next request',
  }),
  /** For what nobody waits for: others serve already. */
  replaceLinger: setting({
    kind: time,
    default: computed('drainLinger if that is set, else four fifths of gracefulTimeout'),
    doc: 'The same of a worker that others have replaced (reload, recycle, scale, upgrade): nobody waits for its end',
  }),
  migration: setting({
    kind: boolean,
    default: true,
    for: ['core'],
    doc: 'Idle HTTP/1 connections go to another worker when theirs leaves, instead of being closed',
  }),
  balance: setting({
    kind: boolean,
    default: true,
    for: ['core'],
    doc: 'Idle HTTP/1 connections go from workers with many to workers with few (needs migration)',
  }),
  /** Extra workers while replacing: a number, or a share such as `'25%'`. */
  maxSurge: setting({
    kind: surge,
    default: 1,
    for: ['core'],
    doc: "Extra workers while replacing: a number, or a share such as '25%'",
  }),
  minReadySeconds: setting({
    kind: time,
    default: 0,
    doc: 'How long a new worker must stay up before it replaces an old one',
  }),
  /** `null` lets a canary pass that stays up for `minReadySeconds`. */
  canary: setting({
    kind: canary,
    default: null,
    for: ['core'],
    doc: "Judge a new release by its first worker's traffic: for=2m,maxErrorRate=1%,maxP99=2x,minRequests=200",
  }),
  progressDeadline: setting({
    kind: positiveTime,
    default: 600_000,
    for: ['core'],
    doc: 'A rollout that takes longer stops where it is',
  }),
  /** 0 is never. */
  rollbackWindow: setting({
    kind: time,
    default: 30_000,
    zero: 'never',
    for: ['core'],
    doc: 'A release that crash-loops, or serves worse (canary), this soon after its rollout is rolled back',
  }),
  /** A shell command that is run before any new worker: once per reload, and where `releaseOn` says so. */
  release: setting({
    kind: string,
    default: null,
    doc: 'Command run once before any new worker, at a reload or when releaseOn says',
  }),
  /** `'start'`, `'reload'`, `'upgrade'`, a list of them, or `'all'`. */
  releaseOn: setting({
    kind: moments,
    default: ['reload'],
    doc: 'When the release command runs: start, reload, upgrade, several of them (start,reload), or all',
  }),
  releaseTimeout: setting({ kind: positiveTime, default: 600_000, doc: 'Time the release command may take' }),
  /** A shell command that tries the first worker of a reload, alone, before that has a client. */
  verify: setting({
    kind: string,
    default: null,
    doc: 'Command that tries the first new worker of a reload before it gets clients, at `$PREFORK_VERIFY_URL`',
  }),
  verifyTimeout: setting({ kind: positiveTime, default: 120_000, doc: 'Time the verify command may take' }),
};
