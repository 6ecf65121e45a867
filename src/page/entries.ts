/** The timeline: newest first, what repeats itself once, stacks to be opened. */
import type { TimelineEntry, TimelineKind } from '../protocol/timeline-entry.ts';
import { arrange, element, part, setAttribute, setText } from './dom.ts';
import { timeOf } from './format.ts';
import { type Group, grouped } from './group.ts';

interface Item {
  readonly node: HTMLLIElement;
  readonly time: HTMLTimeElement;
  readonly count: HTMLElement;
  readonly text: HTMLElement;
  readonly about: HTMLElement;
  readonly stack: HTMLDetailsElement;
  readonly summary: HTMLElement;
  readonly frames: HTMLElement;
}

const choices: Readonly<Record<string, readonly [title: string, kinds: readonly TimelineKind[] | null]>> = {
  all: ['everything', null],
  trouble: ['trouble', ['crash', 'kill', 'stuck', 'health']],
  reload: ['reloads', ['reload', 'start', 'stop']],
  recycle: ['recycling and scaling', ['recycle', 'scale']],
};

/** As many as the master keeps. */
const maxEntries = 900;
const firstPage = 25;

export class EntriesView {
  readonly #list = part('entries');
  readonly #kinds = part('kinds') as HTMLSelectElement;
  readonly #more = part('more-entries');
  readonly #items = new Map<number, Item>();
  #entries: readonly TimelineEntry[] = [];
  #showsAll = false;

  constructor() {
    // It scrolls: the keyboard is to reach it.
    this.#list.tabIndex = 0;
    for (const [name, [title]] of Object.entries(choices))
      this.#kinds.append(element('option', { value: name }, [title]));
    this.#kinds.addEventListener('change', () => this.show());
    this.#more.addEventListener('click', () => {
      this.#showsAll = !this.#showsAll;
      this.show();
    });
  }

  clear(): void {
    this.#entries = [];
  }

  add(entry: TimelineEntry): void {
    if (entry.seq <= (this.#entries.at(-1)?.seq ?? 0)) return;
    this.#entries = [...this.#entries.slice(1 - maxEntries), entry];
  }

  show(): void {
    const [, kinds] = choices[this.#kinds.value] ?? ['', null];
    const groups = grouped(this.#entries.filter(({ kind }) => kinds === null || kinds.includes(kind)));
    const limit = window.matchMedia('(max-width: 760px)').matches ? 8 : firstPage;
    const shown = this.#showsAll ? groups : groups.slice(0, limit);
    const keys = new Set(shown.map(({ key }) => key));
    for (const key of this.#items.keys()) if (!keys.has(key)) this.#items.delete(key);
    const now = new Date();
    for (const group of shown) this.#write(group, now);
    arrange(
      this.#list,
      shown.flatMap(({ key }) => this.#items.get(key)?.node ?? []),
    );
    part('no-entries').hidden = groups.length > 0;
    this.#list.hidden = groups.length === 0;
    this.#more.hidden = groups.length <= limit;
    setText(this.#more, this.#showsAll ? `Show the last ${limit}` : `Show all ${groups.length}`);
  }

  #write({ key, newest, count, slots }: Group, now: Date): void {
    const item = this.#items.get(key) ?? newItem(newest.kind);
    this.#items.set(key, item);
    setAttribute(item.node, 'data-level', newest.level);
    setAttribute(item.time, 'datetime', newest.time);
    setAttribute(item.time, 'title', newest.time);
    setText(item.time, timeOf(newest.time, now));
    item.count.hidden = count === 1;
    setText(item.count, `${count} times`);
    setText(item.text, newest.text);
    setText(item.about, aboutOf(newest, slots));
    item.about.hidden = item.about.textContent === '';
    const { stack, details = [] } = newest;
    item.stack.hidden = stack.length + details.length === 0;
    const frames = `tack, ${stack.length} ${stack.length === 1 ? 'frame' : 'frames'}`;
    setText(
      item.summary,
      details.length === 0 ? `S${frames}` : `The whole story${stack.length > 0 ? `; s${frames}` : ''}`,
    );
    setText(item.frames, [...details, ...(details.length > 0 && stack.length > 0 ? [''] : []), ...stack].join('\n'));
  }
}

function newItem(kind: TimelineKind): Item {
  const time = element('time');
  const count = element('span', { class: 'count' });
  const text = element('p', { class: 'entry-text' });
  const about = element('p', { class: 'entry-about' });
  const summary = element('summary');
  const frames = element('pre', { tabindex: '0' });
  const stack = element('details', {}, [summary, frames]);
  const head = element('p', { class: 'entry-head' }, [element('span', { class: 'kind' }, [kind]), count, time]);
  const node = element('li', { class: 'entry', 'data-kind': kind }, [head, text, about, stack]);
  return { node, time, count, text, about, stack, summary, frames };
}

function aboutOf({ slot, pid, generation }: TimelineEntry, slots: readonly number[]): string {
  if (slot === null) return '';
  if (slots.length > 1) {
    const some = slots.slice(0, 12).join(', ');
    return `slots ${some}${slots.length > 12 ? ` and ${slots.length - 12} more` : ''}`;
  }
  return [`slot ${slot}`, `generation ${generation}`, ...(pid === null ? [] : [`pid ${pid}`])].join(', ');
}
