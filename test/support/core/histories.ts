/** Random histories: random policies, processes that behave at random, facts in any order, true or not. */
import fc from 'fast-check';
import type { Event } from '../../../src/core/events.ts';
import type { Policy } from '../../../src/core/model.ts';
import { messageOf } from '../../../src/errors.ts';
import { type Behaviour, noFigures, wellBehaved } from './process.ts';
import { renderAction, renderEvent } from './render.ts';
import { type SimulatedTurn, Simulator, type SuccessorFate, type Verification } from './simulator.ts';

/** Histories per property; a night's worth: `PREFORK_PROPERTY_RUNS=20000`. */
export const numRuns = Number(process.env.PREFORK_PROPERTY_RUNS ?? 80);

/** Milliseconds in which everything happens that is to happen. */
export const turmoil = 12_000;

function canaryOf(onUndecided: NonNullable<Policy['canary']>['onUndecided']): Policy['canary'] {
  return { for: 1_500, maxErrorRate: 0.01, maxP99: { times: 2 }, minRequests: 50, onUndecided };
}

/** Of any generation: good, full of errors, slow, or hardly any. */
const comparison: fc.Arbitrary<Event> = fc
  .record({
    generation: fc.integer({ min: 1, max: 4 }),
    requests: fc.constantFrom(0, 30, 400),
    errors: fc.constantFrom(0, 0, 0.5),
    slower: fc.constantFrom(0, 0, 0.3),
    old: fc.constantFrom(0, 500),
  })
  .map(
    ({ generation, requests, errors, slower, old }): Event => ({
      type: 'trafficCompared',
      comparison: {
        generation,
        fresh: { requests, errors: requests * errors, timed: requests, p99: requests === 0 ? null : 20 },
        old: { requests: old, errors: 0, timed: old, p99: old === 0 ? null : 5 },
        slower: requests * slower,
        oldSlower: 0,
        slowSpells: 4,
        cold: { slower: requests * slower, spells: 0 },
      },
    }),
  );

/** Milliseconds that a command may take which tries a canary. */
export const longestVerify = 2_500;

const policy: fc.Arbitrary<Partial<Policy>> = fc.record({
  workers: fc.integer({ min: 1, max: 5 }),
  maxWorkers: fc.constantFrom(5, 7),
  spares: fc.constantFrom(0, 0, 1, 2),
  maxSurge: fc.integer({ min: 1, max: 3 }),
  maxBooting: fc.integer({ min: 1, max: 3 }),
  bootTimeout: fc.constantFrom(1_000, 5_000),
  timeout: fc.constantFrom(0, 2_000),
  blockedWarning: fc.constantFrom(0, 1_500),
  gracefulTimeout: fc.constantFrom(1_000, 4_000),
  drainDelay: fc.constantFrom(0, 0, 700),
  minReady: fc.constantFrom(0, 0, 500),
  progressDeadline: fc.constantFrom(5_000, 60_000),
  verify: fc.boolean(),
  upgradeTimeout: fc.constantFrom(100, 1_500),
  rollbackWindow: fc.constantFrom(0, 5_000),
  maxMemory: fc.constantFrom(0, 100e6),
  snapshots: fc.boolean(),
  maxBootFailures: fc.constantFrom(0, 0, 0, 6),
  autoscale: fc.constantFrom(null, null, null, { min: 1, max: 4 }, { min: 3, max: 5 }),
  canary: fc.constantFrom<Policy['canary'][]>(null, null, canaryOf('promote'), canaryOf('reject'), canaryOf('hold')),
});

/** The good one `good` times as often as any other; a counterexample shrinks towards it. */
function mostly<T>(times: number, good: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...Array.from({ length: times }, () => good), ...others);
}

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  boot: mostly<number | null>(3, 100, 0, 20, 800, null),
  listensAfter: mostly<number | null>(1, null, 0, 15, 90),
  failsWith: mostly<number | null>(12, null, 0, 1, 3, 4),
  failsBy: fc.constantFrom(null, 'load', 'boot'),
  forkFails: mostly(8, false, true),
  drain: mostly<number | null>(2, 50, 0, 500, null),
  drainsWith: mostly(2, 0, 1),
  diesAfter: mostly<number | null>(6, null, 0, 30, 3_000),
  blocksAfter: mostly<number | null>(6, null, 0, 1_000),
  misbehavesAfter: mostly<number | null>(12, null, 10, 400),
  heedsAbort: mostly(2, true, false),
  dying: mostly(1, 1, 40),
  showsStack: mostly(1, true, false),
  couldLead: fc.constantFrom<number | null>(null, 0, 90, 400),
  resigns: mostly<number | null>(2, 20, 0, 700, null),
  leadFails: mostly<number | null>(6, null, 0, 300, 2_500),
  limits: fc.record({
    requests: mostly<number | null>(1, null, 100),
    lifetime: mostly<number | null>(3, null, 2_000),
  }),
});

/** Facts about any worker: known, gone, or one that never existed. */
export function factAbout(id: number): fc.Arbitrary<Event> {
  return fc.oneof(
    fc.constantFrom<Event>(
      { type: 'workerListened', id },
      { type: 'workerHindered', id, reason: 'no database' },
      { type: 'workerClosed', id },
      { type: 'workerReadied', id },
      { type: 'workerBooted', id },
      { type: 'workerTermed', id },
      { type: 'workerCandidate', id },
      { type: 'leadClaimed', claim: id },
      { type: 'stackCaptured', id },
      { type: 'workerExcused', id, within: 5_000 },
      { type: 'workerExcused', id, within: 0 },
      { type: 'workerMisbehaved', id, reason: 'no JSON' },
      { type: 'workerFailed', id, kind: 'boot', reason: 'Error: x' },
      { type: 'workerFailed', id, kind: 'load', reason: 'Error: x' },
      { type: 'workerExited', id, code: 0, signal: null, jitter: 0 },
      { type: 'workerExited', id, code: null, signal: 'SIGSEGV', jitter: 0.99 },
      { type: 'workerSpawnFailed', id, reason: 'EAGAIN', jitter: 0.5 },
      { type: 'workerSpawned', id, pid: 77, limits: { requests: null, lifetime: 900 } },
    ),
    fc
      .record({
        requests: fc.constantFrom(0, 500),
        rss: fc.constantFrom(1e6, 200e6),
        connections: fc.constantFrom(0, 3, 40),
      })
      .map(
        (figures): Event => ({
          type: 'workerBeat',
          id,
          figures: { ...noFigures, ...figures },
        }),
      ),
  );
}

function memoryLeft(available: number): Event {
  return { type: 'memoryMeasured', available };
}

const order: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Event>({ type: 'reloadRequested' }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom<Event>(
      { type: 'reloadRequested', hold: true },
      { type: 'reloadRequested', hold: true },
      { type: 'promoteRequested' },
      { type: 'abortRequested' },
      { type: 'rollbackRequested' },
    ),
  },
  { weight: 4, arbitrary: comparison },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Event>({ type: 'scaleRequested', by: 1 }, { type: 'scaleRequested', by: -1 }),
  },
  { weight: 1, arbitrary: fc.integer({ min: -1, max: 9 }).map((to): Event => ({ type: 'resizeRequested', to })) },
  { weight: 1, arbitrary: fc.constant<Event>({ type: 'poolDismissed' }) },
  { weight: 2, arbitrary: fc.constant<Event>({ type: 'upgradeRequested' }) },
  { weight: 1, arbitrary: fc.constantFrom(null, 0, 1, 9).map((slot): Event => ({ type: 'recycleRequested', slot })) },
  { weight: 1, arbitrary: fc.constantFrom<Event>(...[60e6, 0, 300e6].map(memoryLeft)) },
  { weight: 1, arbitrary: fc.constant<Event>({ type: 'reopenRequested' }) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 0, max: 3 })
      .map((reload): Event => ({ type: 'reloadPrepareFailed', reload, reason: 'late' })),
  },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 0, max: 3 })
      .map((reload): Event => ({ type: 'canaryVerified', reload, reason: 'late' })),
  },
);

const id = fc.integer({ min: 0, max: 25 });

export const histories = fc.record({
  policy,
  queueCount: fc.integer({ min: 1, max: 4 }),
  /** How facts are gathered into turns. */
  lag: fc.constantFrom(0, 0, 3, 60),
  jitter: fc.constantFrom(0, 0.5, 0.999),
  prepareTime: fc.constantFrom(0, 10, 700),
  /** What there is to do, in workers; a new one every second of the turmoil. */
  loads: fc.array(fc.constantFrom(0, 0.5, 2, 5), { maxLength: 3 }),
  /** By worker id, from 1; further ones are well-behaved. */
  behaviours: fc.array(behaviour, { maxLength: 30, size: 'max' }),
  reloads: fc.array(
    fc.constantFrom<Partial<Policy> | string>(
      {},
      {},
      { workers: 2 },
      { workers: 4, maxSurge: 2 },
      { spares: 1 },
      { autoscale: { min: 1, max: 3 } },
      'broken',
    ),
    { maxLength: 10 },
  ),
  /** A command that hangs is ended after a while. */
  verifications: fc.array(
    fc.constantFrom<Verification>(
      { reason: null, takes: 50 },
      { reason: null, takes: 0 },
      { reason: 'it fails', takes: 50 },
      { reason: 'it hangs', takes: longestVerify },
    ),
    { maxLength: 10 },
  ),
  /** One that takes over ends the history: see the scenarios. */
  upgrades: fc.array(fc.constantFrom<SuccessorFate>('fails', 'hangs', 'dies'), { maxLength: 6 }),
  orders: fc.array(fc.record({ at: fc.integer({ min: 0, max: turmoil }), event: order }), { maxLength: 12 }),
  facts: fc.array(fc.record({ at: fc.integer({ min: 0, max: turmoil }), event: id.chain(factAbout) }), {
    maxLength: 6,
  }),
  kills: fc.array(fc.record({ at: fc.integer({ min: 0, max: turmoil }), id }), { maxLength: 4 }),
});

export type History = typeof histories extends fc.Arbitrary<infer T> ? T : never;

/** Sets a history up, ready to run. What comes after the turmoil is well-behaved, so that every history can settle. */
export function play(history: History, onTurn: (turn: SimulatedTurn) => void = () => {}): Simulator {
  const sim: Simulator = new Simulator({
    policy: history.policy,
    queueCount: history.queueCount,
    lag: history.lag,
    jitter: () => history.jitter,
    prepareTime: history.prepareTime,
    load: (now) => (now > turmoil ? 0 : (history.loads[Math.floor(now / 4_000)] ?? 0)),
    behaviour: (worker, _generation, now) =>
      now > turmoil ? wellBehaved : (history.behaviours[worker - 1] ?? wellBehaved),
    prepare: (reload) => (sim.now > turmoil ? {} : (history.reloads[reload - 1] ?? {})),
    verify: (reload) => {
      const fine: Verification = { reason: null, takes: 50 };
      return sim.now > turmoil ? fine : (history.verifications[reload - 1] ?? fine);
    },
    successor: (upgrade) => history.upgrades[upgrade - 1] ?? 'fails',
    onTurn,
  });
  sim.at(0, () => sim.post({ type: 'ticked' }));
  for (const { at, event } of [...history.orders, ...history.facts]) sim.at(at, () => sim.post(event));
  for (const kill of history.kills) sim.at(kill.at, () => sim.processes.get(kill.id)?.exit(null, 'SIGKILL'));
  return sim;
}

/**
 * Tries a promise on random histories. A failure names the seed, and tells the smallest history that breaks it as a story.
 *
 * @param check runs the history and throws if the promise is broken; `play` takes what watches every turn
 */
export function holds(check: (history: History, play: Play) => void): void {
  const details = fc.check(
    fc.property(histories, (history) => check(history, (onTurn) => play(history, onTurn))),
    { numRuns },
  );
  if (!details.failed) return;
  const [history] = details.counterexample ?? [];
  const lines: string[] = [];
  const told = (turn: SimulatedTurn) => {
    for (const event of turn.events) lines.push(`${turn.now}  ${renderEvent(event) ?? event.type}`);
    for (const action of turn.actions) lines.push(`${turn.now}  -> ${renderAction(action)}`);
  };
  let reason: unknown = null;
  try {
    if (history !== undefined)
      check(history, (onTurn) =>
        play(history, (turn) => {
          told(turn);
          onTurn?.(turn);
        }),
      );
  } catch (error) {
    reason = error;
  }
  const replay = `seed ${details.seed}, path "${details.counterexamplePath}"`;
  const message = `${messageOf(reason ?? details.errorInstance)}\n${replay}\n${describe(history)}\n${lines.slice(-60).join('\n')}`;
  throw new Error(message, { cause: reason ?? details.errorInstance });
}

export type Play = (onTurn?: (turn: SimulatedTurn) => void) => Simulator;

/** A history in JSON, without what is as it should be. */
function describe(history: History | undefined): string {
  if (history === undefined) return 'no history';
  const { behaviours, ...rest } = history;
  const odd = behaviours.map((each, i) => {
    const differs = Object.entries(each).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(wellBehaved[name as keyof Behaviour]),
    );
    return differs.length === 0 ? [] : [`worker ${i + 1}: ${JSON.stringify(Object.fromEntries(differs))}`];
  });
  return [JSON.stringify(rest), ...odd.flat()].join('\n');
}
