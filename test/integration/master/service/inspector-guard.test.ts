/** SEC-09: no signal opens an inspector for good, at whatever moment of a process's life it comes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it, type TestContext } from 'node:test';
import { stopClean } from '../../../support/invariants.ts';
import { bin, fixtureApp } from '../../../support/paths.ts';
import { listensOf } from '../../../support/proc.ts';
import { startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

/** Ports on which a process listens. */
const portsOf = (pid: number): number[] => listensOf(pid).map(({ port }) => port);

/** A master that gets the signal so many milliseconds into its life, and what it listens on afterwards. */
async function signalled(t: TestContext, delay: number): Promise<number[] | 'gone'> {
  const args = [bin, fixtureApp, '-w', '1', '-b', 'unix:/tmp/prefork-usr1-test.sock'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const { pid } = child;
  assert.ok(pid !== undefined);
  t.after(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (chunk) => (log += String(chunk)));
  await pause(delay);
  child.kill('SIGUSR1');
  await until('the service, or its end', () => log.includes('ready: 1 workers') || child.signalCode !== null, {
    within: 30_000,
  });
  // Before Node's first line there is nobody to handle a signal, and its default is to end the process.
  if (child.signalCode !== null) return 'gone';
  await until('the inspector to be closed', () => portsOf(pid).length === 0, { within: 5_000 }).catch(() => undefined);
  const ports = portsOf(pid);
  child.kill('SIGTERM');
  await until('its end', () => child.exitCode !== null, { within: 15_000 });
  return ports;
}

/** A worker that a reload retires may be gone between the look and the signal. */
function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

describe('SEC-09', { skip: process.platform === 'linux' ? false : 'needs /proc' }, () => {
  it('USR1 to a master that has only just been started leaves no inspector open', async (t) => {
    const results = new Map<number, number[] | 'gone'>();
    for (const delay of [15, 25, 35, 45, 60, 90]) results.set(delay, await signalled(t, delay));
    for (const [delay, ports] of results) if (ports !== 'gone') assert.deepEqual(ports, [], `after ${delay} ms`);
    assert.ok([...results.values()].some((ports) => ports !== 'gone'));
  });

  it('USR1 to a master and to its workers at any time leaves no inspector open', async (t) => {
    const s = await startSupervisor(t, { workers: 2 });
    await s.waitReady();
    s.signal('SIGHUP');
    for (let round = 0; round < 20; round += 1) {
      s.signal('SIGUSR1');
      for (const { pid } of s.children()) signalIfThere(pid, 'SIGUSR1');
      await pause(15);
    }
    await s.waitForLog(/^reload 1 (done|failed)/, { within: 30_000 });
    await until(
      'every inspector to be closed',
      () =>
        s.workers().every((pid) => portsOf(pid).every((port) => port === s.port)) &&
        portsOf(s.pid).every((port) => port === s.port),
      { within: 15_000 },
    );
    await s.waitWorkers(2, 30_000);
    await stopClean(s, { allow: /Debugger|inspector|For help/ });
  });
});
