/** Events of the process that the app never sees. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventFilter } from '../../../src/worker/process-events.ts';

test('several parts of the agent may look at one event: whoever takes it is the last that sees it', () => {
  const emit = process.emit;
  try {
    const seen: string[] = [];
    const filter = new EventFilter();
    const name = 'prefork-test';
    filter.intercept(name, ([what]) => {
      seen.push(`first ${String(what)}`);
      return what === 'a';
    });
    filter.intercept(name, ([what]) => {
      seen.push(`second ${String(what)}`);
      return what === 'b';
    });
    process.on(name, (what) => seen.push(`app ${String(what)}`));
    for (const what of ['a', 'b', 'c']) Reflect.apply(process.emit, process, [name, what]);
    assert.deepEqual(seen, ['first a', 'first b', 'second b', 'first c', 'second c', 'app c']);
  } finally {
    process.emit = emit;
    process.removeAllListeners('prefork-test');
  }
});
