/**
 * Golden scenarios: a story in words, and under a line of dashes the actions that the core must take.
 *
 *     policy workers=3 maxSurge=1        what is configured (times in ms)
 *     process 4 boot=300 drain=hang      how the process of worker 4 behaves; `process *` is everybody
 *     generation 2 fails=1               how all processes of a generation behave
 *     prepare 1 fails the config is broken
 *     at 1s HUP
 *     until 5s
 */
import type { Action } from '../../../src/core/actions.ts';
import type { Policy } from '../../../src/core/model.ts';
import { type Behaviour, Simulator, wellBehaved } from './simulator.ts';

export interface Story {
  /** Everything above the dashes. */
  readonly text: string;
  readonly expected: string;
}

export function readStory(file: string): Story {
  const [text = '', expected = ''] = file.split(/^-{3,}\n/m);
  return { text, expected };
}

/** Plays a story. @returns the actions, one a line */
export function play(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const policy: Record<string, number> = {};
  const byId = new Map<string, Partial<Behaviour>>();
  const byGeneration = new Map<number, Partial<Behaviour>>();
  const prepares = new Map<number, Partial<Policy> | string>();
  let queueCount = 1;
  const timed: { at: number; command: string }[] = [];
  let end = 0;
  for (const line of lines) {
    const [word = '', ...rest] = line.split(/\s+/);
    const tail = rest.slice(1).join(' ');
    if (word === 'policy') for (const pair of rest) policy[pair.split('=')[0] ?? ''] = Number(pair.split('=')[1]);
    else if (word === 'queues') queueCount = Number(rest[0]);
    else if (word === 'process') byId.set(rest[0] ?? '', behaviourOf(rest.slice(1)));
    else if (word === 'generation') byGeneration.set(Number(rest[0]), behaviourOf(rest.slice(1)));
    else if (word === 'prepare')
      prepares.set(Number(rest[0]), tail.startsWith('fails ') ? tail.slice(6) : numbersOf(rest.slice(1)));
    else if (word === 'at') timed.push({ at: millis(rest[0] ?? ''), command: tail });
    else if (word === 'until') end = millis(rest[0] ?? '');
    else throw new Error(`not understood: ${line}`);
  }
  const sim = new Simulator({
    policy,
    queueCount,
    behaviour: (id, generation) => ({
      ...wellBehaved,
      ...byId.get('*'),
      ...byGeneration.get(generation),
      ...byId.get(String(id)),
    }),
    prepare: (reload) => prepares.get(reload) ?? {},
  });
  sim.at(0, () => sim.post({ type: 'ticked' }));
  for (const { at, command } of timed) sim.at(at, () => run(sim, command));
  sim.runUntil(end);
  return sim.trace.map(({ at, action }) => `${(at / 1000).toFixed(3).padStart(8)}  ${render(action)}\n`).join('');
}

function run(sim: Simulator, command: string): void {
  const [verb = '', id = '', ...rest] = command.split(/\s+/);
  switch (verb) {
    case 'HUP':
      sim.post({ type: 'reloadRequested' });
      return;
    case 'TERM':
      sim.post({ type: 'stopRequested', kind: 'graceful' });
      return;
    case 'INT':
      sim.post({ type: 'stopRequested', kind: 'quick' });
      return;
    case 'TTIN':
      sim.post({ type: 'scaled', by: 1 });
      return;
    case 'TTOU':
      sim.post({ type: 'scaled', by: -1 });
      return;
    case 'WINCH':
      sim.post({ type: 'dismissed' });
      return;
    case 'USR1':
      sim.post({ type: 'reopenRequested' });
      return;
    case 'kill':
      sim.exit(Number(id), null, 'SIGKILL');
      return;
    case 'exit':
      sim.exit(Number(id), Number(rest[0] ?? 0));
      return;
    case 'term':
      sim.post({ type: 'asked', id: Number(id) });
      return;
    case 'recycle':
      sim.post({ type: 'recycleRequested', slot: id === 'all' ? null : Number(id) });
      return;
    case 'figures':
      sim.setFigures(Number(id), numbersOf(rest));
      return;
    default:
      throw new Error(`not understood: ${command}`);
  }
}

function behaviourOf(pairs: readonly string[]): Partial<Behaviour> {
  const result: Record<string, unknown> = {};
  for (const pair of pairs) {
    const [name = '', value = ''] = pair.split('=');
    const number = value === 'hang' ? null : Number(value);
    if (name === 'fails') result.failsWith = number;
    else if (name === 'fork') result.forkFails = true;
    else if (name === 'silent') result.beats = false;
    else if (name === 'requests') result.limits = { requests: number, lifetime: null };
    else if (name === 'lifetime') result.limits = { requests: null, lifetime: number };
    else result[name] = number;
  }
  return result as Partial<Behaviour>;
}

function numbersOf(pairs: readonly string[]): Record<string, number> {
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', Number(pair.split('=')[1])]));
}

function millis(text: string): number {
  return text.endsWith('ms') ? Number.parseFloat(text) : Number.parseFloat(text) * 1000;
}

/** One line for an action: its type, then its fields. */
export function render(action: Action): string {
  const { type, ...fields } = action;
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) =>
      name === 'id' ? `worker ${value}` : `${name}=${Array.isArray(value) ? value.join('+') : value}`,
    );
  return [type.padEnd(9), ...shown].join(' ');
}
