/** Writes what was found into docs/compatibility.md, between markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fromRoot } from '../support/paths.ts';

const page = fromRoot('docs/compatibility.md');

/** Replaces what is between `<!-- name -->` and `<!-- /name -->`. */
export function writeBetween(name: string, text: string): void {
  const [from, to] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const old = readFileSync(page, 'utf8');
  const [start, end] = [old.indexOf(from), old.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`docs/compatibility.md has no markers ${from} and ${to}`);
  writeFileSync(page, `${old.slice(0, start + from.length)}\n${text.trim()}\n${old.slice(end)}`);
}

/** The text between the markers. */
export function readBetween(name: string): string {
  const text = readFileSync(page, 'utf8');
  return text.split(`<!-- ${name} -->`)[1]?.split(`<!-- /${name} -->`)[0]?.trim() ?? '';
}

/** A Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** One cell: no line breaks, no column marks. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();
}
