/**
 * SEC-08: descriptors that a worker sends along. Node's reader of an IPC channel ends the process at that of a file, and
 * keeps the others: the master reads no such channel.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { app, replaced, start } from '../../support/faults.ts';
import { stopClean } from '../../support/invariants.ts';
import { fdCount } from '../../support/proc.ts';
import { request, requestJson } from '../../support/request.ts';
import { stays, until } from '../../support/until.ts';

const isRoot = process.geteuid?.() === 0;

function hasPython(): boolean {
  try {
    execFileSync('python3', ['-c', 'import socket; socket.SCM_RIGHTS'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('SEC-08: descriptors that a worker sends to the master', {
  skip: hasPython() ? false : 'needs python3, which can send them',
}, () => {
  /** Over which descriptor, beside which text, and what becomes of the worker. */
  const ways = [
    ['the channel', 3, '{"cmd":"NODE_HANDLE","type":"net.Native","msg":1}', 'stays'],
    ['the channel, beside garbage', 3, 'garbage', 'stays'],
    ['the pipe, beside what it may say', 4, '{"type":"termed"}', 'any'],
    ['the pipe, beside nothing that is odd', 4, '{"type":"unbind","seq":1}', 'stays'],
    ['the pipe, beside garbage', 4, 'garbage', 'goes'],
  ] as const;
  for (const [name, fd, text, fate] of ways) {
    it(`over ${name}: of no kind do they harm it, and none stays open`, async (t) => {
      const args = isRoot ? ['-u', 'nobody'] : [];
      const s = await start(t, { app, args, ...(isRoot ? { cwd: '/tmp' } : {}) });
      const before = s.workers();
      const fds = fdCount(s.pid);
      const path = `/descriptors?fd=${fd}&text=${encodeURIComponent(text)}`;
      // A worker that is killed does not answer.
      const answer = await requestJson(s.target, path).catch(() => null);
      if (fate === 'stays') assert.ok(Number(answer?.sent) > 500, JSON.stringify(answer));
      await until(
        'three ready workers',
        async () => (await request(s.target, '/pid', { timeout: 5_000 })).status === 200 && s.workers().length >= 3,
      );
      if (fate === 'stays') await stays('the worker', () => before.every((pid) => s.workers().includes(pid)), 500);
      if (fate === 'goes') await until('it to go', () => !before.every((pid) => s.workers().includes(pid)));
      assert.equal(s.exit, null);
      if (fate !== 'any') {
        const gone = before.filter((pid) => !s.workers().includes(pid));
        await replaced(s, gone);
        await until('the descriptors', () => fdCount(s.pid) <= fds);
      }
      await s.reload();
      await until('the descriptors', () => fdCount(s.pid) <= fds + 1, { within: 10_000 });
      await stopClean(s, { allow: /./ });
    });
  }
});
