/** LOG-04: what workers print is in the log, each line told from the supervisor's own. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { LogLine } from '../../../support/log-reader.ts';
import { fixture } from '../../../support/paths.ts';
import { request } from '../../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const app = fixture('access-log/printer.cjs');

async function start(t: TestContext): Promise<Supervisor> {
  const s = await startSupervisor(t, { app, workers: 2, args: ['--capture-output'] });
  return await s.waitReady();
}

function printed(s: Supervisor): LogLine[] {
  return s.log.filter((line) => 'stream' in line);
}

describe('LOG-04 captured output', () => {
  it('is one record a line, with slot and pid, and forges nothing', async (t) => {
    const s = await start(t);
    await request(s.target, '/forge');
    const last = await s.waitForLog((line) => line.msg === 'the end');
    const lines = printed(s);
    assert.ok(
      lines.every(
        ({ pid, slot, worker }) => s.workers().includes(Number(pid)) && [slot, worker].every(Number.isInteger),
      ),
    );
    const forged = lines.filter(({ msg }) => msg.includes('worker spawned'));
    assert.equal(forged.length, 2);
    assert.ok(
      lines.some(({ msg }) => msg === '\\u001b[2Jred \\u009b31m \\u2028 tab\there'),
      s.describe(),
    );
    assert.ok(
      lines.some(({ msg }) => msg === ''),
      'an empty line is one too',
    );
    assert.equal(last.stream, 'stderr');
    assert.equal(s.stdout.text, '');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    assert.doesNotMatch(s.stderr.text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
  });

  it('mends characters that were cut, and splits what has no end', async (t) => {
    const s = await start(t);
    await request(s.target, '/cut');
    await s.waitForLog((line) => line.msg === 'grün €');
    await request(s.target, '/endless');
    await s.waitForLog((line) => line.msg.endsWith('last'));
    const long = printed(s).filter(({ msg }) => /^(x+|last)$/.test(msg));
    assert.ok(long.length > 60 && long.every(({ msg }) => msg.length <= 16 * 1024), `${long.length} pieces`);
    assert.equal(long.map(({ msg }) => msg).join('').length, 1024 * 1024 + 4);
    // A character that is two units long lies across each end of a piece.
    await request(s.target, '/faces');
    await s.waitForLog((line) => line.msg.endsWith('end of faces'));
    const faces = printed(s).filter(({ msg }) => /\u{1f600}|end of faces/u.test(msg));
    assert.ok(faces.length > 2);
    assert.equal(faces.map(({ msg }) => msg).join(''), `a${'\u{1f600}'.repeat(20_000)}end of faces`);
  });

  it('has the last words of a worker that crashes', async (t) => {
    const s = await start(t);
    await request(s.target, '/crash').catch(() => undefined);
    await s.waitForLog(/^worker exited unasked/);
    await until('the stack', () => printed(s).some(({ msg }) => /^Error: these are my last words/.test(msg)), {
      within: 5_000,
    });
    assert.ok(printed(s).some(({ msg }) => /^\s+at .*printer\.cjs/.test(msg)));
    const order = s.log.map(({ msg }) => msg);
    assert.ok(
      order.findIndex((msg) => msg.startsWith('Error: these are')) <
        order.findIndex((msg) => /^worker exited/.test(msg)),
      'the words come before the death',
    );
  });

  it('of many lines loses none', async (t) => {
    const s = await start(t);
    const { body } = await request(s.target, '/spam?n=20000');
    const pid = (JSON.parse(body) as { pid: number }).pid;
    await s.waitForLog((line) => line.msg === 'line 19999', { within: 30_000 });
    const lines = printed(s).filter((line) => line.pid === pid && line.msg.startsWith('line '));
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      Array.from({ length: 20_000 }, (_, index) => `line ${index}`),
    );
  });
});
