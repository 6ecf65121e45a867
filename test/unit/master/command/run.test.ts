/** A shell command of the configuration: nothing of it runs before it is known who it is. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from '../../../../src/master/command/run.ts';
import type { Logger } from '../../../../src/master/log/logger.ts';
import { project } from '../../../support/config-harness.ts';

function run(t: TestContext, command: string, onStarted?: (pid: number, folder: string) => void) {
  const lines: string[] = [];
  const folder = project(t);
  const end = runCommand({
    name: 'release',
    command,
    settings: { chdir: folder, env: { PATH: process.env.PATH ?? '' }, identity: null, umask: process.umask() },
    timeout: 60_000,
    timeoutName: 'releaseTimeout',
    logger: { info: (_: object, message: string) => lines.push(message) } as unknown as Logger,
    signal: AbortSignal.any([]),
    endsAll: false,
    ...(onStarted === undefined ? {} : { onStarted: (pid: number) => onStarted(pid, folder) }),
  });
  return { end, folder, lines };
}

describe('a command', () => {
  it('REL-11 has run nothing while its process is being noted: a master that dies meanwhile leaves none behind', async (t) => {
    let early = false;
    const { end, folder } = run(t, 'echo begun > trace', (_, where) => {
      // Long enough for a shell that does not wait.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
      early = existsSync(join(where, 'trace'));
    });
    assert.equal((await end).failure, null);
    assert.equal(early, false);
    assert.equal(readFileSync(join(folder, 'trace'), 'utf8'), 'begun\n');
  });

  it('is not run if who started it dies before it says so', async (t) => {
    const { end, folder } = run(t, 'echo begun > trace', (pid) => process.kill(-pid, 'SIGKILL'));
    assert.equal((await end).failure, 'was ended by SIGKILL');
    assert.ok(!existsSync(join(folder, 'trace')));
  });

  it('has no input, is the leader of its group, and is called as it was written', async (t) => {
    let started = 0;
    const { end, lines } = run(t, 'cat; echo "$0 $$ $#"; exit 3', (pid) => {
      started = pid;
    });
    assert.equal((await end).failure, 'failed with code 3');
    assert.deepEqual(lines, [`release: /bin/sh ${started} 0`]);
  });
});
