/** docs/settings.md is the table of settings, rendered; UPDATE_DOCS=1 renders it anew. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { renderSettings } from '../../support/settings-page.ts';

const path = new URL('../../../docs/settings.md', import.meta.url);

test('docs/settings.md says what the table of settings says', () => {
  const rendered = renderSettings();
  if (process.env.UPDATE_DOCS !== undefined) writeFileSync(path, rendered);
  assert.equal(readFileSync(path, 'utf8'), rendered, 'run UPDATE_DOCS=1 npm run test:unit');
});
