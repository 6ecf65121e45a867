import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { registry } from '../../../src/app/registry.ts';
import type { WorkerMessage } from '../../../src/protocol/messages.ts';
import { Leading } from '../../../src/worker/leading.ts';

afterEach(() => {
  registry().leaderWork = [];
  registry().pending.clear();
});

test('LEAD-06 work that fails beside work that ignores its signal is begun anew in the same worker', async (t) => {
  const warned = t.mock.method(process, 'emitWarning', () => {});
  const printed = t.mock.method(console, 'error', () => {});
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: WorkerMessage[] = [];
  const leading = new Leading({ send: (message) => void sent.push(message) });
  const begun: string[] = [];
  let endSlow = (): void => {};
  let signals: readonly AbortSignal[] = [];
  registry().leaderWork = [
    async () => {
      begun.push('slow');
      await new Promise<void>((resolve) => {
        endSlow = resolve;
      });
    },
    async (signal: AbortSignal) => {
      begun.push('fails');
      signals = [...signals, signal];
      if (signals.length === 1) throw new Error('once');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  ].map((run) => Object.defineProperty(run, 'length', { value: 1 }));
  leading.lead(null);
  await settled();
  assert.deepEqual(begun, ['slow', 'fails']);
  t.mock.timers.tick(9_999);
  await settled();
  assert.deepEqual(begun, ['slow', 'fails'], 'the others have 10 s to end');
  t.mock.timers.tick(1);
  await settled();
  assert.deepEqual(begun, ['slow', 'fails', 'fails']);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, false],
  );
  assert.equal(printed.mock.callCount(), 1);
  const warnings = warned.mock.calls.map(({ arguments: [text] }) => String(text));
  assert.equal(warnings.filter((text) => /^onLeader: work has failed \(Error: once\), and other/.test(text)).length, 1);
  endSlow();
  await settled();
  assert.deepEqual(begun, ['slow', 'fails', 'fails', 'slow'], 'what has ended after all goes on with the others');
  leading.leave();
  endSlow();
  await settled();
  assert.equal(signals[1]?.aborted, true);
  assert.deepEqual(sent, [], 'it leads until its process is gone');
});

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
