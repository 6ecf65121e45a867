/** The address of a webhook: what is taken, and what of it may be seen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWebhook, shownInstead, shownWebhook } from '../../../src/config/webhook-url.ts';

test('EVT-07 a webhook is an http or https URL, and only its host is shown', () => {
  const secret = 'https://user:pw@hooks.example:8443/services/T0/B0/key?token=abc#x';
  assert.equal(parseWebhook(secret)?.host, 'hooks.example:8443');
  assert.equal(shownWebhook(secret), 'https://hooks.example:8443/***');
  assert.equal(shownWebhook('http://[::1]:80/'), 'http://[::1]');
  const bad = [
    '',
    'hooks.example',
    '//hooks.example',
    'ftp://u:pw@x/',
    'file:///etc/passwd',
    'javascript:1',
    'http://',
  ];
  for (const text of [...bad, `http://x/${'y'.repeat(3_000)}`]) assert.equal(parseWebhook(text), null, text);
  assert.equal(shownInstead('ftp://u:pw@x/'), "'ftp:...'");
  assert.doesNotMatch(shownInstead('T0/B0/key') ?? '', /key/);
  assert.equal(shownInstead(7), null);
  assert.equal(shownInstead(''), null, 'a variable of the environment that is not set');
  assert.doesNotMatch(shownInstead('robot:pw@hooks.example/key') ?? '', /robot|pw|key/);
});
