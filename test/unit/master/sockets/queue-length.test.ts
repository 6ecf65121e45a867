/** How many connections wait in listening sockets, without a look at the kernel's tables for each of them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { it } from 'node:test';
import { waitingOf } from '../../../../src/master/sockets/queue-length.ts';
import { bindHandle, closeHandle, type Handle } from '../../../../src/system/node-internals.ts';

const isLinux = process.platform === 'linux';

it('reads the tables once, however many listeners there are', { skip: !isLinux }, (t) => {
  const handles: Handle[] = [];
  for (let index = 0; index < 200; index += 1) {
    const handle = bindHandle('127.0.0.1', 0, 4, null, 0);
    assert.ok(typeof handle !== 'number');
    // Bound alone it is in no table.
    assert.equal((handle as unknown as { listen(backlog: number): number }).listen(1), 0);
    handles.push(handle);
  }
  const open = t.mock.method(fs, 'openSync');
  syncBuiltinESMExports();
  try {
    const each = waitingOf([
      ...handles.map(({ fd }) => [fd]),
      handles.slice(0, 2).map(({ fd }) => fd),
      [],
      [1_000_000],
    ]);
    const tables = open.mock.calls.filter(({ arguments: [path] }) => String(path).includes('/net/tcp'));
    assert.ok(tables.length <= 2, `${tables.length} reads`);
    assert.deepEqual(each, [...handles.map(() => 0), 0, null, null]);
  } finally {
    open.mock.restore();
    syncBuiltinESMExports();
    for (const handle of handles) closeHandle(handle);
  }
});
