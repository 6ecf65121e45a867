/** SEC-15: what is published, and what comes with it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fromRoot } from '../../support/paths.ts';

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly files: readonly string[];
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly integrity?: string; readonly hasInstallScript?: boolean; readonly dev?: boolean }>
  >;
}

const read = <T>(path: string): T => JSON.parse(readFileSync(fromRoot(path), 'utf8')) as T;
const manifest = read<Manifest>('package.json');
const lock = read<Lock>('package-lock.json');
const installed = Object.entries(lock.packages).filter(([path]) => path !== '');

test('SEC-15 runtime dependencies are these, and no more', () => {
  assert.deepEqual(Object.keys(manifest.dependencies).sort(), ['pino', 'pino-pretty', 'prom-client', 'tsx', 'yargs']);
});

test('SEC-15 no script runs at the install of the published package', () => {
  const atInstall = ['preinstall', 'install', 'postinstall'].filter((name) => name in manifest.scripts);
  assert.deepEqual(atInstall, []);
  const others = installed.filter(([, entry]) => entry.hasInstallScript === true && entry.dev !== true);
  // It checks that its binary runs; without it esbuild works as well.
  assert.deepEqual(
    others.map(([path]) => path).filter((path) => !/esbuild|fsevents/.test(path)),
    [],
  );
});

test('SEC-15 every package in the lockfile has its checksum', () => {
  assert.deepEqual(
    installed.filter(([, { integrity }]) => integrity === undefined).map(([path]) => path),
    [],
  );
});

test('SEC-15 what is published is an allow-list', () => {
  assert.deepEqual([...manifest.files].sort(), [
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'bench/RESULTS.md',
    'bench/plots',
    'bin',
    'config',
    'dist',
    'docs',
  ]);
});
