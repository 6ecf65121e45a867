/** The soak, short: `npm run soak` is the long one. */
// Runs alone: it makes load for the whole machine.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fromRoot } from '../../support/paths.ts';

const run = fromRoot('test/soak/run.ts');

test('CON-06 G7: twenty seconds of everything at once: only requests inside a dead worker fail, nothing is left', async (t) => {
  const child = spawn(process.execPath, ['--import', 'tsx', run, '--seconds', '20'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  t.diagnostic(/seed \d+/.exec(output)?.[0] ?? 'no seed');
  assert.equal(code, 0, output.slice(-6_000));
  assert.match(output, /soak: good/);
});
