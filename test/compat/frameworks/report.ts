/** The frameworks as rows: for the terminal and for docs/compatibility.md. */
import { markdownTable, readBetween, writeBetween } from '../report.ts';
import type { Row } from './suite.ts';

const marker = 'frameworks';
const head = ['framework', 'version', 'Node', 'how it was started', 'requests', 'lost', 'result'];

export function cellsOf(row: Row): string[] {
  const { title, started } = row.framework;
  switch (row.kind) {
    case 'checked': {
      const { version, node, answered, lost, faults } = row.finding;
      return [
        title,
        version,
        node,
        started,
        String(answered + lost),
        String(lost),
        faults.length === 0 ? 'ok' : faults.join('; '),
      ];
    }
    case 'skipped':
      return [title, '', '', started, '', '', `not run: ${firstLine(row.reason)}`];
    case 'broken':
      return [title, '', '', started, '', '', `failed: ${firstLine(row.error)}`];
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

/** Puts the rows into the page; rows of frameworks that did not run this time stay as they are. */
export function publish(rows: readonly Row[], order: readonly string[]): void {
  const known = new Map(
    readBetween(marker)
      .split('\n')
      .slice(2)
      .map((line) =>
        line
          .split(/(?<!\\)\|/)
          .slice(1, -1)
          .map((text) => text.trim().replaceAll('\\|', '|')),
      )
      .map((cells) => [cells[0] ?? '', cells] as const),
  );
  for (const row of rows) known.set(row.framework.title, cellsOf(row));
  const sorted = order.flatMap((title) => {
    const cells = known.get(title);
    return cells === undefined ? [] : [cells];
  });
  writeBetween(marker, markdownTable(head, sorted));
}
