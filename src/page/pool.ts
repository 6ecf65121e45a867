/** The pool at a glance: a tile for each slot, filled as far as its event loop is busy. */
import { percent, rate } from '../protocol/figures-text.ts';
import type { Status } from '../protocol/status.ts';
import { arrange, element, setAttribute, setText } from './dom.ts';
import { type SlotView, slotsOf } from './history.ts';

const meanings = [
  ['ready', 'ready'],
  ['booting', 'booting'],
  ['draining', 'draining'],
  ['killed', 'killed'],
  ['stale', 'older generation'],
] as const;

export class PoolView {
  readonly #parent: HTMLElement;
  readonly #onChosen: (slot: number) => void;
  readonly #tiles = new Map<number, HTMLButtonElement>();
  /** The one tile that Tab reaches. */
  #current = 0;

  constructor(parent: HTMLElement, legend: HTMLElement, onChosen: (slot: number) => void) {
    this.#parent = parent;
    this.#onChosen = onChosen;
    for (const [name, text] of meanings)
      legend.append(element('li', {}, [element('span', { class: 'tile sample', 'data-phase': name }), text]));
    legend.append(element('li', {}, [element('span', { class: 'tile sample filled', 'data-phase': 'ready' }), 'busy']));
    parent.addEventListener('keydown', (event) => this.#onKey(event));
  }

  show(status: Status): void {
    const slots = slotsOf(status.workers);
    const present = new Set(slots.map(({ slot }) => slot));
    for (const slot of this.#tiles.keys()) if (!present.has(slot)) this.#tiles.delete(slot);
    if (!present.has(this.#current)) this.#current = slots[0]?.slot ?? 0;
    for (const view of slots) this.#paint(view, status.generation);
    arrange(
      this.#parent,
      slots.flatMap(({ slot }) => this.#tiles.get(slot) ?? []),
    );
    setAttribute(this.#parent, 'data-size', slots.length > 60 ? 'small' : 'large');
  }

  #paint({ slot, holder, others }: SlotView, generation: number): void {
    const tile = this.#tiles.get(slot) ?? this.#newTile(slot);
    const isStale = holder.generation < generation && holder.phase === 'ready';
    setAttribute(tile, 'data-phase', isStale ? 'stale' : holder.phase);
    setAttribute(tile, 'data-others', String(others.length));
    setAttribute(tile, 'tabindex', slot === this.#current ? '0' : '-1');
    tile.style.setProperty('--busy', percent(holder.phase === 'ready' ? holder.loopUtilisation : 0));
    const label = [
      `slot ${slot}: ${holder.phase}${isStale ? ', of an older generation' : ''}`,
      `generation ${holder.generation}`,
      `${rate(holder.requestsPerSecond)} requests/s`,
      `event loop ${percent(holder.loopUtilisation)} busy`,
      ...others.map(({ phase, pid }) => `${pid ?? 'another'} ${phase}`),
    ].join(', ');
    setAttribute(tile, 'aria-label', label);
    setAttribute(tile, 'title', label);
  }

  #newTile(slot: number): HTMLButtonElement {
    const tile = element('button', { type: 'button', class: 'tile' });
    setText(tile, String(slot));
    tile.addEventListener('click', () => {
      this.#moveTo(slot, false);
      this.#onChosen(slot);
    });
    this.#tiles.set(slot, tile);
    return tile;
  }

  #onKey(event: KeyboardEvent): void {
    const slots = [...this.#tiles.keys()].sort((a, b) => a - b);
    const index = slots.indexOf(this.#current);
    const columns = this.#columns();
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: index - 1,
      ArrowRight: index + 1,
      ArrowUp: index - columns,
      ArrowDown: index + columns,
      Home: 0,
      End: slots.length - 1,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const slot = slots[to];
    if (slot !== undefined) this.#moveTo(slot, true);
  }

  #moveTo(slot: number, focus: boolean): void {
    this.#tiles.get(this.#current)?.setAttribute('tabindex', '-1');
    this.#current = slot;
    const tile = this.#tiles.get(slot);
    tile?.setAttribute('tabindex', '0');
    if (focus) tile?.focus();
  }

  /** Tiles in a row, as they are laid out now. */
  #columns(): number {
    const tiles = [...this.#parent.children] as HTMLElement[];
    const top = tiles[0]?.offsetTop;
    const count = tiles.findIndex((tile) => tile.offsetTop !== top);
    return count <= 0 ? tiles.length : count;
  }
}
