/** `prefork top` without a terminal: the picture at any size, the order, and what keys make of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { widthOf } from '../../../../src/cli/text.ts';
import { columns, columnsFor, sorted } from '../../../../src/cli/top/columns.ts';
import { frame, onceFrame, pageOf } from '../../../../src/cli/top/frame.ts';
import { answered, initialState, pressed, type State, shown } from '../../../../src/cli/top/state.ts';
import { paint, wordsOf } from '../../../../src/cli/top/style.ts';
import { statusRow } from '../../../../src/protocol/figures-row.ts';
import type { Status, WorkerStatus } from '../../../../src/protocol/status.ts';
import type { TimelineEntry } from '../../../../src/protocol/timeline-entry.ts';

function worker(slot: number, own: Partial<WorkerStatus> = {}): WorkerStatus {
  const facts = {
    slot,
    id: slot + 100,
    pid: 40_000 + slot,
    generation: 3,
    phase: 'ready',
    reason: null,
    uptime: 3_700,
    heartbeatAge: 0.1,
    requestsPerSecond: 1_234.5,
    restarts: 2,
  } as const;
  const figures = {
    requests: 123_456,
    latencyP50: 1.25,
    latencyP99: 48.2,
    inFlight: 7,
    connections: 12,
    rss: 120 * 2 ** 20,
    heapUsed: 50 * 2 ** 20,
    loopDelayP99: 12.3,
    loopUtilisation: 0.42,
    cpu: 0.5,
  };
  return { ...statusRow(facts, figures), ...own };
}

function status(workers: readonly WorkerStatus[], own: Partial<Status> = {}): Status {
  return {
    version: 1,
    prefork: '0.1.0',
    node: 'v22.1.0',
    name: 'shop',
    pid: 4_242,
    uptime: 90_000,
    generation: 3,
    state: 'running',
    health: 'healthy',
    app: '/srv/shop/server.js',
    wanted: workers.length,
    ready: workers.length,
    reload: {
      running: null,
      last: { reload: 2, verdict: 'rejected', generation: 3, reason: 'the first worker threw', duration: 1.5 },
    },
    upgrade: { running: null, last: null },
    listeners: [],
    workers,
    ...own,
  };
}

const entry = (seq: number, text = `thing ${seq}`): TimelineEntry => ({
  seq,
  time: '2026-01-02T03:04:05.000Z',
  kind: 'reload',
  level: 'info',
  text,
  slot: null,
  worker: null,
  generation: null,
  pid: null,
  stack: [],
});

const of = (count: number): WorkerStatus[] => Array.from({ length: count }, (_, slot) => worker(slot));
const stateOf = (workers: readonly WorkerStatus[], entries: readonly TimelineEntry[] = []): State =>
  initialState(status(workers), entries);
const words = (state: State, cells: number, rows: number): string[] => frame(state, cells, rows).map(wordsOf);
const press = (state: State, keys: readonly string[], page = 5): State =>
  keys.reduce((now, key) => pressed(now, key, { columns: 200, page })[0], state);

const nasty = '\u001b[2Jevil\u202e\r\n\u0007店舗の名前👩‍👩‍👧‍👦e\u0301\u0301\u0301\u0301\ud800';
const hostile = stateOf(
  [worker(0, { reason: 'operator', phase: 'draining', pid: null }), worker(1, { requestsPerSecond: 9e9, rss: 9e15 })],
  [entry(1, `${nasty.repeat(40)}`)],
);

describe('the picture', () => {
  it('fits in every terminal, whatever names, figures and texts there are', () => {
    const named = { ...hostile, status: { ...hostile.status, name: nasty.repeat(9), node: nasty, prefork: nasty } };
    const states = [stateOf([]), stateOf(of(3), [entry(1)]), stateOf(of(64)), named, { ...named, help: true }];
    for (const state of states) {
      const both = [state, { ...state, message: { text: 'm'.repeat(300), bad: true } }];
      for (const each of both)
        for (let cells = 1; cells <= 160; cells += cells < 30 ? 1 : 7)
          for (const rows of [1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 24, 50]) {
            const lines = frame(each, cells, rows);
            assert.equal(lines.length, rows);
            for (const line of lines) {
              const text = line.map((span) => span.text).join('');
              assert.ok(widthOf(text) <= cells, `${JSON.stringify(text)} is wider than ${cells}`);
              assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Cs}]/u);
            }
          }
    }
  });

  it('says how the service is, at 120 x 30', () => {
    const lines = words(stateOf(of(2), [entry(1), entry(2)]), 120, 30);
    assert.equal(lines[0], 'shop: running, healthy  2/2 workers ready  generation 3  2469 requests/s');
    assert.equal(lines[1], 'prefork 0.1.0  Node v22.1.0  pid 4242  up 1d01h  14 in flight  cpu 100%  rss 240MB');
    assert.equal(lines[2], 'last reload 2 failed, nothing was changed after 1.50 s: the first worker threw');
    assert.match(
      lines[4] ?? '',
      /^\+slot +pid +gen +phase +age +req\/s +in flight +p50 +p99 +delay +loop +cpu +rss +heap +restarts$/,
    );
    assert.match(lines[5] ?? '', /^ +0 +40000 +3 ready +1h01m +1235 +7 +1\.3ms +48ms +12ms +42% +50% +120MB +50MB +2$/);
    assert.deepEqual(
      lines.slice(7, 11).map((line) => line.replace(/^\d\d:\d\d:\d\d/, 'TIME')),
      ['', 'timeline', 'TIME  thing 1', 'TIME  thing 2'],
    );
    assert.match(lines[29] ?? '', /^\? help {2}q quit/);
  });

  it('shows - where no request ended, and where an older master says nothing', () => {
    const { latencyP50: _, cpu: __, ...old } = worker(0, { latencyP99: null });
    const [, , , , , line = ''] = words(stateOf([old as WorkerStatus]), 120, 30);
    assert.match(line, / 7 +- +- +12ms +42% +- /);
  });

  it('shows spares after the slots, and counts them', () => {
    const spare = worker(9, { slot: null, phase: 'spare', restarts: 0 });
    const state = stateOf([spare, ...of(2)]);
    const lines = words(
      { ...state, status: { ...state.status, ready: 2, wanted: 2, spares: { wanted: 1, ready: 1 } } },
      120,
      30,
    );
    assert.match(lines[0] ?? '', /2\/2 workers ready \+ 1\/1 spare/);
    assert.match(lines[7] ?? '', /^ +- +40009 +3 spare /);
    assert.deepEqual(pressed({ ...state, selected: spare }, 'c', { columns: 80, page: 5 })[1], { type: 'none' });
  });

  it('drops the less important columns where it is narrow, and has all of them at 120', () => {
    assert.equal(columnsFor(120).length, columns.length);
    const names = (cells: number): string =>
      columnsFor(cells)
        .map(({ name }) => name)
        .join(' ');
    assert.equal(names(80), 'slot pid gen phase age req/s in flight p99 delay cpu');
    assert.equal(names(40), 'slot pid phase req/s');
    assert.equal(names(1), 'slot');
  });

  it('scrolls with the selected worker, and says where it is', () => {
    const rows = 16;
    const state = stateOf(of(64));
    const page = pageOf(state, rows);
    assert.equal(page, 10);
    const at = (keys: readonly string[]): string[] => words(press(state, keys, page), 80, rows);
    assert.match(at([]).at(-1) ?? '', / 1-10 of 64$/);
    assert.match(at(['page-down']).at(-1) ?? '', / 2-11 of 64$/);
    assert.match(at(['page-down', 'page-down', 'up']).at(-1) ?? '', / 12-21 of 64$/);
    assert.match(at(['end']).at(-2) ?? '', /^ +63 /);
    assert.match(at(['end', 'home']).at(-1) ?? '', / 1-10 of 64$/);
    // A terminal that became smaller still shows the selected one.
    const small = frame(press(state, ['page-down'], page), 80, 5);
    assert.ok(small.some(([span]) => span?.style === 'selected' && /^ +10 /.test(span.text)));
  });

  it('--once shows every worker, and no key', () => {
    const lines = onceFrame(stateOf(of(64), [entry(1)]), 160).map(wordsOf);
    assert.equal(lines.filter((line) => /^ +\d+ +\d+ .* ready /.test(line)).length, 64);
    assert.doesNotMatch(lines.join('\n'), /quit/);
    assert.match(lines.at(-1) ?? '', /thing 1$/);
  });

  it('is without colour where NO_COLOR says so', () => {
    const lines = frame(hostile, 120, 30);
    const of = (colour: boolean): string => lines.map((line) => paint(line, colour)).join('\n');
    assert.match(of(true), /\[(?:\d;)*3\d/);
    assert.doesNotMatch(of(false), /\[(?:\d;)*3\d/);
  });
});

describe('the order', () => {
  it('is by each column both ways, unknown ones last, equal ones by slot', () => {
    const some = [
      worker(2, { latencyP99: null, requestsPerSecond: 5 }),
      worker(0, { latencyP99: 10, requestsPerSecond: 5 }),
      worker(1, { latencyP99: 9, requestsPerSecond: 50 }),
    ];
    const slots = (by: string, descending: boolean): (number | null)[] =>
      sorted(some, by, descending).map(({ slot }) => slot);
    assert.deepEqual(slots('slot', false), [0, 1, 2]);
    assert.deepEqual(slots('slot', true), [2, 1, 0]);
    assert.deepEqual(slots('p99', false), [1, 0, 2]);
    assert.deepEqual(slots('p99', true), [0, 1, 2]);
    assert.deepEqual(slots('req/s', true), [1, 0, 2]);
    for (const { name } of columns) assert.equal(sorted(some, name, true).length, 3);
  });

  it('is chosen among the columns that are seen', () => {
    let state = stateOf(of(2));
    for (const name of ['pid', 'phase', 'req/s', 'slot']) {
      [state] = pressed(state, 'right', { columns: 40, page: 5 });
      assert.equal(state.sort, name);
    }
    [state] = pressed(state, 'left', { columns: 40, page: 5 });
    assert.deepEqual([state.sort, state.descending], ['req/s', true]);
    state = press(state, ['S']);
    assert.deepEqual([state.sort, state.descending], ['req/s', false]);
    assert.equal(state.message?.text, 'sorted by req/s, smallest first');
  });
});

describe('keys and answers', () => {
  it('keys say what is to be done', () => {
    const effect = (key: string, state = stateOf(of(3))) => pressed(state, key, { columns: 80, page: 5 })[1];
    for (const key of ['q', 'ctrl-c', 'ctrl-d']) assert.deepEqual(effect(key), { type: 'quit' });
    assert.deepEqual(effect('r'), { type: 'reload' });
    assert.deepEqual(effect('+'), { type: 'scale', by: 1 });
    assert.deepEqual(effect('-'), { type: 'scale', by: -1 });
    assert.deepEqual(effect('c', press(stateOf(of(3)), ['j', 'down', 'k'])), { type: 'recycle', slot: 1 });
    assert.deepEqual(effect('c', stateOf([])), { type: 'none' });
    assert.deepEqual(effect('x'), { type: 'none' });
  });

  it('a key that closes the help does nothing else', () => {
    const helped = press(stateOf(of(3)), ['?']);
    assert.equal(helped.help, true);
    const [state, effect] = pressed(helped, 'r', { columns: 80, page: 5 });
    assert.deepEqual([state.help, effect], [false, { type: 'none' }]);
  });

  it('the selection stays with its worker, then with its slot', () => {
    const before = press(stateOf(of(4)), ['j', 'j']);
    const turned = press(before, ['S']);
    assert.equal(turned.selected?.slot, 2);
    const next = worker(2, { id: 900, phase: 'booting' });
    const both = answered(turned, status([...of(4), next]), []);
    assert.equal(both.selected?.id, 102);
    const replaced = answered(both, status([...of(4).filter(({ slot }) => slot !== 2), next]), []);
    assert.equal(replaced.selected?.id, 900);
    const fewer = answered(replaced, status(of(2)), []);
    assert.ok(shown(fewer).some(({ id }) => id === fewer.selected?.id));
    assert.equal(answered(fewer, status([]), []).selected, null);
  });

  it('the end of a reload is told once; that of another master is not', () => {
    const last = { reload: 3, verdict: 'completed', generation: 4, reason: null, duration: 1 } as const;
    const before = stateOf(of(2));
    const after = answered(before, status(of(2), { reload: { running: null, last } }), []);
    assert.equal(after.message?.text, 'reload 3 completed, generation 4 serves');
    const later = answered({ ...after, message: null }, after.status, []);
    assert.equal(later.message, null);
    const other = answered(later, status(of(2), { pid: 5_000, reload: { running: null, last: null } }), []);
    assert.equal(other.message?.text, 'another master serves now: pid 5000');
  });
});
