import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { timedOut, within } from '../../../src/system/within.ts';

const never = new Promise<never>(() => {});
const timers = (): number => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;

describe('within', () => {
  it('resolves to the value, and leaves no timer', async () => {
    const before = timers();
    const waiting = within(Promise.resolve('value'), 60_000, { ref: true });
    assert.equal(timers(), before + 1);
    assert.equal(await waiting, 'value');
    assert.equal(timers(), before);
  });

  it('resolves to timedOut when the time is up', async () => {
    const startedAt = performance.now();
    assert.equal(await within(never, 50, { ref: true }), timedOut);
    // Timers of Node may fire a millisecond early.
    assert.ok(performance.now() - startedAt >= 48);
  });

  it('rejects as the promise does, and leaves no timer', async () => {
    const before = timers();
    await assert.rejects(within(Promise.reject(new Error('mine')), 60_000, { ref: true }), /mine/);
    assert.equal(timers(), before);
  });

  it('has no unhandled rejection if the promise rejects later', async () => {
    let fail = (_error: Error): void => {};
    const late = new Promise<void>((_, reject) => {
      fail = reject;
    });
    assert.equal(await within(late, 0, { ref: true }), timedOut);
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    fail(new Error('late'));
    await new Promise((resolve) => setImmediate(resolve));
    process.removeListener('unhandledRejection', note);
    assert.deepEqual(unhandled, []);
  });

  it('lets what is settled win over no time at all', async () => {
    assert.equal(await within(Promise.resolve(1), 0), 1);
  });

  for (const ref of [true, false]) {
    it(`${ref ? 'keeps' : 'does not keep'} the process alive with ref: ${ref}`, async () => {
      const url = new URL('../../../src/system/within.ts', import.meta.url).href;
      const code = `import { within } from ${JSON.stringify(url)};
        within(new Promise(() => {}), 200, { ref: ${ref} }).then(() => console.log('time is up'));`;
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
      await once(child, 'close');
      assert.equal(output, ref ? 'time is up\n' : '');
    });
  }
});
