/** What a terminal sends for the keys (ECMA-48 control sequences, as xterm sends them). */

const esc = '\u001b';

/** Names of what is not a character; all else is called as it is written. */
const names: Readonly<Record<string, string>> = {
  '\u0003': 'ctrl-c',
  '\u0004': 'ctrl-d',
  '\u000c': 'ctrl-l',
  '\u001a': 'ctrl-z',
  '\u001c': 'ctrl-backslash',
  [esc]: 'escape',
  '[A': 'up',
  '[B': 'down',
  '[C': 'right',
  '[D': 'left',
  OA: 'up',
  OB: 'down',
  OC: 'right',
  OD: 'left',
  '[H': 'home',
  '[F': 'end',
  OH: 'home',
  OF: 'end',
  '[1~': 'home',
  '[4~': 'end',
  '[7~': 'home',
  '[8~': 'end',
  '[5~': 'page-up',
  '[6~': 'page-down',
};

export interface Decoded {
  readonly keys: readonly string[];
  /** The beginning of a sequence whose end has not come yet; the escape key alone looks like that, too. */
  readonly rest: string;
}

/** Sequences that mean nothing here are dropped whole: no letter of theirs is taken for a key. */
export function decodeKeys(text: string): Decoded {
  const keys: string[] = [];
  let left = text;
  while (left !== '') {
    const [length, name] = left.startsWith(esc) ? sequence(left) : character(left);
    if (length === null) return { keys, rest: left };
    if (name !== null) keys.push(name);
    left = left.slice(length);
  }
  return { keys, rest: '' };
}

function character(text: string): readonly [number, string] {
  const [first = ''] = text;
  return [first.length, names[first] ?? first];
}

function sequence(text: string): readonly [number | null, string | null] {
  const after = text.slice(1);
  if (after === '') return [null, null];
  if (!/^[[O]/.test(after)) return [1, 'escape'];
  const [found] = /^(?:\[[0-?]*[ -/]*[@-~]|O[ -~])/.exec(after) ?? [];
  if (found !== undefined) return [1 + found.length, names[found] ?? null];
  // Unfinished, or broken: what breaks it off is read anew.
  const [begun = ''] = /^(?:\[[0-?]*[ -/]*|O)/.exec(after) ?? [];
  return begun.length === after.length ? [null, null] : [1 + begun.length, null];
}
