/** Config files that misbehave: one clear line each, and nothing happens to the process that asked. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Setting } from '../../../../src/config/settings/setting.ts';
import { settings } from '../../../../src/config/settings.ts';
import { load, onlyProblem, project, write } from '../../../support/config-harness.ts';
import { childrenOf } from '../../../support/proc.ts';
import { until } from '../../../support/until.ts';

const file = 'supervisor.config.mjs';

/** The text of a config file, what is said about it, and what else lies beside it. */
interface Misbehaviour {
  readonly what: string;
  readonly text: string;
  readonly says: RegExp;
  readonly name?: string;
  readonly beside?: Readonly<Record<string, string>>;
}

const misbehaviours: readonly Misbehaviour[] = [
  {
    what: 'a syntax error',
    text: 'export default {\n  workers: = 4\n}',
    says: /SyntaxError: Unexpected token '=' \(at <folder>\/supervisor\.config\.mjs:2\)$/,
  },
  {
    what: 'a syntax error in CommonJS',
    name: 'supervisor.config.cjs',
    text: 'module.exports = {\n  workers: = 4\n}',
    says: /SyntaxError: Unexpected token '=' \(at <folder>\/supervisor\.config\.cjs:2\)$/,
  },
  {
    what: 'a syntax error in TypeScript',
    name: 'supervisor.config.ts',
    text: '\nconst a: number = ;\nexport default {}',
    says: /Transform failed.*<folder>\/supervisor\.config\.ts:2:18: ERROR: Unexpected ";"/,
  },
  {
    what: 'a syntax error in a module it imports',
    text: "import './helper.mjs'; export default {}",
    beside: { 'helper.mjs': '\n\nexport const x = (;' },
    says: /SyntaxError: Unexpected token ';' \(at <folder>\/helper\.mjs:3\)$/,
  },
  {
    what: 'an import that is not there',
    text: "import './nowhere.mjs'; export default {}",
    says: /Cannot find module '<folder>\/nowhere\.mjs' imported from <folder>\/supervisor\.config\.mjs$/,
  },
  {
    what: 'a throw',
    text: '\nthrow new Error("no database")',
    says: /: Error: no database \(at <folder>\/supervisor\.config\.mjs:2:7\)$/,
  },
  {
    what: 'a throw in TypeScript, of what a module it imports did',
    name: 'supervisor.config.ts',
    text: "import { broken } from './helper.ts';\nexport default broken()",
    beside: { 'helper.ts': 'export function broken(): never {\n  throw new Error("deep");\n}' },
    says: /: Error: deep \(at <folder>\/helper\.ts:2:9\)$/,
  },
  { what: 'a throw of what is no error', text: 'throw { a: "b\\nc" }', says: /: threw \{ a: 'b\\nc' \}$/ },
  {
    what: 'a throw with a long message of many lines',
    text: 'throw new Error("first\\nsecond " + "x".repeat(1e6))',
    says: /: Error: first \(at /,
  },
  {
    what: 'an uncaught throw of a timer while it waits',
    text: 'setTimeout(() => { throw new Error("late") }, 5); await new Promise(() => setInterval(() => {}, 1e3))',
    says: /: Error: late \(at /,
  },
  {
    what: 'process.exit(0)',
    text: 'process.exit(0)',
    says: /: the config file ended the process that loaded it \(exit code 0\)$/,
  },
  {
    what: 'a signal to itself',
    text: 'process.kill(process.pid, "SIGKILL")',
    says: /ended the process .*\(SIGKILL\)$/,
  },
  {
    what: 'an await that never settles',
    text: 'await new Promise(() => {})',
    says: /waits for a promise that never settles$/,
  },
  {
    what: 'a function whose promise never settles',
    text: 'export default () => new Promise(() => {})',
    says: /waits for a promise that never settles$/,
  },
  { what: 'a promise that rejects', text: 'export default Promise.reject(new Error("no"))', says: /: Error: no \(at / },
  {
    what: 'a function whose promise rejects',
    text: 'export default async () => { throw new Error("no") }',
    says: /: Error: no \(at /,
  },
  {
    what: 'no default export',
    text: 'export const workers = 2',
    says: /expected the default export to be an object, or a function that returns one, got nothing$/,
  },
  { what: 'a function that returns nothing', text: 'export default () => {}', says: /default export.*, got nothing$/ },
  { what: 'a default export that is a number', text: 'export default 42', says: /default export.*, got 42$/ },
  { what: 'a default export that is a list', text: 'export default [{}]', says: /default export.*, got \[ \{\} \]$/ },
  { what: 'a default export that is null', text: 'export default null', says: /default export.*, got null$/ },
  {
    what: 'a Map, which would pass for an empty configuration',
    text: 'export default new Map([["workers", 2]])',
    says: /default export.*, got a Map$/,
  },
  {
    what: 'a getter that throws',
    text: 'export default { get workers() { throw new Error("trap") } }',
    says: /: Error: trap \(at /,
  },
  {
    what: 'a Proxy that throws',
    text: 'export default new Proxy({}, { ownKeys() { throw new Error("trap") } })',
    says: /: Error: trap \(at /,
  },
  {
    what: 'a circle',
    text: 'const env = { a: "b" }; env.env = env; export default { env }',
    says: /: env: expected an object of strings/,
  },
  {
    what: 'settings deeper than any',
    text: 'export default { args: [[[[[[1]]]]]] }',
    says: /: args: expected a list of strings/,
  },
];

describe('CFG-02 a config file that misbehaves', () => {
  for (const { what, text, says, name = file, beside = {} } of misbehaviours) {
    it(`${what}`, async (t) => {
      const cwd = project(t, { [name]: text, ...beside });
      const problem = await onlyProblem(cwd);
      assert.ok(problem.startsWith(`<folder>/${name}: `), problem);
      assert.match(problem, says);
      assert.ok(problem.length < 500, `too long: ${problem.length}`);
    });
  }

  it('its channel to us is not its own: what it sends is not taken for its settings', async (t) => {
    const forged = '{ type: "settings", settings: { workers: 9 } }';
    const cwd = project(t, { [file]: `process.send?.(${forged}); export default { workers: 3 }` });
    assert.equal((await load(cwd)).workers, 3);
  });

  it('gives a megabyte of settings', async (t) => {
    const cwd = project(t, { [file]: 'export default { args: ["x".repeat(2 ** 20)] }' });
    assert.equal((await load(cwd)).args[0]?.length, 2 ** 20);
  });

  it('types that are wrong in TypeScript are no matter: values are checked', async (t) => {
    const text = 'const workers: string = 3 as number; export default { workers }';
    assert.equal((await load(project(t, { 'supervisor.config.ts': text }))).workers, 3);
  });

  describe('within its deadline', { concurrency: true }, () => {
    const endless = {
      'a loop without an end': 'for (;;) {}',
      'a wait that something keeps alive': 'setInterval(() => {}, 1e3); await new Promise(() => {})',
    };
    for (const [what, text] of Object.entries(endless)) {
      it(what, async (t) => {
        const cwd = project(t, { [file]: text });
        const began = performance.now();
        const problem = await onlyProblem(cwd);
        assert.match(
          problem,
          /did not finish loading within 10 s; does it loop, or wait for something that never comes\?$/,
        );
        assert.ok(performance.now() - began < 14_000);
      });
    }
  });

  it('leaves no child behind', async () => {
    // The loader of this test has a child of its own.
    await until('their end', () => !childrenOf(process.pid).some(({ title }) => title.includes('config/probe')));
  });
});

describe('where the config file is', () => {
  it('is found in the working directory, TypeScript first', async (t) => {
    const cwd = project(t);
    assert.equal((await load(cwd)).configFile, null);
    for (const extension of ['cjs', 'mjs', 'js', 'mts', 'ts']) {
      const isCommon = extension === 'cjs' || extension === 'js';
      const name = `supervisor.config.${extension}`;
      write(cwd, { [name]: isCommon ? 'module.exports = { workers: 7 }' : 'export default { workers: 7 }' });
      const settings = await load(cwd);
      assert.equal(settings.configFile, `${cwd}/${name}`);
      assert.equal(settings.workers, 7);
    }
  });

  it('is what -c names, from the working directory', async (t) => {
    const cwd = project(t, { 'etc/a.mjs': 'export default { workers: 6 }', [file]: 'throw 1' });
    assert.equal((await load(cwd, { configFile: 'etc/a.mjs' })).workers, 6);
    assert.equal((await load(cwd, { configFile: `${cwd}/etc/a.mjs` })).configFile, `${cwd}/etc/a.mjs`);
  });

  it('is missing, or no file', async (t) => {
    const cwd = project(t, { 'etc/a': '' });
    assert.equal(await onlyProblem(cwd, { configFile: 'x.ts' }), '<folder>/x.ts: the config file does not exist (-c)');
    assert.equal(await onlyProblem(cwd, { configFile: 'etc' }), '<folder>/etc: is not a file (-c)');
    assert.match(await onlyProblem(cwd, { configFile: '' }), /is not a file \(-c\)$/);
  });

  it('runs in the working directory, with the environment of the master', async (t) => {
    const text = 'export default () => ({ name: process.cwd(), pidfile: process.env.GIVEN })';
    const cwd = project(t, { 'etc/a.mjs': text });
    const { name, pidfile } = await load(cwd, { configFile: 'etc/a.mjs', env: { GIVEN: '/run/given.pid' } });
    assert.deepEqual([name, pidfile], [cwd, '/run/given.pid']);
  });

  it('is read where the working directory is gone', async (t) => {
    const cwd = project(t, { 'a.mjs': `export default { workers: 6, chdir: ${JSON.stringify('/')} }` });
    const app = `${cwd}/app.cjs`;
    const settings = await load(`${cwd}/gone`, { configFile: `${cwd}/a.mjs`, flags: { app } });
    assert.deepEqual([settings.workers, settings.chdir], [6, '/']);
  });

  it('may be a function, async or not; its hooks are named', async (t) => {
    const cwd = project(t, {
      'sync.mjs': 'export default () => ({ workers: 6 })',
      'async.mjs': 'export default async () => ({ workers: 6, onWorkerAbort() {} })',
    });
    assert.deepEqual((await load(cwd, { configFile: 'sync.mjs' })).hooks, []);
    assert.deepEqual((await load(cwd, { configFile: 'async.mjs' })).hooks, ['onWorkerAbort']);
  });
});

describe('CFG-03 a reload really reads anew', () => {
  it('sees the file, and a module it imports, as they are now', async (t) => {
    const config = (name: string) =>
      `import { workers } from './helper.mjs'; export default { workers, name: '${name}' }`;
    const cwd = project(t, { [file]: config('one'), 'helper.mjs': 'export const workers = 2' });
    const read = async () => {
      const { workers, name } = await load(cwd);
      return [workers, name];
    };
    assert.deepEqual(await read(), [2, 'one']);
    write(cwd, { 'helper.mjs': 'export const workers = 4' });
    assert.deepEqual(await read(), [4, 'one']);
    write(cwd, { [file]: config('two') });
    assert.deepEqual(await read(), [4, 'two']);
  });

  it('sees a module that a TypeScript config imports as it is now', async (t) => {
    const cwd = project(t, {
      'supervisor.config.ts': "import { workers } from './helper.ts'; export default { workers }",
      'helper.ts': 'export const workers: number = 2',
    });
    assert.equal((await load(cwd)).workers, 2);
    write(cwd, { 'helper.ts': 'export const workers: number = 4' });
    assert.equal((await load(cwd)).workers, 4);
  });
});

/** Values that are no defaults, and agree with each other. */
const chosen = {
  bind: ':1',
  queues: 'per-worker',
  chdir: 'sub',
  typescript: 'tsx',
  workers: 3,
  canary: {},
  drainLinger: 1,
  maxRequests: 9,
  healthReady: '/b',
  readyQuorum: 2,
  logLevel: 'debug',
  logFormat: 'json',
  accessLogFormat: 'json',
  accessLogFields: ['time', 'url'],
  accessLogSkip: ['/healthz'],
  user: 'nobody',
  group: 'nogroup',
  umask: '027',
  socketOwner: 'nobody',
  envFile: 'a.env',
  releaseOn: 'all',
  webhook: 'https://hooks.example/',
};

/** For the rest of the table, the first of some values that is valid and differs from the default. */
function others(): Record<string, unknown> {
  const samples = [true, false, 9, '027', ['a'], { A: '{slot}' }, '/a'];
  const rest = Object.entries<Setting>(settings).filter(
    ([name, { kind }]) => !(name in chosen) && name !== 'app' && kind.flag !== 'none',
  );
  return Object.fromEntries(
    rest.map(([name, { kind, default: byDefault }]) => {
      const sample = samples.find((each) => {
        const parsed = kind.parse(each, { isText: false, cwd: '/' });
        return parsed.ok && JSON.stringify(parsed.value) !== JSON.stringify(byDefault);
      });
      assert.ok(sample !== undefined, `${name} takes none of the samples: choose a value for it`);
      return [name, sample];
    }),
  );
}

describe('CFG-04 a setting that is taken out of the file', () => {
  it('has its default again, every one of them', async (t) => {
    const everything = `export default {
      onWorkerAbort() {}, routeLabel() {}, ...${JSON.stringify({ ...others(), ...chosen })} };`;
    const cwd = project(t, { [file]: 'export default {}', 'sub/app.cjs': '', 'a.env': 'B=2' });
    const bare = await load(cwd);
    write(cwd, { [file]: everything });
    const full = await load(cwd);
    // A range of workers is another kind of value of the setting workers.
    const same = Object.keys(bare).filter((key) => {
      const name = key as keyof typeof bare;
      return JSON.stringify(bare[name]) === JSON.stringify(full[name]);
    });
    // Doubts are no setting: they are about values, and there are none about these.
    assert.deepEqual(same, ['autoscale', 'cores', 'configFile', 'doubts'], 'the file sets everything else');
    write(cwd, { [file]: 'export default {}' });
    assert.deepEqual(await load(cwd), bare);
  });
});
