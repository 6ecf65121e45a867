/** What a service answers is checked before a command goes by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkStatus, scaleText } from '../../../src/cli/check-answers.ts';
import { renderStatus } from '../../../src/cli/render.ts';

const worker = { slot: 0, id: 1, pid: 10, phase: 'ready' };
const status = {
  ...{ prefork: '1.0.0', node: 'v22.1.0', name: 'shop', state: 'running', health: 'healthy', app: '/app.js' },
  ...{ pid: 1, uptime: 1, generation: 1, wanted: 1, ready: 1 },
  reload: { running: null, last: null },
  upgrade: { running: null, last: null },
  listeners: [],
  workers: [worker],
};

test('a status of spares, or of a version that knows none, is one', () => {
  assert.match(renderStatus(checkStatus(status, 'x')), /1 of 1 workers ready\n/);
  const spares = { wanted: 2, ready: 1 };
  const known = checkStatus({ ...status, spares, workers: [worker, { ...worker, slot: null, phase: 'spare' }] }, 'x');
  assert.match(renderStatus(known), /1 of 1 workers ready, 1 of 2 spares ready\n/);
});

test('anything else in their place is refused', () => {
  for (const spares of [null, 3, {}, { wanted: '2', ready: 1 }])
    assert.throws(() => checkStatus({ ...status, spares }, 'x'), /not as prefork does/);
  for (const slot of [undefined, '0', {}])
    assert.throws(() => checkStatus({ ...status, workers: [{ ...worker, slot }] }, 'x'), /not as prefork does/);
});

test('how long a number of workers lasts that was asked for', () => {
  assert.equal(scaleText({ workers: 3 }, 'x'), '3 workers from now on, until the next reload');
  assert.equal(scaleText({ workers: 3, until: 'reload' }, 'x'), '3 workers from now on, until the next reload');
  assert.match(
    scaleText({ workers: 3, until: 'load' }, 'x'),
    /^3 workers from now on, until the load asks for more or/,
  );
  assert.throws(() => scaleText({ workers: '3' }, 'x'), /not as prefork does/);
});
