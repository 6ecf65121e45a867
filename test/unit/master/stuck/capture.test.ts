/** Whose work a stack shows: prefork's own, by the mark that the worker leaves, or the app's. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { captureStack } from '../../../../src/master/stuck/capture.ts';

const evidence = new URL('../../../../src/worker/evidence.ts', import.meta.url).href;

/** A process that does something again and again; `spin` blocks it for a while. */
async function running(t: TestContext, work: string): Promise<{ readonly pid: number; readonly open: () => void }> {
  const code = `
    import { runInThisContext } from 'node:vm';
    import { marked } from ${JSON.stringify(evidence)};
    const spin = () => { for (const end = Date.now() + 300; Date.now() < end;); };
    const elsewhere = runInThisContext(String(spin));
    setInterval(${work}, 10);
    console.log('runs');`;
  const args = ['--inspect-port=127.0.0.1:0', '--import', 'tsx', '--input-type=module', '-e', code];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return { pid: child.pid ?? 0, open: () => child.kill('SIGUSR1') };
}

const cases = [
  { work: 'marked(() => spin())', isOwnWork: true },
  { work: 'marked(() => elsewhere())', isOwnWork: false },
  { work: '() => spin()', isOwnWork: false },
];

for (const { work, isOwnWork } of cases) {
  test(`HB-09 a stack of ${work} is ${isOwnWork ? "prefork's own work" : "the app's"}`, async (t) => {
    const { pid, open } = await running(t, work);
    const capture = await captureStack(pid, open, 30_000);
    assert.equal(capture.problem, null);
    assert.ok(capture.frames.length > 0);
    assert.equal(capture.isOwnWork, isOwnWork, capture.frames.join('\n'));
  });
}
