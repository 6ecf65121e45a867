/** What Prometheus's own tool says of the page, and of the alert rules. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fixture, fromRoot } from '../support/paths.ts';
import { freePort, request } from '../support/request.ts';
import { startSupervisor } from '../support/supervisor.ts';

const lacks = spawnSync('promtool', ['--version']).status === 0 ? false : 'promtool is not installed';

test('CTL-04: promtool finds nothing wrong with the page of metrics', { skip: lacks }, async (t) => {
  const admin = await freePort();
  const app = fixture('express/app.cjs');
  const s = await startSupervisor(t, { app, workers: 2, args: ['--admin', `127.0.0.1:${admin}`] });
  await s.waitReady();
  for (let index = 0; index < 5; index++) await request(s.target, '/');
  await s.reload();
  const { body } = await request({ port: admin }, '/metrics');
  assert.match(body, /^http_requests_total\{method="GET",status="200",route="\/"\} 5$/m);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' });
  assert.equal(`${stdout}${stderr}`, '');
  assert.equal(status, 0);
});

test('promtool takes the alert rules', { skip: lacks }, () => {
  const rules = fromRoot('config/prometheus/alerts.yml');
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', rules], { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout, /SUCCESS: 8 rules found/);
});
