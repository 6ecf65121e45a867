/**
 * Golden scenarios: a story in words, and under a line of dashes what then happens: facts, and after an arrow the
 * actions that the core must take.
 *
 *     # The title.
 *     policy workers=3 maxSurge=1        what is configured (times in ms)
 *     canary for=10000 minRequests=100   how a new generation is judged; `onUndecided=hold`
 *     queues 3                           a reuse-port queue per slot; without it there is one, shared
 *     process 4 boot=300 drain=hang      how the process of worker 4 behaves; `process *` is all of them
 *     generation 2 fails=1               how all processes of a generation behave
 *     reload 1 workers=5                 what a reload's config says; `reload 1 fails the config is broken`
 *     verify 1 fails the smoke test      what the command finds that tries the canary of a reload; `verify 1 takes=3000`
 *     upgrade 1 fails                    what becomes of a new master: takesOver, fails, hangs, dies
 *     load 2s 3.5                        from then on there is so much to do as 3.5 workers could at most
 *     at 1s HUP                          `at 1s 50 x HUP`
 *     at 2s worker 3 is killed           see `commands` for all of them
 *     until 5s
 */
import type { Event } from '../../../src/core/events.ts';
import type { Comparison, Policy, Served } from '../../../src/core/model.ts';
import { type Behaviour, wellBehaved } from './process.ts';
import { isUsual, renderAction, renderEvent } from './render.ts';
import { defaultPolicy, Simulator, type SuccessorFate, type Verification } from './simulator.ts';

export interface Story {
  /** Everything above the dashes. */
  readonly text: string;
  readonly expected: string;
}

export function readStory(file: string): Story {
  const [text = '', expected = ''] = file.split(/^-{3,}\n/m);
  return { text, expected };
}

interface Script {
  readonly policy: Partial<Policy>;
  queueCount: number | null;
  canary: Policy['canary'];
  readonly byId: Map<string, Partial<Behaviour>>;
  readonly byGeneration: Map<number, Partial<Behaviour>>;
  readonly reloads: Map<number, Partial<Policy> | string>;
  readonly verifications: Map<number, Verification>;
  readonly upgrades: Map<number, SuccessorFate>;
  readonly timed: { readonly at: number; readonly times: number; readonly command: string }[];
  readonly loads: { readonly from: number; readonly load: number }[];
  until: number;
}

/** Plays a story. @returns what happened, one thing a line */
export function play(text: string): string {
  const script = parse(text);
  const { policy, queueCount, byId, byGeneration, reloads, upgrades, verifications } = script;
  const lines: string[] = [];
  const sim = new Simulator({
    policy: { ...policy, canary: script.canary },
    queueCount: queueCount ?? 1,
    load: (now) => script.loads.findLast(({ from }) => from <= now)?.load ?? 0,
    behaviour: (id, generation) => ({
      ...wellBehaved,
      ...byId.get('*'),
      ...byGeneration.get(generation),
      ...byId.get(String(id)),
    }),
    prepare: (reload) => reloads.get(reload) ?? {},
    verify: (reload) => verifications.get(reload) ?? { reason: null, takes: 50 },
    successor: (upgrade) => upgrades.get(upgrade) ?? 'takesOver',
    onTurn: ({ now, events, actions }) => {
      const told = [
        ...events.map(renderEvent),
        // With one queue there is nothing to assign.
        ...actions
          .filter(({ type }) => type !== 'assign' || queueCount !== null)
          .filter((action) => !isUsual(action))
          .map((action) => `-> ${renderAction(action)}`),
      ];
      for (const line of told) if (line !== null) lines.push(`${(now / 1000).toFixed(3).padStart(8)}  ${line}\n`);
    },
  });
  sim.at(0, () => sim.post({ type: 'ticked' }));
  for (const { at, times, command } of script.timed)
    for (let i = 0; i < times; i += 1) sim.at(at, () => run(sim, command));
  sim.runUntil(script.until);
  return counted(lines).join('');
}

/** The same line many times in a row is said once, with the number. */
function counted(lines: readonly string[]): string[] {
  const rows: { readonly line: string; times: number }[] = [];
  for (const line of lines) {
    const last = rows.at(-1);
    if (last?.line === line) last.times += 1;
    else rows.push({ line, times: 1 });
  }
  return rows.map(({ line, times }) => (times === 1 ? line : line.replace(/\n$/, ` (${times} times)\n`)));
}

function parse(text: string): Script {
  const script: Script = {
    policy: {},
    queueCount: null,
    canary: null,
    byId: new Map(),
    byGeneration: new Map(),
    reloads: new Map(),
    verifications: new Map(),
    upgrades: new Map(),
    timed: [],
    loads: [],
    until: 0,
  };
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const [word = '', first = '', ...rest] = line.split(/\s+/);
    const tail = rest.join(' ');
    if (word === 'policy') Object.assign(script.policy, policyOf([first, ...rest]));
    else if (word === 'canary') script.canary = canaryOf([first, ...rest]);
    else if (word === 'queues') script.queueCount = Number(first);
    else if (word === 'process') script.byId.set(first, behaviourOf(rest));
    else if (word === 'generation') script.byGeneration.set(Number(first), behaviourOf(rest));
    else if (word === 'reload')
      script.reloads.set(Number(first), tail.startsWith('fails ') ? tail.slice(6) : policyOf(rest));
    else if (word === 'verify') script.verifications.set(Number(first), verificationOf(tail));
    else if (word === 'upgrade') script.upgrades.set(Number(first), tail as SuccessorFate);
    else if (word === 'at') script.timed.push({ at: millis(first), ...repeated(tail) });
    else if (word === 'load') script.loads.push({ from: millis(first), load: Number(tail) });
    else if (word === 'until') script.until = millis(first);
    else throw new Error(`not understood: ${line}`);
  }
  return script;
}

function verificationOf(text: string): Verification {
  if (text.startsWith('fails ')) return { reason: text.slice(6), takes: 50 };
  return { reason: null, takes: Number(text.replace('takes=', '')) };
}

function repeated(command: string): { readonly times: number; readonly command: string } {
  const [, times, what] = /^(\d+) x (.*)$/.exec(command) ?? [];
  return times === undefined || what === undefined ? { times: 1, command } : { times: Number(times), command: what };
}

const signals: Readonly<Record<string, Event>> = {
  HUP: { type: 'reloadRequested' },
  TERM: { type: 'stopRequested', kind: 'graceful' },
  INT: { type: 'stopRequested', kind: 'quick' },
  TTIN: { type: 'scaleRequested', by: 1 },
  TTOU: { type: 'scaleRequested', by: -1 },
  WINCH: { type: 'poolDismissed' },
  USR1: { type: 'reopenRequested' },
  USR2: { type: 'upgradeRequested' },
  'the new master was told to stop': { type: 'successorStopping' },
  'the new master is gone': { type: 'successorGone', reason: 'exited with code 1' },
  'recycle all': { type: 'recycleRequested', slot: null },
};

const commands: readonly (readonly [RegExp, (sim: Simulator, id: number, rest: string) => void])[] = [
  [/^worker (\d+) is killed$/, (sim, id) => sim.processes.get(id)?.exit(null, 'SIGKILL')],
  [/^worker (\d+) exits with (\d+)$/, (sim, id, code) => sim.processes.get(id)?.exit(Number(code), null)],
  [/^worker (\d+) is sent TERM$/, (sim, id) => sim.post({ type: 'workerTermed', id })],
  [
    /^worker (\d+) says that it fails$/,
    (sim, id) => sim.post({ type: 'workerFailed', id, kind: 'boot', reason: 'Error: it throws' }),
  ],
  [/^worker (\d+) blocks$/, (sim, id) => sim.processes.get(id)?.block()],
  [/^worker (\d+) goes on$/, (sim, id) => sim.processes.get(id)?.unblock()],
  [
    /^worker (\d+) has (.*)$/,
    (sim, id, rest) => {
      const process = sim.processes.get(id);
      if (process !== undefined) process.figures = { ...process.figures, ...numbersOf(rest.split(' ')) };
    },
  ],
  [/^there are (\d+) MB of memory left$/, (sim, left) => sim.post({ type: 'memoryMeasured', available: left * 1e6 })],
  [/^recycle slot (\d+)$/, (sim, slot) => sim.post({ type: 'recycleRequested', slot })],
  [/^the master ran late by (\d+)$/, (sim, late) => sim.post({ type: 'starved', late })],
  [/^reload --hold$/, (sim) => sim.post({ type: 'reloadRequested', hold: true })],
  [
    /^generation (\d+) serves (.*)$/,
    (sim, id, rest) => sim.post({ type: 'trafficCompared', comparison: comparisonOf(id, rest) }),
  ],
  [/^promote$/, (sim) => sim.post({ type: 'promoteRequested' })],
  [/^abort$/, (sim) => sim.post({ type: 'abortRequested' })],
  [/^rollback$/, (sim) => sim.post({ type: 'rollbackRequested' })],
  [/^scale to (\d+)$/, (sim, to) => sim.post({ type: 'resizeRequested', to })],
];

function run(sim: Simulator, command: string): void {
  const signal = signals[command];
  if (signal !== undefined) {
    sim.post(signal);
    return;
  }
  for (const [pattern, act] of commands) {
    const [found, first, rest = ''] = pattern.exec(command) ?? [];
    if (found === undefined) continue;
    act(sim, Number(first), rest);
    return;
  }
  throw new Error(`not understood: ${command}`);
}

const behaviours: Readonly<Record<string, (value: number | null) => Partial<Behaviour>>> = {
  boot: (boot) => ({ boot }),
  listens: (listensAfter) => ({ listensAfter }),
  fails: (failsWith) => ({ failsWith }),
  /** Like `fails`, and it says that the app could not even be loaded. */
  failsToLoad: (failsWith) => ({ failsWith, failsBy: 'load' }),
  noFork: () => ({ forkFails: true }),
  drain: (drain) => ({ drain }),
  drainsWith: (code) => ({ drainsWith: code ?? 0 }),
  diesAfter: (diesAfter) => ({ diesAfter }),
  blocksAfter: (blocksAfter) => ({ blocksAfter }),
  misbehavesAfter: (misbehavesAfter) => ({ misbehavesAfter }),
  leads: (couldLead) => ({ couldLead }),
  resigns: (resigns) => ({ resigns }),
  leadFails: (leadFails) => ({ leadFails }),
  ignoresAbort: () => ({ heedsAbort: false }),
  hidesStack: () => ({ showsStack: false }),
  requests: (requests) => ({ limits: { requests, lifetime: null } }),
  lifetime: (lifetime) => ({ limits: { requests: null, lifetime } }),
};

function behaviourOf(pairs: readonly string[]): Partial<Behaviour> {
  return Object.assign(
    {},
    ...pairs.map((pair) => {
      const [name = '', value = ''] = pair.split('=');
      const behaviour = behaviours[name];
      if (behaviour === undefined) throw new Error(`no behaviour: ${pair}`);
      return behaviour(value === 'hang' || value === 'never' ? null : Number(value));
    }),
  );
}

function policyOf(pairs: readonly string[]): Partial<Policy> {
  const { min, max, ...policy } = numbersOf(pairs);
  for (const name of Object.keys(policy)) if (!(name in defaultPolicy)) throw new Error(`no policy: ${name}`);
  return min === undefined || max === undefined ? policy : { ...policy, autoscale: { min, max } };
}

function canaryOf(pairs: readonly string[]): Policy['canary'] {
  const undecided = pairs.find((pair) => pair.startsWith('onUndecided='))?.slice(12);
  const numbers = numbersOf(pairs.filter((pair) => !pair.startsWith('onUndecided=')));
  const onUndecided = undecided === 'hold' || undecided === 'reject' ? undecided : 'promote';
  return { for: 10_000, maxErrorRate: 0.01, maxP99: { times: 2 }, minRequests: 100, ...numbers, onUndecided };
}

/** `new=400/20/50 old=1600/2/40`: requests, errors and p99 of each; `slower=30`, of the new ones. */
function comparisonOf(generation: number, rest: string): Comparison {
  const given = Object.fromEntries(rest.split(' ').map((pair) => pair.split('=')));
  const served = (text = '0/0/0'): Served => {
    const [requests = 0, errors = 0, p99 = 0] = text.split('/').map(Number);
    return { requests, errors, timed: requests, p99: p99 === 0 ? null : p99 };
  };
  const slower = Number(given.slower ?? 0);
  return {
    generation,
    fresh: served(given.new),
    old: served(given.old),
    slower,
    oldSlower: 0,
    slowSpells: slower > 0 ? 3 : 0,
    cold: { slower, spells: 0 },
  };
}

function numbersOf(pairs: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', value = ''] = pair.split('=');
      if (value === '' || Number.isNaN(Number(value))) throw new Error(`not name=number: ${pair}`);
      return [name, Number(value)];
    }),
  );
}

function millis(text: string): number {
  return Math.round(text.endsWith('ms') ? Number.parseFloat(text) : Number.parseFloat(text) * 1000);
}
