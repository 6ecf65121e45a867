/** The figures of the whole service, with their sparklines. */
import type { Unit } from '../protocol/figures.ts';
import { bytes, milliseconds, rate, unknown } from '../protocol/figures-text.ts';
import type { Status } from '../protocol/status.ts';
import { element, setText } from './dom.ts';
import { number, plural } from './format.ts';
import { type History, type TotalMeasure, totalsOf } from './history.ts';
import { Spark } from './spark.ts';

interface Card {
  readonly value: HTMLElement;
  readonly note: HTMLElement;
  readonly spark: Spark | null;
  readonly measure: TotalMeasure | null;
}

const cards = [
  ['workers', 'Workers ready', null, 'count'],
  ['requests', 'Requests/s', 'requests', 'perSecond'],
  ['inFlight', 'In flight', 'inFlight', 'count'],
  ['latency', 'Latency p99', 'p99', 'milliseconds'],
  ['delay', 'Event-loop delay', 'delay', 'milliseconds'],
  ['cpu', 'CPU', 'cpu', 'cores'],
  ['memory', 'Memory', 'memory', 'bytes'],
] as const satisfies readonly (readonly [string, string, TotalMeasure | null, Unit])[];
type CardName = (typeof cards)[number][0];

export class TotalsView {
  readonly #cards: Readonly<Record<CardName, Card>>;

  constructor(parent: HTMLElement) {
    const made = cards.map(([name, title, measure, unit]) => [name, newCard(parent, title, measure, unit)] as const);
    this.#cards = Object.fromEntries(made) as Record<CardName, Card>;
  }

  show(status: Status, history: History): void {
    const totals = totalsOf(status);
    const { wanted, ready, listeners } = status;
    const waiting = listeners.reduce((all, each) => all + (each.waiting ?? 0), 0);
    const leaving = status.workers.filter(({ phase }) => phase === 'draining').length;
    const booting = status.workers.filter(({ phase }) => phase === 'booting').length;
    const { spares = { wanted: 0, ready: 0 } } = status;
    const others = [
      spares.wanted > 0 ? `${spares.ready} of ${plural(spares.wanted, 'spare')}` : '',
      booting > 0 ? `${booting} booting` : '',
      leaving > 0 ? `${leaving} draining` : '',
      plural(totals.restarts, 'restart'),
      status.leader ? `slot ${number(status.leader.slot ?? 0)} leads` : '',
    ];
    this.#set('workers', `${ready} of ${wanted}`, others.filter((text) => text !== '').join(', '));
    this.#set('requests', rate(totals.requests), `${number(sum(status))} by the workers that live`);
    this.#set('inFlight', number(totals.inFlight), connectionsText(totals.connections, waiting, status.migration));
    this.#set('latency', latency(totals.p99), `slowest worker; p50 ${latency(totals.p50)}`);
    this.#set('delay', latency(totals.delay), 'p99 of the worst worker');
    this.#set('cpu', number(totals.cpu, 2), 'cores in use by the workers');
    this.#set(
      'memory',
      bytes(totals.memory, ' '),
      `RSS, ${bytes(totals.memory / Math.max(1, status.workers.length), ' ')} each`,
    );
    for (const { spark, measure } of Object.values(this.#cards)) {
      if (spark === null || measure === null) continue;
      const samples = history.totals[measure];
      spark.draw(samples, Math.max(0, ...samples.map((sample) => sample ?? 0)));
    }
  }

  #set(name: CardName, value: string, note: string): void {
    setText(this.#cards[name].value, value);
    setText(this.#cards[name].note, note);
  }
}

function newCard(parent: HTMLElement, title: string, measure: TotalMeasure | null, unit: Unit): Card {
  const value = element('p', { class: 'card-value' }, [unknown]);
  const note = element('p', { class: 'card-note' });
  const spark = measure === null ? null : new Spark(unit, 'in-card');
  const card = element('div', { class: 'card' }, [element('h2', { class: 'card-title' }, [title]), value, note]);
  if (spark !== null) card.append(spark.node);
  parent.append(card);
  return { value, note, spark, measure };
}

function connectionsText(open: number, waiting: number, migration: Status['migration']): string {
  const moved = migration === undefined || migration.moved === 0 ? '' : `, ${number(migration.moved)} moved`;
  return `${plural(open, 'connection')}${waiting > 0 ? `, ${waiting} waiting` : ''}${moved}`;
}

function latency(value: number | null): string {
  return value === null ? unknown : milliseconds(value, ' ');
}

function sum({ workers }: Status): number {
  return workers.reduce((all, { requests }) => all + requests, 0);
}
