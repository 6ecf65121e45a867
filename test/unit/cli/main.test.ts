/** The command line as a process: what it prints, where, and how it exits. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Setting } from '../../../src/config/settings/setting.ts';
import { flagOf, hasFlag, settings } from '../../../src/config/settings.ts';
import { project } from '../../support/config-harness.ts';
import { bin, root } from '../../support/paths.ts';
import { childrenOf, isAlive } from '../../support/proc.ts';
import { freePort } from '../../support/request.ts';
import { until } from '../../support/until.ts';

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Run {
  readonly cwd: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A shell line instead, with `$PREFORK` for the command. */
  readonly shell?: string;
}

/** Of the default address: something else may have 8000, and `prefork check` tries it. */
const port = String(await freePort());

/** Runs it to its end; what does not end within 20 s is killed, and has no exit code then. */
function run({ cwd, args, env = {}, shell }: Run): Promise<Result> {
  const clean = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    PWD: cwd,
    PORT: port,
    PREFORK: `${process.execPath} ${bin}`,
    ...env,
  };
  const [command, words] = shell === undefined ? [process.execPath, [bin, ...args]] : ['/bin/sh', ['-c', shell]];
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { cwd, env: clean, timeout: 20_000, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const linesOf = (text: string, cwd: string) => text.trimEnd().replaceAll(cwd, '<folder>').split('\n');

describe('prefork --help', () => {
  it('names every flag, in groups, and that 0 turns timeouts off', async (t) => {
    const { code, stdout, stderr } = await run({ cwd: project(t), args: ['--help'] });
    assert.deepEqual([code, stderr], [0, '']);
    for (const [name, setting] of Object.entries<Setting>(settings)) {
      if (!hasFlag(setting)) continue;
      assert.match(stdout, new RegExp(`^ +(-\\w, +)?--${flagOf(name, setting)} `, 'm'), name);
    }
    for (const heading of ['Service:', 'Workers:', 'Reload and stop:', 'Examples:'])
      assert.ok(stdout.includes(heading));
    assert.match(stdout, /--timeout .*0 is off/);
    assert.doesNotMatch(stdout, /\[string\]|undefined|app\.cjs/);
    assert.ok(
      stdout.split('\n').every((line) => line.length <= 100),
      'a line is too long',
    );
  });

  it('is for a check too, and -h; it reads no configuration', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': 'throw 1' });
    const results = await Promise.all([['-h'], ['check', '--help']].map((args) => run({ cwd, args })));
    for (const { code, stdout } of results) {
      assert.equal(code, 0);
      assert.match(stdout, /^prefork \[app\]/);
    }
  });

  it('may be cut short by its reader', async (t) => {
    const cwd = project(t);
    const { stdout, stderr } = await run({ cwd, args: [], shell: '$PREFORK --help | head -n 1' });
    assert.deepEqual([stdout.trimEnd().split('\n').length, stderr], [1, '']);
    const full = await run({ cwd, args: [], shell: '$PREFORK --help > /dev/full' });
    assert.equal(full.stderr, '');
  });
});

describe('prefork --version', () => {
  it('is that of the package', async (t) => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    for (const flag of ['--version', '-v']) {
      assert.deepEqual(await run({ cwd: project(t), args: [flag] }), { code: 0, stdout: `${version}\n`, stderr: '' });
    }
  });
});

describe('prefork check', () => {
  it('says OK of what can be served', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': "export default { app: './app.cjs', workers: 3 }" });
    const ok = { code: 0, stdout: `OK: 3 workers for ${cwd}/app.cjs\n`, stderr: '' };
    assert.deepEqual(await run({ cwd, args: ['check'] }), ok);
    assert.deepEqual(await run({ cwd, args: ['-w', '3', 'check', './app.cjs'] }), ok);
  });

  it('CFG-01 says all that is wrong, of every source, one line each, as a start does', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': 'export default { timeout: -1, max_request: 5 }' });
    const args = ['./nowhere.js', '-w', 'x', '--flurb'];
    const env = { WEB_CONCURRENCY: 'many', PREFORK_CMD_ARGS: "--name '' --bogus 1" };
    const results = await Promise.all([run({ cwd, args: ['check', ...args], env }), run({ cwd, args, env })]);
    for (const { code, stdout, stderr } of results) {
      assert.deepEqual([code, stdout], [2, '']);
      assert.deepEqual(
        linesOf(stderr, cwd).map((line) => line.replace(/(, got|; ).*$/, '').replace(/: expected.*/, '')),
        [
          'prefork: PREFORK_CMD_ARGS: unknown option --bogus',
          'prefork: command line: unknown option --flurb',
          'prefork: environment variable WEB_CONCURRENCY: workers',
          'prefork: <folder>/supervisor.config.mjs: timeout',
          'prefork: <folder>/supervisor.config.mjs: max_request: unknown setting',
          'prefork: PREFORK_CMD_ARGS: name',
          'prefork: command line: workers',
          'prefork: command line: app',
        ],
      );
    }
  });

  it('notes what has no effect', async (t) => {
    const { code, stderr } = await run({ cwd: project(t), args: ['check', 'app.cjs', '--max-requests-jitter', '5'] });
    assert.deepEqual([code, stderr], [0, 'prefork: note: maxRequestsJitter has no effect without maxRequests\n']);
  });

  it('CFG-02 passes on what the config prints, to stderr, and goes on', async (t) => {
    const text = 'process.stdout.write("x".repeat(2 ** 20)); export default { workers: 3 }';
    const { code, stdout, stderr } = await run({
      cwd: project(t, { 'supervisor.config.mjs': text }),
      args: ['check', 'app.cjs'],
    });
    assert.equal(code, 0);
    assert.match(stdout, /^OK: 3 workers/);
    assert.equal(stderr, 'x'.repeat(2 ** 20));
  });

  it('CFG-02 takes a config whose output nobody takes', async (t) => {
    const cwd = project(t, {
      'supervisor.config.mjs': 'console.log("x".repeat(2 ** 18)); export default { workers: 3 }',
    });
    const full = await run({ cwd, args: [], shell: '$PREFORK check app.cjs 2>/dev/full' });
    assert.deepEqual([full.code, full.stdout], [0, `OK: 3 workers for ${cwd}/app.cjs\n`]);
    // The reader is gone before anything is printed.
    const closed = '{ $PREFORK check app.cjs; echo $? >status; } 2>&1 >/dev/null | true; cat status';
    assert.equal((await run({ cwd, args: [], shell: closed })).stdout, '0\n');
  });
});

describe('exit status 2, with a line and no stack', () => {
  const cases: readonly (readonly [string[], Record<string, string>, RegExp])[] = [
    [
      ['./nowhere.js'],
      {},
      /^prefork: command line: app: expected the file of the app, got <folder>\/nowhere\.js, which does not exist$/,
    ],
    [[], {}, /^prefork: command line: app: no app was given; name its file, as in: prefork \.\/server\.js$/],
    [['app.cjs', '-w'], {}, /^prefork: command line: option -w needs a value$/],
    [
      ['app.cjs', '-w=abc'],
      {},
      /^prefork: command line: workers: expected a whole number from 1 to 1024, auto, or a range such as \{ min: 2, max: 8 \}, on the command line 2-8, got 'abc'$/,
    ],
    [['app.cjs', '-c', 'x.ts'], {}, /^prefork: <folder>\/x\.ts: the config file does not exist \(-c\)$/],
    [['app.cjs'], { PREFORK_CMD_ARGS: "-n 'x" }, /^prefork: PREFORK_CMD_ARGS: a ' is not closed$/],
    [['app.cjs'], { PREFORK_CMD_ARGS: '-w' }, /^prefork: PREFORK_CMD_ARGS: option -w needs a value$/],
    [['app.cjs'], { PREFORK_CMD_ARGS: '--help' }, /^prefork: PREFORK_CMD_ARGS: unknown option --help/],
  ];
  for (const [args, env, says] of cases) {
    it(`prefork ${args.join(' ')} ${JSON.stringify(env)}`, async (t) => {
      const cwd = project(t);
      const { code, stdout, stderr } = await run({ cwd, args, env });
      assert.deepEqual([code, stdout], [2, '']);
      const lines = linesOf(stderr, cwd);
      assert.equal(lines.length, 1, stderr);
      assert.match(lines[0] ?? '', says);
    });
  }
});

describe('the working directory', () => {
  it('is as the shell names it, where the shell is right', async (t) => {
    const cwd = project(t, { 'releases/1/app.cjs': '' });
    const current = join(cwd, 'current');
    symlinkSync(join(cwd, 'releases/1'), current);
    const named = async (PWD: string) => {
      const { stderr } = await run({ cwd: current, args: ['check', 'app.cjs', '--chdir', 'x'], env: { PWD } });
      return linesOf(stderr, cwd)[0]?.split('got ')[1];
    };
    assert.equal(await named(current), '<folder>/current/x');
    assert.equal(await named('/'), '<folder>/releases/1/x');
    assert.equal(await named('.'), '<folder>/releases/1/x');
    assert.equal(await named(''), '<folder>/releases/1/x');
  });
});

describe('a working directory that is gone', () => {
  const leave = 'mkdir gone && cd gone && rmdir ../gone && $PREFORK check "$APP"';

  it('is one clear line', async (t) => {
    const cwd = project(t);
    const env = { APP: `${cwd}/app.cjs` };
    const { code, stderr } = await run({ cwd, args: [], env, shell: leave });
    assert.equal(code, 2);
    assert.deepEqual(linesOf(stderr, cwd), [
      'prefork: command line: chdir: expected a directory that exists, got <folder>/gone',
    ]);
  });

  it('is no matter where chdir names another, with a config file too', async (t) => {
    const cwd = project(t, { 'a.mjs': 'export default { workers: 3 }' });
    const env = { APP: `${cwd}/app.cjs` };
    const { code, stdout } = await run({ cwd, args: [], env, shell: `${leave} --chdir ${cwd} -c ${cwd}/a.mjs` });
    assert.deepEqual([code, stdout], [0, `OK: 3 workers for ${cwd}/app.cjs\n`]);
  });
});

describe('a master that is killed while its config loops', () => {
  it('KILL leaves no child behind', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': 'for (;;) {}' });
    const master = spawn(process.execPath, [bin, 'app.cjs'], { cwd, stdio: 'ignore' });
    t.after(() => master.kill('SIGKILL'));
    const { pid: masterPid = 0 } = master;
    const probe = await until('the child that reads the config', () =>
      childrenOf(masterPid).find(({ title }) => title.includes('config/probe')),
    );
    t.after(() => isAlive(probe.pid) && process.kill(probe.pid, 'SIGKILL'));
    master.kill('SIGKILL');
    // Less than the time it would have had to load.
    await until('its end', () => !isAlive(probe.pid), { within: 5_000 });
  });
});

describe("import 'prefork' in a config file outside of any project", () => {
  const module =
    "import { defineConfig, type UserConfig } from 'prefork'; const c: UserConfig = { workers: 3 }; export default defineConfig(c)";
  const plain = "import { defineConfig } from 'prefork'; export default defineConfig(() => ({ workers: 3 }))";
  const common = "const { defineConfig } = require('prefork'); module.exports = defineConfig({ workers: 3 })";
  const files = {
    'a.ts': module,
    'a.mts': module,
    'a.cts': module,
    'a.mjs': plain,
    'a.cjs': common,
    'common.js': common,
    'esm/a.js': plain,
    'esm/package.json': '{ "type": "module" }',
    // What type stripping cannot do, tsx can.
    'enum.ts':
      "import { defineConfig } from 'prefork'; enum N { Three = 3 } export default defineConfig({ workers: N.Three })",
    'with space/a b.cjs': common,
    'with space/a b.ts': module,
  };
  for (const file of Object.keys(files).filter((name) => !name.endsWith('.json'))) {
    it(`means us in ${file}`, async (t) => {
      const cwd = project(t, files);
      const { code, stdout, stderr } = await run({ cwd, args: ['check', 'app.cjs', '-c', file] });
      assert.deepEqual([code, stdout, stderr], [0, `OK: 3 workers for ${cwd}/app.cjs\n`, '']);
    });
  }

  it('means the one beside it where there is one', async (t) => {
    const cwd = project(t, {
      ...files,
      'node_modules/prefork/package.json': '{ "main": "index.cjs" }',
      'node_modules/prefork/index.cjs': 'exports.defineConfig = () => ({ workers: 9 })',
    });
    for (const file of ['a.mjs', 'a.cjs', 'a.ts']) {
      const { stdout } = await run({ cwd, args: ['check', 'app.cjs', '-c', file] });
      assert.match(stdout, /^OK: 9 workers/, file);
    }
  });
});
