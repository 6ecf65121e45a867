/** How lines are painted: SGR of ECMA-48, or not at all. */

export type Style = 'plain' | 'bold' | 'dim' | 'title' | 'sorted' | 'selected' | 'good' | 'warn' | 'bad';

export interface Span {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly Span[];

/** Without colour, for NO_COLOR (no-color.org), and with it. Bold, dim and inverse are no colours. */
const codes: Readonly<Record<Style, readonly [mono: string, colour: string]>> = {
  plain: ['', ''],
  bold: ['1', '1'],
  dim: ['2', '2'],
  title: ['1', '1'],
  sorted: ['1;4', '1;4;36'],
  selected: ['7', '7'],
  good: ['1', '1;32'],
  warn: ['', '33'],
  bad: ['1', '1;31'],
};

export function paint(line: Line, colour: boolean): string {
  return line
    .map(({ text, style }) => {
      const code = codes[style][colour ? 1 : 0];
      return code === '' || text === '' ? text : `\u001b[${code}m${text}\u001b[0m`;
    })
    .join('');
}

/** The words alone. */
export function wordsOf(line: Line): string {
  return line
    .map(({ text }) => text)
    .join('')
    .trimEnd();
}
