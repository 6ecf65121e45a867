/** The table of figures: a figure that is added to it arrives everywhere, and the table itself is in order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderWorkers } from '../../../src/cli/render.ts';
import { topColumns } from '../../../src/cli/top/columns.ts';
import { serviceGauges, slotGauges } from '../../../src/master/metrics/gauges.ts';
import { pageColumns, pageOrders } from '../../../src/page/columns.ts';
import { slotsOf, sparksOf } from '../../../src/page/history.ts';
import { checkFigures } from '../../../src/protocol/check-figures.ts';
import { type FigureTable, figures, type Row, type WorkerStatus } from '../../../src/protocol/figures.ts';
import { statusRow } from '../../../src/protocol/figures-row.ts';

/** As a newcomer adds them: two entries, and nothing else. */
const table = {
  ...figures,
  gcPause: {
    doc: 'Time in garbage collection',
    unit: 'milliseconds',
    from: 'worker',
    nullable: true,
    digits: 1,
    workers: 'gc',
    top: { title: 'gc', width: 6, rank: 15 },
    page: { title: 'GC', sort: 'gc pause', spark: 'serving', minor: true },
    gauge: { name: 'prefork_worker_gc_pause_seconds', help: 'Time in garbage collection', per: 'slot' },
  },
  timers: {
    doc: 'Timers that are set',
    unit: 'count',
    from: 'worker',
    gauge: { name: 'app_timers', help: 'Timers that are set', per: 'service' },
  },
} as const satisfies FigureTable;

const sent = Object.fromEntries(
  Object.entries(table).flatMap(([name, { from }]) => (from === 'worker' ? [[name, 1]] : [])),
);
const facts = {
  ...{ slot: 0, id: 1, pid: 77, generation: 1, phase: 'ready', reason: null },
  ...{ uptime: 5, heartbeatAge: 0.5, requestsPerSecond: 2, restarts: 0 },
};
const row = (slot: number, own: Readonly<Record<string, number | null>>): Row =>
  statusRow({ ...facts, slot, id: slot + 1 }, { ...sent, ...own }, table);

describe('a figure that is added to the table', () => {
  it('is expected of a heartbeat, and checked', () => {
    assert.deepEqual(checkFigures({ ...sent, gcPause: 1.5, other: 1 }, table), { ...sent, gcPause: 1.5 });
    assert.equal(checkFigures({ ...sent, gcPause: null }, table)?.gcPause, null);
    for (const gcPause of [-1, Number.NaN, '1', {}]) assert.equal(checkFigures({ ...sent, gcPause }, table), null);
    const { timers: _, ...without } = sent;
    assert.equal(checkFigures(without, table), null);
    assert.equal(checkFigures({ ...sent, timers: null }, table), null);
  });

  it('is in the status, rounded, and there before the first heartbeat', () => {
    const { gcPause, timers } = row(0, { gcPause: 1.26, timers: 3 });
    assert.deepEqual([gcPause, timers], [1.3, 3]);
    const unborn = statusRow(facts, null, table);
    assert.deepEqual([unborn.gcPause, unborn.timers], [null, 0]);
  });

  it('is a column of prefork workers', () => {
    const [titles = '', first = ''] = renderWorkers([row(0, { gcPause: 1.5 })], table).split('\n');
    assert.match(titles, /restarts {2,}gc$/);
    assert.match(first, / 1\.5 ms$/);
    assert.doesNotMatch(titles, /timers/);
  });

  it('is a column of prefork top, which sorts by it', () => {
    const column = topColumns(table).at(-1) ?? assert.fail();
    assert.deepEqual([column.name, column.width, column.first], ['gc', 6, 'descending']);
    assert.equal(column.show(row(0, { gcPause: 12 })), '12ms');
    const rows = [row(0, { gcPause: null }), row(1, { gcPause: 1 }), row(2, { gcPause: 2 })];
    const slots = (descending: boolean) =>
      rows.toSorted((a, b) => column.compare(a, b, descending)).map(({ slot }) => slot);
    assert.deepEqual(
      [slots(true), slots(false)],
      [
        [2, 1, 0],
        [1, 2, 0],
      ],
    );
    // What is not known comes last, whichever of the two is asked about first.
    const [none = {}, some = {}] = rows;
    for (const descending of [true, false])
      assert.deepEqual([column.compare(none, some, descending), column.compare(some, none, descending)], [1, -1]);
  });

  it('is a column of the page, an order of its rows, and a sparkline', () => {
    const column = pageColumns(table).find(({ name }) => name === 'gcPause') ?? assert.fail();
    const { title, about, spark, minor } = column;
    assert.deepEqual([title, about, spark, minor], ['GC', 'Time in garbage collection', 'milliseconds', true]);
    assert.equal(column.text(row(0, { gcPause: 12 })), '12 ms');
    assert.equal(column.text(row(0, { gcPause: null })), '-');
    assert.equal(sparksOf(table).get('gcPause'), 'serving');
    const [name, compare] = pageOrders(table).gcPause ?? assert.fail();
    const views = slotsOf([row(0, { gcPause: 1 }), row(1, { gcPause: 2 })] as unknown as WorkerStatus[]);
    assert.deepEqual([name, views.toSorted(compare).map(({ slot }) => slot)], ['gc pause', [1, 0]]);
  });

  it('is a gauge of /metrics', () => {
    const rows = [row(0, { gcPause: 1.5, timers: 2 }), row(1, { gcPause: null, timers: 3 })];
    assert.deepEqual(slotGauges(rows, table).at(-1), {
      name: 'prefork_worker_gc_pause_seconds',
      help: 'Time in garbage collection',
      type: 'gauge',
      samples: [{ suffix: '', labels: { slot: '0' }, value: 0.0015 }],
    });
    const { name, samples } = serviceGauges(rows, table).at(-1) ?? assert.fail();
    assert.deepEqual([name, samples.map(({ value }) => value)], ['app_timers', [5]]);
  });
});

describe('the table of figures', () => {
  const entries: readonly (readonly [string, FigureTable[string]])[] = Object.entries(figures);
  const isUnique = (values: readonly unknown[]): void => assert.equal(new Set(values).size, values.length);

  it('names no two things alike', () => {
    isUnique(entries.flatMap(([, { workers }]) => workers ?? []));
    isUnique(entries.flatMap(([, { top }]) => top?.title ?? []));
    isUnique(entries.flatMap(([, { top }]) => top?.rank ?? []));
    isUnique(entries.flatMap(([, { page }]) => page?.title ?? []));
    isUnique(entries.flatMap(([, { gauge }]) => gauge?.name ?? []));
  });

  it('shows in a cell of the page only what is in the status', () => {
    const inStatus = entries.filter(([, each]) => each.inStatus !== false).map(([name]) => name);
    for (const [name, { page }] of entries)
      for (const shown of page?.shows ?? [name]) assert.ok(page === undefined || inStatus.includes(shown), shown);
  });
});
