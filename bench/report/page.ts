/** bench/RESULTS.md and its pictures, made from the figures. What is outside of the marks is written by hand. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { markdownTable } from '../stats.ts';
import { aimRows } from './aims.ts';
import type { Figures, Taken } from './figures.ts';
import { draw } from './plot.ts';

const [begin, end] = ['<!-- tables -->', '<!-- end of tables -->'];

/** @param order the names of all scenarios, as they stand on the page */
export function writePage(folder: string, figures: Figures, order: readonly string[]): void {
  const path = join(folder, 'RESULTS.md');
  const text = readFileSync(path, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path} has no ${begin} before ${end}`);
  writeFileSync(path, `${text.slice(0, from + begin.length)}\n${body(figures, order)}\n${text.slice(to)}`);
  mkdirSync(join(folder, 'plots'), { recursive: true });
  for (const [name, { panels, heading }] of Object.entries(figures)) {
    if (panels.length > 0) writeFileSync(join(folder, 'plots', `${name}.svg`), draw(panels, heading));
  }
}

/** What stands between the marks. */
export function body(figures: Figures, order: readonly string[]): string {
  const parts = order.flatMap((name) => {
    const taken = figures[name];
    return taken === undefined ? [] : [section(name, taken)];
  });
  const table = markdownTable(['aim', '', 'figure', 'verdict'], aimRows(figures));
  return ['## The aims', '', table, '', '## The figures', '', ...parts].join('\n');
}

function section(name: string, { heading, how, circumstances, versions, panels, table }: Taken): string {
  const picture = panels.length === 0 ? [] : [`![${heading}](plots/${name}.svg)`, ''];
  const lines = [`### ${heading}`, '', how, '', ...picture, markdownTable(table.heads, table.rows), '', circumstances];
  return [...lines, ...versions.map((each) => `- ${each}`), ''].join('\n');
}
