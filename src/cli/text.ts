/** Strings on a terminal: how wide they are. What steers it was taken out before, by `plain` of `system/plain.ts`. */

/** Characters that take two cells, besides emoji: East Asian wide and fullwidth (Unicode, EastAsianWidth.txt). */
const wide: readonly (readonly [from: number, to: number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
];

/** The number of cells that a string takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += cellsOf(character);
  return width;
}

/** As much of it as fits into so many cells; if something is cut off, the last one is `~`. */
export function cut(text: string, cells: number): string {
  if (widthOf(text) <= cells) return text;
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += cellsOf(character);
    if (width > cells - 1) break;
    kept += character;
  }
  return cells < 1 ? '' : `${kept}~`;
}

/** Exactly so many cells of it. */
export function fit(text: string, cells: number, side: 'left' | 'right'): string {
  const short = cut(text, cells);
  const gap = ' '.repeat(Math.max(0, cells - widthOf(short)));
  return side === 'left' ? short + gap : gap + short;
}

/** The pieces that fit in one line, the first ones first. */
export function join(pieces: readonly string[], cells: number, between = '  '): string {
  let line = cut(pieces[0] ?? '', cells);
  for (const piece of pieces.slice(1)) {
    if (widthOf(line) + widthOf(between) + widthOf(piece) > cells) break;
    line += between + piece;
  }
  return line;
}

function cellsOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (/[\p{Mn}\p{Me}]/u.test(character)) return 0;
  if (/\p{Emoji_Presentation}/u.test(character)) return 2;
  return wide.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}
