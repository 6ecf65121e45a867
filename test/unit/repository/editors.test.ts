/** .editorconfig says what biome.json says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

test('editors indent and wrap as the formatter does', () => {
  const { formatter } = JSON.parse(read('biome.json')) as {
    readonly formatter: { readonly indentStyle: string; readonly indentWidth: number; readonly lineWidth: number };
  };
  const [, everywhere = ''] = /^\[\*\]\n((?:\w+ = .+\n)+)/m.exec(read('.editorconfig')) ?? [];
  const settings = Object.fromEntries(
    everywhere
      .trim()
      .split('\n')
      .map((line) => line.split(' = ')),
  );
  assert.deepEqual(
    [settings.indent_style, settings.indent_size, settings.max_line_length, settings.end_of_line],
    [formatter.indentStyle, String(formatter.indentWidth), String(formatter.lineWidth), 'lf'],
  );
});
