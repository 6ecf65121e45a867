/** SEC-08: the child that runs config code says and prints what it likes: nobody is hurt, and nothing waits for ever. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { callHook, readConfigFile } from '../../../../src/config/probe/run.ts';
import { project } from '../../../support/config-harness.ts';
import { hostileTexts, unplain } from '../../../support/hostile-text.ts';
import { fixture } from '../../../support/paths.ts';
import { fdCount } from '../../../support/proc.ts';
import { stretched } from '../../../support/slowness.ts';
import { until } from '../../../support/until.ts';

const file = 'supervisor.config.mjs';
const abort = { slot: 1, worker: 1, generation: 1, pid: 2, blockedMs: 5, stack: [], requests: [] };

interface Outcome {
  /** What went wrong; `null` if nothing. */
  readonly failure: string | null;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
  readonly ms: number;
}

const imports = `import { closeSync, writeFileSync, writeSync } from 'node:fs';
  import { spawn, spawnSync } from 'node:child_process';
  const say = (data) => writeFileSync(3, data);
`;

type Ways = Readonly<Record<'settings' | 'hook', (t: TestContext, code: string) => Promise<Outcome>>>;

/** Code is run while a config file is loaded, or in its hook. */
const ways: Ways = {
  async settings(t, code) {
    const cwd = project(t, { [file]: `${imports}${code}; export default { workers: 3 };` });
    const lines: string[] = [];
    const began = performance.now();
    const read = readConfigFile(join(cwd, file), cwd, { ...process.env }, (line) => lines.push(line));
    const [settings, failure] = await read.then(
      (got) => [got, null] as const,
      (error: Error) => [{}, error.message] as const,
    );
    return { settings, failure, lines, ms: performance.now() - began };
  },
  async hook(t, code) {
    const cwd = project(t, { [file]: `${imports}export default { onWorkerAbort() { ${code} } };` });
    const settings = {
      configFile: join(cwd, file),
      chdir: cwd,
      env: { ...process.env } as Record<string, string>,
      hooks: ['onWorkerAbort'],
      identity: null,
      umask: 0o022,
    };
    const lines: string[] = [];
    const began = performance.now();
    const failure = await callHook(settings, 'onWorkerAbort', abort, (line) => lines.push(line));
    return { settings: {}, failure, lines, ms: performance.now() - began };
  },
};

/** Long before the deadline of ten seconds. */
const soon = 8_000;

function hasPython(): boolean {
  try {
    execFileSync('python3', ['-c', 'import socket; socket.SCM_RIGHTS'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const unusable = {
  'no JSON': `say('garbage\\n')`,
  nothing: `say('\\n')`,
  null: `say('null\\n')`,
  'a list': `say('[]\\n')`,
  'an unknown kind': `say('{"type":"exec"}\\n')`,
  'a failure without a reason': `say('{"type":"failed","reason":{}}\\n')`,
  'settings that are a list': `say('{"type":"settings","settings":[]}\\n')`,
  'an order to Node': `say('{"cmd":"NODE_HANDLE","type":"net.Native","msg":1}\\n')`,
  'no text': `say(Buffer.from([0xff, 0xfe, 0x0a]))`,
  'very deep': `say('['.repeat(60_000) + '\\n')`,
  '100 MB': `say('x'.repeat(1e8))`,
  '100 MB of spaces and an answer': `say(' '.repeat(1e8) + '{"type":"called"}\\n')`,
};

for (const [way, run] of Object.entries(ways)) {
  describe(`SEC-08: what the ${way === 'hook' ? 'hook' : 'config file'} says`, () => {
    for (const [what, code] of Object.entries(unusable)) {
      it(`${what} is no answer`, async (t) => {
        const { failure, ms } = await run(t, code);
        assert.match(failure ?? 'none', /its answer cannot be used, .*; does its code write to file descriptor 3\?$/);
        assert.ok(ms < soon, `${ms} ms`);
      });
    }

    it('the first of two answers counts', async (t) => {
      const two = ['first', 'second'].map((reason) => JSON.stringify({ type: 'failed', reason })).join('\n');
      const { failure } = await run(t, `say(${JSON.stringify(`${two}\n`)})`);
      assert.match(failure ?? 'none', /first$/);
    });

    it('comes in pieces', async (t) => {
      const text = JSON.stringify({ type: 'failed', reason: 'é'.repeat(500) });
      const { failure } = await run(t, `for (const byte of Buffer.from('${text}\\n')) writeSync(3, Buffer.of(byte))`);
      assert.match(failure ?? 'none', /é{500}$/);
    });

    it('is plain, and not long', async (t) => {
      for (const [kind, text] of Object.entries({ ...hostileTexts, long: 'x'.repeat(50_000) })) {
        const answer = JSON.stringify({ type: 'failed', reason: text });
        const { failure } = await run(t, `say(${JSON.stringify(answer)} + '\\n')`);
        assert.equal(unplain.exec(failure ?? '\n'), null, kind);
        assert.ok((failure ?? '').length < 2_200, kind);
      }
    });

    it('is missed if it closes the pipe', async (t) => {
      const { failure, ms } = await run(t, 'closeSync(3)');
      assert.match(failure ?? 'none', /the config file ended the process that loaded it \(/);
      assert.ok(ms < soon, `${ms} ms`);
    });

    it('is missed if it exits', async (t) => {
      const { failure } = await run(t, 'process.exit(0)');
      assert.match(failure ?? 'none', /the config file ended the process that loaded it \(exit code 0\)$/);
    });

    for (const [what, after, says] of [
      ['answers', '', /^none$/],
      ['exits', 'process.exit(3)', /\(exit code 3\)$/],
    ] as const) {
      it(`what it has started holds the pipes open, and it ${what}`, async (t) => {
        const folder = project(t);
        const pidfile = join(folder, 'pid');
        const { failure, ms } = await run(
          t,
          `const held = spawn('sleep', ['60'], { stdio: ['ignore', 1, 2, 3], detached: true });
           held.unref();
           writeFileSync(${JSON.stringify(pidfile)}, String(held.pid));
           ${after}`,
        );
        process.kill(Number(readFileSync(pidfile, 'utf8')), 'SIGKILL');
        assert.match(failure ?? 'none', says);
        assert.ok(ms < soon, `${ms} ms`);
      });
    }

    it('has descriptors beside it: of no kind do they harm, and none stays open', {
      skip: hasPython() ? false : 'needs python3, which can send them',
    }, async (t) => {
      const script = JSON.stringify(fixture('faults/descriptors.py'));
      const before = fdCount(process.pid);
      const { failure, lines } = await run(
        t,
        `const { stdout } = spawnSync('python3', [${script}, '3', ' ', '3'], { stdio: ['ignore', 'pipe', 2, 3] });
         console.log('sent', String(stdout))`,
      );
      assert.equal(failure, null);
      assert.ok(Number(/sent (\d+)/.exec(lines.join('\n'))?.[1]) > 500, lines.join('\n'));
      await until('the descriptors', () => fdCount(process.pid) <= before);
    });
  });

  describe(`SEC-08: what the ${way === 'hook' ? 'hook' : 'config file'} prints`, () => {
    it('is told in lines of plain text, the last one too', async (t) => {
      const texts = Object.values(hostileTexts).join('\n');
      const text = JSON.stringify(`${texts}\nlast`);
      const { failure, lines } = await run(t, `process.stdout.write(${text}); process.stderr.write('complaint\\n')`);
      assert.equal(failure, null);
      assert.ok(lines.includes('complaint'));
      assert.ok(lines.includes('last'), lines.join('\n'));
      for (const line of lines) assert.equal(unplain.exec(line), null, JSON.stringify(line));
    });

    it('is told as long as it is not too much', async (t) => {
      const many = await run(t, `for (let at = 0; at < 4_000; at += 1) console.log(at)`);
      assert.equal(many.failure, null);
      assert.equal(many.lines.length, 1_001);
      assert.match(many.lines.at(-1) ?? '', /left out/);
      const endless = await run(t, `process.stdout.write('x'.repeat(4 * 1024 * 1024))`);
      assert.equal(endless.failure, null);
      assert.ok(endless.lines.join('').length < 2.1 * 1024 * 1024);
      assert.ok(endless.lines.every((line) => line.length <= 16 * 1024));
      assert.match(endless.lines.at(-1) ?? '', /left out/);
    });
  });
}

it('SEC-08: an endless output neither keeps a hook beyond its deadline nor fills anything', async (t) => {
  const { failure, lines, ms } = await ways.hook(t, `for (;;) process.stdout.write('y\\n'.repeat(1_000))`);
  assert.match(failure ?? 'none', /did not finish loading within 10 s/);
  assert.equal(lines.length, 1_001);
  assert.ok(ms < 10_000 + stretched(4_000), `${ms} ms`);
});
