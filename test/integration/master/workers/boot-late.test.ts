/** Boots that take too long: who may have clients is not cut, and a master that hardly runs does not blame its workers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { assertClean, stopClean } from '../../../support/invariants.ts';
import { root } from '../../../support/paths.ts';
import { head, RawSocket } from '../../../support/raw.ts';
import { stretched } from '../../../support/slowness.ts';
import { startSupervisor } from '../../../support/supervisor.ts';
import { pause, until } from '../../../support/until.ts';

const late = /boot timeout/;

test('BOOT-08 a worker that has sockets, but is not ready within bootTimeout, answers what it has before it goes', async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), 'prefork-late-'));
  t.after(() => rmSync(cwd, { recursive: true, force: true }));
  const bootMs = stretched(2_000);
  writeFileSync(
    join(cwd, 'app.mjs'),
    `import { createServer } from 'node:http';
     import { health } from ${JSON.stringify(pathToFileURL(join(root, 'dist/index.js')).href)};
     createServer((req, res) => {
       res.write('begun');
       setTimeout(() => res.end(' and done'), ${bootMs + 1_500});
     }).listen(() => health.check('database', () => { throw new Error('refused'); }));`,
  );
  const s = await startSupervisor(t, {
    app: join(cwd, 'app.mjs'),
    cwd,
    workers: 1,
    args: ['--boot-timeout', `${bootMs}ms`],
  });
  await s.waitForLog(/^worker is not ready yet/);
  const socket = await RawSocket.connected(s.target);
  await socket.write(head('/')).waitFor(/begun/);
  const line = await s.waitForLog(late);
  assert.match(line.msg, /^worker retires: boot timeout/);
  await until('the end of the connection', () => socket.ending !== 'open', { within: stretched(20_000) });
  assert.match(socket.text, /^HTTP\/1\.1 200 OK\r\n.* and done/s);
  // It was the first start, and there is no other worker.
  assert.equal((await s.waitExit(stretched(20_000))).code, 3);
  await assertClean(s, { code: 3, allow: /"level":[56]0/ });
});

test('BOOT-08 a master that hardly runs gives boots the time back, and then ends the one that hangs', async (t) => {
  const bootMs = 2_000;
  const s = await startSupervisor(t, { workers: 2, args: ['--boot-timeout', `${bootMs}ms`] });
  s.set('boot', 'hang@1');
  await s.waitForLog(/^worker spawned/);
  // Each stop is too short to be found by its own; it runs for a fifth of the time.
  const since = performance.now();
  while (performance.now() - since < 1.75 * bootMs) {
    process.kill(s.pid, 'SIGSTOP');
    await pause(400);
    process.kill(s.pid, 'SIGCONT');
    await pause(100);
  }
  assert.ok(!s.log.some(({ msg }) => late.test(msg)), s.describe());
  s.set('boot', 'ok');
  await s.waitForLog(late, { within: stretched(20_000) });
  await s.waitForLog(/^ready: 2 workers/, { within: stretched(20_000) });
  await stopClean(s, { allow: late });
});
