/** The package as npm publishes it, used by projects of every module kind: it type-checks, it runs, and it is one copy. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { root } from '../../support/paths.ts';

const directory = mkdtempSync(join(tmpdir(), 'prefork-package-'));
const installed = join(directory, 'node_modules', 'prefork');

/** Uses values and types of every kind, and two mistakes that a type `any` would let pass. */
const consumer = `
import { BindError, type ConfigExport, defineConfig, health, PreforkError, type UserConfig, worker } from 'prefork';

const settings: UserConfig = { workers: 2 };
const config: ConfigExport = defineConfig(settings);
// @ts-expect-error a misspelled setting
defineConfig({ worker: 2 });
// @ts-expect-error not what it returns
const wrong: string = defineConfig({ workers: 2 });
health.check('database', () => true);
const slot: number | null = worker.slot;
const code = (error: unknown): string => (error instanceof PreforkError ? error.code : 'none');
const describe = (error: BindError): string => error.message;
console.log(JSON.stringify([config, slot, code(null), BindError.name, typeof wrong, typeof describe]));
`;
const printed = '[{"workers":2},null,"none","BindError","object","function"]\n';

const files = {
  'package.json': '{ "name": "consumer", "private": true }',
  'common.cts': consumer,
  'module.mts': consumer,
  'plain.ts': consumer,
  'esm/package.json': '{ "type": "module" }',
  'esm/plain.ts': consumer,
  // As a config file says it in CommonJS.
  'config.cts': "import { defineConfig } from 'prefork';\nexport = defineConfig({ workers: 2 });\n",
  'require.cts': "import prefork = require('prefork');\nconst c: prefork.UserConfig = {};\nprefork.defineConfig(c);\n",
};
const sources = Object.keys(files).filter((name) => !name.endsWith('.json'));
const commonJs = ['common.cts', 'plain.ts', 'config.cts', 'require.cts'];
const modules = ['module.mts', 'esm/plain.ts'];

interface Compiled {
  readonly exitCode: number;
  readonly output: string;
}

function compile(names: readonly string[], options: readonly string[]): Compiled {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const always = ['--strict', '--target', 'es2022', '--types', 'node', '--skipLibCheck', 'false', '--rootDir', '.'];
  try {
    const output = execFileSync(process.execPath, [tsc, ...always, ...options, ...names], {
      cwd: directory,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return { exitCode: 0, output };
  } catch (error) {
    const { status, stdout } = error as { readonly status: number; readonly stdout: string };
    return { exitCode: status, output: stdout };
  }
}

/** @returns what a script prints on stdout and stderr, so that a warning of Node is seen as well */
function run(...args: readonly string[]): string {
  return execFileSync('/bin/sh', ['-c', 'exec "$0" "$@" 2>&1', process.execPath, ...args], {
    cwd: directory,
    encoding: 'utf8',
  });
}

describe('the published package', () => {
  before(() => {
    mkdirSync(installed, { recursive: true });
    // Without scripts: the build is already there, and building anew would race with tests that run it.
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    ) as readonly { readonly filename: string }[];
    assert.ok(packed !== undefined);
    execFileSync('tar', ['-xzf', join(directory, packed.filename), '-C', installed, '--strip-components=1']);
    symlinkSync(join(root, 'node_modules/@types'), join(directory, 'node_modules/@types'));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, '..'), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const kind of ['node16', 'node18', 'node20', 'nodenext']) {
    it(`type-checks and runs with module ${kind}`, () => {
      assert.deepEqual(compile(sources, ['--module', kind, '--outDir', kind]), { exitCode: 0, output: '' });
      for (const name of ['common.cjs', 'module.mjs', 'plain.js', 'esm/plain.js'])
        assert.equal(run(...(name.startsWith('esm/') ? esm(kind, name) : [join(kind, name)])), printed, name);
    });
  }

  it('type-checks and runs with module commonjs', () => {
    const options = ['--module', 'commonjs', '--moduleResolution', 'bundler', '--outDir', 'commonjs'];
    assert.deepEqual(compile(commonJs, options), { exitCode: 0, output: '' });
    for (const name of ['common.cjs', 'plain.js']) assert.equal(run(join('commonjs', name)), printed, name);
  });

  it('type-checks for a bundler', () => {
    const options = ['--module', 'esnext', '--moduleResolution', 'bundler', '--noEmit'];
    assert.deepEqual(compile(modules, options), { exitCode: 0, output: '' });
  });

  it('says what is wrong in a CommonJS file', () => {
    writeFileSync(
      join(directory, 'wrong.cts'),
      "import { defineConfig } from 'prefork';\ndefineConfig({ worker: 2 });\n",
    );
    const { exitCode, output } = compile(['wrong.cts'], ['--module', 'node16', '--noEmit']);
    assert.notEqual(exitCode, 0);
    assert.match(output, /wrong\.cts\(2,\d+\): error TS2353: .*'worker'/);
  });

  it('gives import and require the same objects', () => {
    const same = `
      const required = require('prefork');
      import('prefork').then((imported) => {
        for (const name of Object.keys(imported)) if (imported[name] !== required[name]) console.log('differs:', name);
        console.log(Object.keys(imported).length > 10, Object.keys(required).length === Object.keys(imported).length);
      });`;
    assert.equal(run('-e', same), 'true true\n');
  });

  it('has the command, the docs and what its README links to', () => {
    const { bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      readonly bin: Readonly<Record<string, string>>;
    };
    assert.match(readFileSync(join(installed, bin.prefork ?? ''), 'utf8'), /^#!\/usr\/bin\/env node\n/);
    const links = [...readFileSync(join(installed, 'README.md'), 'utf8').matchAll(/\]\((?!\w+:|#)([^)#]+)/g)];
    assert.ok(links.length > 10);
    for (const [, link = ''] of links) assert.ok(readable(join(installed, link)), `README.md links to ${link}`);
  });
});

/** The compiled files keep no `package.json`: what is a module there is told to Node. */
function esm(kind: string, name: string): string[] {
  writeFileSync(join(directory, kind, 'esm/package.json'), files['esm/package.json']);
  return [join(kind, name)];
}

function readable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
