/** Input that is meant to hurt. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { splitWords } from '../../../../src/cli/words.ts';
import { parseAddress } from '../../../../src/config/address.ts';
import { merge } from '../../../../src/config/merge.ts';
import { load, problemsOf, project, requestIn } from '../../../support/config-harness.ts';

function assertUnpolluted(): void {
  const innocent: Record<string, unknown> = {};
  assert.equal(innocent.polluted, undefined);
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
}

describe('CFG-06 prototype pollution', () => {
  const hostile = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"prototype":{"polluted":1}}';

  it('of settings in the file is refused', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': `export default JSON.parse(${JSON.stringify(hostile)})` });
    const problems = await problemsOf(cwd);
    assert.deepEqual(
      problems.map(({ setting }) => setting),
      ['__proto__', 'constructor', 'prototype'],
    );
    assertUnpolluted();
  });

  it('by a prototype of its own is refused', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': 'export default { __proto__: { workers: 3, polluted: 1 } }' });
    const [problem] = await problemsOf(cwd);
    assert.match(problem?.message ?? '', /expected the default export to be an object/);
    assertUnpolluted();
  });

  it('of the environment is inert', async (t) => {
    const cwd = project(t, {
      'supervisor.config.mjs': `export default { env: JSON.parse('{"__proto__":"polluted","constructor":"x"}') }`,
    });
    const { env } = await load(cwd, { flags: { app: 'app.cjs', env: ['__proto__=polluted', 'toString=y'] } });
    assert.equal(Object.hasOwn(env, '__proto__'), true);
    assert.equal(Object.getPrototypeOf(env), Object.prototype);
    assert.deepEqual([env.constructor, env.toString], ['x', 'y']);
    assertUnpolluted();
  });

  it('of flags and PREFORK_CMD_ARGS is refused', async (t) => {
    const values = JSON.parse(hostile) as Record<string, unknown>;
    const problems = await problemsOf(project(t), { flags: { app: 'app.cjs', ...values }, cmdArgs: values });
    const sources = problems.map(({ setting, source }) => `${source} ${setting}`);
    assert.ok(sources.includes('PREFORK_CMD_ARGS __proto__'));
    assert.ok(sources.includes('command line constructor'));
    assertUnpolluted();
  });

  it('names that every object has are unknown settings', () => {
    for (const name of ['toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']) {
      const { problems } = merge([{ source: 'x', values: { [name]: '1' }, isText: true }], '/');
      assert.match(problems[0]?.message ?? 'accepted', /^unknown setting/, name);
    }
  });

  it('a name cannot pose as a line of its own', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': 'export default { "a\\nprefork: OK\\u001b[2J": 1 }' });
    const [problem] = await problemsOf(cwd);
    assert.equal(problem?.setting, "'a\\nprefork: OK\\x1B[2J'");
  });
});

describe('CFG-07 no catastrophic parsing', () => {
  const long = 100_000;
  const nasty = ['a', '1', ' ', '=', ':', '-', '/', '[', ']', '\\', '"a" ', "'", '1.', '%', 'a:', '\n', '::1]:', '0x'];

  /** Milliseconds of processor time, the best of three: the machine's other work must not fail this. */
  async function timed(work: () => unknown): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      times.push((user + system) / 1_000);
    }
    return Math.min(...times);
  }

  for (const piece of nasty) {
    it(`of 100,000 times ${JSON.stringify(piece)}`, async () => {
      const text = piece.repeat(long);
      const names = [
        'workers',
        'timeout',
        'maxMemory',
        'maxSurge',
        'socketMode',
        'bind',
        'env',
        'queues',
        'name',
        text,
      ];
      const values = Object.fromEntries(names.map((name) => [name, name === 'bind' || name === 'env' ? [text] : text]));
      const layer = { source: 'command line', values, isText: true };
      const { problems } = merge([layer], '/');
      assert.ok(problems.length >= 7, 'most of it is refused');
      for (const { message, setting } of problems) {
        assert.ok(message.length < 300, `too long: ${message}`);
        assert.ok((setting ?? '').length < 100, 'the name is cut');
      }
      const merging = await timed(() => merge([layer], '/'));
      assert.ok(merging < 100, `merge took ${merging} ms`);
      assert.ok((await timed(() => parseAddress(text, '/'))) < 100);
      const splitting = await timed(() => {
        try {
          splitWords(text);
        } catch {
          // A quote that is not closed; it is the time that counts.
        }
      });
      assert.ok(splitting < 100, `splitWords took ${splitting} ms`);
    });
  }

  it('of an app of 100,000 letters: the message is cut', async (t) => {
    const cwd = project(t);
    for (const app of ['a'.repeat(long), 'a:'.repeat(long), `${'a/'.repeat(long)}x:y`]) {
      const loading = await timed(() => problemsOf(cwd, { flags: { app, chdir: '.' } }));
      assert.ok(loading < 100, `the load took ${loading} ms`);
      const [problem] = await problemsOf(cwd, { flags: { app, chdir: '.' } });
      assert.ok((problem?.message.length ?? 0) < 500, 'the message is cut');
    }
    const [problem] = await problemsOf(cwd, { flags: { app: 'app.cjs', chdir: 'x'.repeat(long) } });
    assert.ok((problem?.message.length ?? 0) < 500);
  });

  it('of a megabyte of environment, which is kept', async (t) => {
    const value = 'x'.repeat(2 ** 20);
    const { env } = await load(project(t), { flags: { ...requestIn('/').flags, env: [`BIG=${value}`] } });
    assert.equal(env.BIG, value);
  });
});
