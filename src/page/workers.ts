/** The table of workers: a row for each slot, and under it those that come to it or leave it. */
import type { Status, WorkerStatus } from '../protocol/status.ts';
import { type Column, columns, filters, orders } from './columns.ts';
import { arrange, element, part, setAttribute, setText } from './dom.ts';
import { plural } from './format.ts';
import { type History, type SlotView, slotsOf } from './history.ts';
import { Spark } from './spark.ts';

interface Row {
  readonly node: HTMLTableRowElement;
  readonly texts: ReadonlyMap<string, HTMLElement>;
  readonly sparks: ReadonlyMap<string, Spark>;
}

export class WorkersView {
  readonly #rows = new Map<string, Row>();
  readonly #sort = part('sort') as HTMLSelectElement;
  readonly #filter = part('filter') as HTMLSelectElement;
  readonly #more = part('more');
  readonly #onChange: () => void;
  #showsAll = false;
  #chosen: number | null = null;

  /** @param onChange the reader wants to see something else: show it anew */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
    // On a phone its rows are laid out as cards, which would take from it that it is a table.
    for (const [id, role] of Object.entries({ table: 'table', rows: 'rowgroup', head: 'row' }))
      part(id).setAttribute('role', role);
    fill(this.#sort, orders);
    fill(this.#filter, filters);
    this.#sort.addEventListener('change', onChange);
    this.#filter.addEventListener('change', onChange);
    this.#more.addEventListener('click', () => {
      this.#showsAll = !this.#showsAll;
      onChange();
    });
    for (const column of columns) part('head').append(this.#heading(column));
  }

  /** Brings a slot's row into view and marks it. */
  choose(slot: number): void {
    this.#chosen = slot;
    this.#filter.value = 'all';
    this.#showsAll ||= !this.#rows.has(`slot ${slot}`);
    this.#onChange();
    const row = this.#rows.get(`slot ${slot}`)?.node;
    row?.scrollIntoView({ block: 'center' });
    row?.focus({ preventScroll: true });
  }

  show(status: Status, history: History): void {
    const [, compare] = orders[this.#sort.value] ?? ['', () => 0];
    const [, keep] = filters[this.#filter.value] ?? ['', () => true];
    const all = slotsOf(status.workers);
    const kept = all.filter((view) => keep(view, status.generation)).sort(compare);
    const limit = window.matchMedia('(max-width: 760px)').matches ? 15 : 60;
    const shown = this.#showsAll ? kept : kept.slice(0, limit);
    const highest = new Map(columns.map(({ name }) => [name, history.highest(name)]));
    const nodes: Element[] = [];
    const present = new Set<string>();
    const use = (key: string): Row => {
      present.add(key);
      const row = this.#rows.get(key) ?? newRow(key.startsWith('slot'));
      this.#rows.set(key, row);
      nodes.push(row.node);
      return row;
    };
    for (const view of shown) {
      const row = use(`slot ${view.slot}`);
      write(row, view.holder, status.generation);
      setAttribute(row.node, 'data-chosen', String(view.slot === this.#chosen));
      const { lines, holders } = history.of(view.slot);
      for (const [name, spark] of row.sparks) spark.draw(lines.get(name) ?? [], highest.get(name) ?? 0, holders);
      for (const other of view.others) write(use(`worker ${other.id}`), other, status.generation);
    }
    // They have no slot, and come last.
    if (this.#filter.value === 'all')
      for (const worker of status.workers)
        if (worker.slot === null) write(use(`worker ${worker.id}`), worker, status.generation);
    for (const key of this.#rows.keys()) if (!present.has(key)) this.#rows.delete(key);
    arrange(part('rows'), nodes);
    this.#sayHowMany(all, kept, limit);
  }

  #sayHowMany(all: readonly SlotView[], kept: readonly SlotView[], limit: number): void {
    const empty = part('empty');
    empty.hidden = kept.length > 0;
    setText(empty, all.length === 0 ? 'There are no workers.' : 'No worker is like that now.');
    this.#more.hidden = kept.length <= limit;
    setText(this.#more, this.#showsAll ? `Show the first ${limit}` : `Show all ${plural(kept.length, 'slot')}`);
    for (const heading of part('head').children)
      setAttribute(heading, 'aria-sort', heading.getAttribute('data-column') === this.#sort.value ? 'other' : 'none');
  }

  #heading({ name, title, about, minor }: Column): HTMLElement {
    const button = element('button', { type: 'button', title: `${about}. Sort by it` }, [title]);
    button.addEventListener('click', () => {
      this.#sort.value = name;
      this.#onChange();
    });
    const role = { role: 'columnheader', scope: 'col', 'aria-sort': 'none' };
    return element('th', { ...role, 'data-column': name, class: minor ? 'minor' : '' }, [button]);
  }
}

function newRow(isSlot: boolean): Row {
  const node = element('tr', { role: 'row', 'data-row': isSlot ? 'slot' : 'other', tabindex: '-1' });
  const texts = new Map<string, HTMLElement>();
  const sparks = new Map<string, Spark>();
  for (const { name, title, spark: unit, minor } of columns) {
    const text = element('span', { class: 'text' });
    texts.set(name, text);
    const cell = element('td', { role: 'cell', 'data-column': name, 'data-title': title }, [text]);
    if (minor) cell.classList.add('minor');
    if (unit !== null && isSlot) {
      const spark = new Spark(unit, 'in-cell');
      sparks.set(name, spark);
      cell.append(spark.node);
    }
    node.append(cell);
  }
  return { node, texts, sparks };
}

function write({ node, texts }: Row, worker: WorkerStatus, generation: number): void {
  const isStale = worker.generation < generation && worker.phase === 'ready';
  setAttribute(node, 'data-phase', isStale ? 'stale' : worker.phase);
  for (const { name, text } of columns) {
    const cell = texts.get(name);
    if (cell !== undefined) setText(cell, text(worker));
  }
}

function fill(select: HTMLSelectElement, choices: Readonly<Record<string, readonly [string, unknown]>>): void {
  for (const [name, [title]] of Object.entries(choices)) select.append(element('option', { value: name }, [title]));
}
