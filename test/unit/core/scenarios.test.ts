/** Plays the stories in test/scenarios against the core; UPDATE_SCENARIOS=1 writes what it did under each. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { play, readStory } from '../../support/core/scenario.ts';
import { fromRoot } from '../../support/paths.ts';

const folder = fromRoot('test/scenarios');

for (const name of readdirSync(folder)
  .filter((file) => file.endsWith('.txt'))
  .sort()) {
  const path = join(folder, name);
  const { text, expected } = readStory(readFileSync(path, 'utf8'));
  const title = /^# (.*)$/m.exec(text)?.[1] ?? name;
  test(`core: ${title} (${name})`, () => {
    const actual = play(text);
    if (process.env.UPDATE_SCENARIOS !== undefined) writeFileSync(path, `${text}---\n${actual}`);
    else assert.equal(actual, expected);
  });
}
