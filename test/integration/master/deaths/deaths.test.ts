/** Real workers that die in every way there is: what the log, the status and the metrics say of it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ExitReport } from '../../../../src/protocol/exit-report.ts';
import type { Status } from '../../../../src/protocol/status.ts';
import { assertFew, withLoad } from '../../../support/faults.ts';
import { stopClean } from '../../../support/invariants.ts';
import { fixture, fixtureApp } from '../../../support/paths.ts';
import { request, requestJson, type Target } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const app = fixture('deaths/app.ts');

const control = (s: Supervisor): Target => ({ socketPath: join(s.dir, 'app.ctl') });

async function start(t: TestContext, options: SupervisorOptions = {}): Promise<Supervisor> {
  const { args = [], ...rest } = options;
  const s = await startSupervisor(t, { app, workers: 1, ...rest, args: ['-p', 'app.pid', ...args] });
  return await s.waitReady(30_000);
}

/** A request that is never answered, once a heartbeat has told of it. */
async function hang(t: TestContext, s: Supervisor): Promise<void> {
  const lost = request(s.target, '/hang?token=secret', { headers: { 'x-request-id': 'r-17' } }).catch(() => undefined);
  t.after(() => lost);
  const begun = performance.now();
  await until('a heartbeat to tell of it', async () => {
    const { workers } = (await requestJson(control(s), '/status')) as unknown as Status;
    // Of a request that the figures have, the heartbeat after that tells.
    return performance.now() - begun > 1_300 && workers.some(({ inFlight }) => (inFlight ?? 0) > 0);
  });
}

async function lastExit(s: Supervisor): Promise<ExitReport> {
  const { exits = [] } = (await requestJson(control(s), '/status')) as unknown as Status;
  const last = exits.at(-1);
  assert.ok(last !== undefined);
  return last;
}

const serving = /; it was serving GET \/hang for \d+\.\d s/;

describe('the story of an exit', { concurrency: 2 }, () => {
  for (const [title, path, cause, said] of [
    [
      'an error in TypeScript',
      '/throw',
      'error',
      /\(code 1\) while it served: TypeError: Cannot read properties of null .* at checkout \((?:\S+\/)?cart\.ts:6:\d+\);/,
    ],
    [
      'a rejection',
      '/reject',
      'error',
      /: a promise was rejected and nothing handled it: TypeError: nobody handles this at /,
    ],
    [
      'a rejection with no error',
      '/reject-text',
      'error',
      /: a promise was rejected and nothing handled it: only a text;/,
    ],
    [
      'a rejection with an object',
      '/reject-object',
      'error',
      /: a promise was rejected and nothing handled it: \{ code: 'E_STOCK', left: 0 \};/,
    ],
    ['a text that is thrown', '/throw-text', 'error', /while it served: only a text \(not an Error\);/],
    [
      'an error that another has caused',
      '/unreachable',
      'error',
      /: a promise was rejected and nothing handled it: TypeError: fetch failed \(cause: Error: [^)]+\)/,
    ],
    [
      'process.exit',
      '/exit',
      'exit',
      /\(code 3\).*: the app called process\.exit\(3\) at leave \((?:\S+\/)?app\.ts:8:\d+\)/,
    ],
    [
      'process.abort',
      '/abort',
      'abort',
      /\(SIGABRT\).*: the app called process\.abort\(\) at (?:\S+\/)?app\.ts:\d+:\d+/,
    ],
  ] as const) {
    it(`WHY-01 WHY-02 WHY-04 ${title}`, async (t) => {
      const s = await start(t);
      await hang(t, s);
      await request(s.target, path).catch(() => undefined);
      const line = await s.waitForLog(/^worker exited unasked/);
      assert.match(line.msg, said);
      assert.match(line.msg, serving);
      assert.match(line.msg, new RegExp(`GET ${path} for`));
      assert.doesNotMatch(line.msg, /secret/);
      assert.equal(line.cause, cause);
      const exit = await lastExit(s);
      assert.equal(exit.text, line.msg);
      assert.deepEqual([exit.cause, exit.inFlight, exit.pid], [cause, 2, line.pid]);
      assert.deepEqual(exit.requests.map(({ url }) => url).sort(), ['/hang', path].sort());
      const { body } = await request(control(s), '/metrics');
      assert.match(body, new RegExp(`^prefork_worker_deaths_total\\{cause="${cause}"\\} 1$`, 'm'));
      await stopClean(s, { allow: /./ });
    });
  }

  it('WHY-01 an error that the app itself catches, and ends the process for', async (t) => {
    const s = await start(t, { env: { APP_CATCHES: 'yes' } });
    await request(s.target, '/throw').catch(() => undefined);
    const { msg } = await s.waitForLog(/^worker exited unasked/);
    assert.match(msg, /process\.exit\(5\) at leave \(\S+\), after TypeError: Cannot read .* at checkout \(/);
    await stopClean(s, { allow: /./ });
  });

  for (const [title, path, args, said] of [
    ['all at once, printed', '/fill', ['--capture-output'], /: out of heap: limit 64 MB \(--max-old-space-size\)/],
    ['all at once', '/fill', [], /: (?:most likely )?out of heap: limit 64 MB \(--max-old-space-size\), \d+ MB used/],
    [
      'over time',
      '/fill-slowly',
      [],
      /: (?:most likely )?out of heap: limit 64 MB \(--max-old-space-size\), \d+ MB used/,
    ],
  ] as const) {
    it(`WHY-01 WHY-02 a heap that is full ${title}`, async (t) => {
      const s = await start(t, { args: ['--node-arg=--max-old-space-size=64', ...args] });
      await hang(t, s);
      await request(s.target, path).catch(() => undefined);
      const line = await s.waitForLog(/^worker exited unasked/, { within: stretched(30_000) });
      assert.match(line.msg, said);
      assert.match(line.msg, serving);
      assert.equal(line.cause, 'heap');
      await stopClean(s, { allow: /./ });
    });
  }

  for (const [signal, cause, said] of [
    ['SIGSEGV', 'native', /\(SIGSEGV\) while it served: crashed in native code: SIGSEGV/],
    ['SIGBUS', 'native', /crashed in native code: SIGBUS/],
    ['SIGABRT', 'native', /crashed in native code: SIGABRT/],
    ['SIGKILL', 'killed', /\(SIGKILL\) while it served: killed by SIGKILL from outside, not by prefork/],
    ['SIGUSR2', 'signal', /: ended by SIGUSR2, which somebody has sent/],
  ] as const) {
    it(`WHY-01 WHY-02 WHY-03 a worker that gets ${signal} from outside`, async (t) => {
      const s = await start(t);
      await hang(t, s);
      const [pid] = s.workers();
      assert.ok(pid !== undefined);
      process.kill(pid, signal);
      const line = await s.waitForLog(/^worker exited unasked/);
      assert.match(line.msg, said);
      assert.match(line.msg, serving);
      assert.equal((await lastExit(s)).cause, cause);
      await stopClean(s, { allow: /./ });
    });
  }

  it('WHY-02 a drain that cuts requests says which, in the log and the timeline', async (t) => {
    const s = await start(t, { args: ['--graceful-timeout', '1'] });
    await hang(t, s);
    assert.match((await s.reload()).msg, /done/);
    const line = await s.waitForLog(/drain ended at its limit/);
    assert.match(line.msg, /: 1 requests and \d+ connections were cut: GET \/hang for \d+\.\d s/);
    const { entries } = (await requestJson(control(s), '/timeline')) as unknown as {
      entries: { text: string; details?: string[] }[];
    };
    const entry = entries.find(({ text }) => text === line.msg);
    assert.match(entry?.details?.[0] ?? '', /^cut: GET \/hang for/);
    await stopClean(s, { allow: /./ });
  });

  it('WHY-02 an error under load, with requests in flight: all are accounted for, and the line names the oldest', async (t) => {
    const s = await start(t, { app: fixtureApp, workers: 3 });
    const load = withLoad(t, s);
    await load.answered(50);
    await request(s.target, '/throw').catch(() => undefined);
    const line = await s.waitForLog(
      /^worker exited unasked \(code 1\) while it served: Error: thrown where nobody catches it at /,
    );
    assert.match(line.msg, /GET \/throw for \d/);
    await load.further(50);
    await assertFew(load, 10);
    await stopClean(s, { allow: /./ });
  });
});
