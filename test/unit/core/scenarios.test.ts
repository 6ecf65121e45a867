/** Plays the stories in test/scenarios against the core; UPDATE_SCENARIOS=1 writes what it did under each. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { play, readStory } from '../../support/core/scenario.ts';

const folder = new URL('../../scenarios/', import.meta.url);

for (const name of readdirSync(folder)
  .filter((file) => file.endsWith('.txt'))
  .sort()) {
  const url = new URL(name, folder);
  const { text, expected } = readStory(readFileSync(url, 'utf8'));
  const title = /^# (.*)$/m.exec(text)?.[1] ?? name;
  test(`core: ${title} (${name})`, () => {
    const actual = play(text);
    if (process.env.UPDATE_SCENARIOS !== undefined) writeFileSync(url, `${text}---\n${actual}`);
    else assert.equal(actual, expected);
  });
}
