/** What is in flight now, the oldest first: a few of them. */
import type { ShownRequest, ShownRequests } from '../protocol/requests.ts';
import { requestText } from '../protocol/requests-text.ts';
import { arrange, element, part, setAttribute, setText } from './dom.ts';
import { plural } from './format.ts';

interface Row {
  readonly node: HTMLLIElement;
  readonly age: HTMLElement;
  readonly slot: HTMLElement;
  readonly what: HTMLElement;
  readonly phase: HTMLElement;
}

export class InFlightView {
  readonly #list = part('in-flight-list');
  readonly #rows: Row[] = [];
  #shown: ShownRequests | null = null;

  take(shown: ShownRequests): void {
    this.#shown = shown;
  }

  show(): void {
    if (this.#shown === null) return;
    const { inFlight, requests, silent } = this.#shown;
    part('in-flight').hidden = false;
    const blocked = silent.flatMap(({ slot }) => slot ?? []);
    const more = inFlight > requests.length ? `, the oldest ${requests.length} are shown` : '';
    const silence =
      blocked.length === 0 ? '' : `; ${blocked.length === 1 ? 'slot' : 'slots'} ${blocked.join(', ')} blocked`;
    setText(part('in-flight-count'), `${plural(inFlight, 'request')}${more}${silence}`);
    part('no-in-flight').hidden = requests.length > 0;
    while (this.#rows.length < requests.length) this.#rows.push(newRow());
    const used = this.#rows.slice(0, requests.length);
    for (const [index, request] of requests.entries()) {
      const row = used[index];
      if (row !== undefined) write(row, request);
    }
    arrange(
      this.#list,
      used.map(({ node }) => node),
    );
  }
}

function newRow(): Row {
  const age = element('span', { class: 'request-age' });
  const slot = element('span', { class: 'request-slot' });
  const what = element('span', { class: 'request-what' });
  const phase = element('span', { class: 'request-phase' });
  return { node: element('li', { class: 'request' }, [age, slot, what, phase]), age, slot, what, phase };
}

function write({ node, age, slot, what, phase }: Row, request: ShownRequest): void {
  const text = requestText(request);
  setText(age, text.age);
  setText(slot, request.slot === null ? 'no slot' : `slot ${request.slot}`);
  setText(what, `${request.method} ${text.url}`);
  setAttribute(what, 'title', `${request.method} ${text.url}, worker ${request.worker}, pid ${request.pid}`);
  setText(phase, text.phase);
  setAttribute(node, 'data-phase', request.phase ?? 'unknown');
}
