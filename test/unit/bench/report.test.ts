/** The figures of the bench: kept beside each other, held against the aims, drawn. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readWrk } from '../../../bench/clients/wrk.ts';
import { type Aim, aims, inWords, judge } from '../../../bench/report/aims.ts';
import { type Figures, mergeFigures, type Panel, readFigures, type Taken } from '../../../bench/report/figures.ts';
import { body, writePage } from '../../../bench/report/page.ts';
import { draw, layOut, ranked } from '../../../bench/report/plot.ts';
import { scenarios } from '../../../bench/scenarios/index.ts';
import { coefficientOfVariation } from '../../../bench/stats.ts';
import { fromRoot } from '../../support/paths.ts';

const panel: Panel = {
  title: 'Requests lost',
  better: 'less',
  aim: 0,
  bars: [
    { name: 'PM2', value: 17 },
    { name: 'unknown', value: null },
    { name: 'prefork', value: 0 },
    { name: 'Puma & co', value: 3 },
  ],
};

const taken = (values: Readonly<Record<string, number>>, panels: readonly Panel[] = []): Taken => ({
  heading: 'A heading',
  how: 'How.',
  circumstances: 'Then.',
  versions: ['all of them'],
  table: { heads: ['server', 'lost'], rows: [['prefork', '0']] },
  panels,
  values,
});

const aim: Aim = { text: 'loses', scenario: 'one', values: 'lost', limit: 10, at: 'most', unit: ' MB' };

test('a scenario that is run again takes the place of its own figures, and of no others', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-figures-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'figures.json');
  assert.deepEqual(readFigures(path), {});
  mergeFigures(path, { one: taken({ lost: 1 }), two: taken({ lost: 2 }) });
  const all = mergeFigures(path, { one: taken({ lost: 3 }) });
  assert.deepEqual(all, readFigures(path));
  assert.deepEqual([all.one?.values, all.two?.values], [{ lost: 3 }, { lost: 2 }]);
});

test('a verdict says whether an aim is met, and otherwise by how much not', () => {
  const words = (figures: Figures, which: Aim = aim): string => inWords(judge(which, figures));
  assert.equal(words({}), 'not measured');
  assert.equal(words({ one: taken({ other: 1 }) }), 'not measured');
  assert.equal(words({ one: taken({ lost: 10 }) }), '**met**');
  assert.equal(words({ one: taken({ lost: 12.5 }) }), 'not met: 2.5 MB over (25 %)');
  assert.equal(words({ one: taken({ lost: 3 }) }, { ...aim, limit: 0, unit: '' }), 'not met: 3 over');
  assert.equal(
    words({ one: taken({ lost: 1.35 }) }, { ...aim, limit: 1.8, at: 'least', unit: '' }),
    'not met: 0.45 short (25 %)',
  );
  assert.equal(words({ one: taken({ lost: 1.8 }) }, { ...aim, limit: 1.8, at: 'least' }), '**met**');
});

test('of several figures the one furthest from the aim decides', () => {
  const figures = { one: taken({ 'rss.20': 4, 'rss.24': 11, 'rssother.24': 99 }) };
  assert.deepEqual(judge({ ...aim, values: 'rss.' }, figures), {
    aim: { ...aim, values: 'rss.' },
    figure: 11,
    met: false,
  });
  assert.equal(judge({ ...aim, values: 'rss.', at: 'least', limit: 4 }, figures).figure, 4);
});

test('every aim names a scenario that there is', () => {
  assert.deepEqual(
    aims.filter(({ scenario }) => !(scenario in scenarios)),
    [],
  );
});

test('bars stand with the best first, and what has no figure last', () => {
  const names = (which: Panel): string[] => ranked(which).map(({ name }) => name);
  assert.deepEqual(names(panel), ['prefork', 'Puma & co', 'PM2', 'unknown']);
  assert.deepEqual(names({ ...panel, better: 'more' }), ['PM2', 'Puma & co', 'prefork', 'unknown']);
});

test('a plot is an SVG that stands alone: every name and figure, the aim, colours for light and dark, nothing active', () => {
  const svg = draw([panel, panel, { ...panel, title: 'A third' }], 'All of <it>');
  assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  for (const text of [
    'Requests lost',
    'A third',
    'less is better',
    '>prefork<',
    'Puma &amp; co',
    '>17<',
    'no figure',
    'aim 0',
  ]) {
    assert.ok(svg.includes(text), text);
  }
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.doesNotMatch(svg, /<script|onclick|:hover|<image|href=/);
  assert.match(svg, /<title>All of &lt;it><\/title>/);
  assert.equal(draw([panel], ''), draw([panel], ''), 'the same figures give the same picture');
});

test('plots lie two in a row, each row as high as its longer one', () => {
  const long = { ...panel, bars: [...panel.bars, ...panel.bars] };
  const { places, height } = layOut([panel, long, panel]);
  const tops = places.map(({ top }) => top);
  assert.deepEqual([tops[0], places[0]?.height], [tops[1], places[1]?.height]);
  assert.equal(tops[2], (tops[0] ?? 0) + (places[1]?.height ?? 0));
  assert.equal(height, (tops[2] ?? 0) + (places[2]?.height ?? 0));
  assert.ok((places[1]?.left ?? 0) >= (places[0]?.width ?? Number.POSITIVE_INFINITY));
});

test('the page has what is written by hand, the aims, and each scenario with its plot', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-results-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'RESULTS.md');
  const write = (text: string): void => writeFileSync(path, text);
  const figures = { two: taken({}), one: taken({ lost: 1 }, [panel]) };
  write('By hand.\n<!-- tables -->\nold\n<!-- end of tables -->\nThe end.\n');
  writePage(folder, figures, ['one', 'two', 'three']);
  const text = readFileSync(path, 'utf8');
  assert.match(text, /^By hand\.\n<!-- tables -->\n[\s\S]*<!-- end of tables -->\nThe end\.\n$/);
  assert.ok(!text.includes('old'));
  assert.equal(text.split('### A heading').length - 1, 2);
  assert.equal(text.split('](plots/one.svg)').length - 1, 1);
  assert.ok(!text.includes('plots/two.svg'));
  assert.match(text, /\| prefork \| 0 \|/);
  assert.match(readFileSync(join(folder, 'plots/one.svg'), 'utf8'), /^<svg/);
  write('no marks');
  assert.throws(() => writePage(folder, figures, ['one']), /has no <!-- tables -->/);
});

test('bench/RESULTS.md is what its figures give', () => {
  const page = readFileSync(fromRoot('bench/RESULTS.md'), 'utf8');
  const figures = readFigures(fromRoot('bench/figures.json'));
  assert.ok(page.includes(body(figures, Object.keys(scenarios))), 'npm run bench -- --render');
});

test('spread is 0 where it is even, and a part of the mean otherwise', () => {
  assert.equal(coefficientOfVariation([10, 10, 10, 10]), 0);
  assert.equal(coefficientOfVariation([20, 0]), 1);
  assert.ok(Math.abs(coefficientOfVariation([34, 2, 2, 2]) - 1.386) < 0.001);
  assert.ok(Number.isNaN(coefficientOfVariation([0, 0])));
});

test('what wrk says is read, errors among it', () => {
  const text = [
    'Running 2s test @ http://127.0.0.1:3000/',
    '  1 threads and 32 connections',
    '  100231 requests in 2.00s, 20.1MB read',
    '  Socket errors: connect 1, read 2, write 0, timeout 3',
    '  Non-2xx or 3xx responses: 4',
    'Requests/sec:  50105.20',
  ];
  assert.deepEqual(readWrk(text.join('\n')), { done: 100_231, perSecond: 50_105.2, failed: 10 });
  assert.equal(readWrk(text.toSpliced(3, 2).join('\n')).failed, 0);
  assert.throws(() => readWrk('unable to connect to 127.0.0.1'), /wrk said/);
});
