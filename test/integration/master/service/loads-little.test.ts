/** What a running master has loaded: nothing that is not used. Read from the process itself, at its exit. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bin, fromRoot } from '../../../support/paths.ts';

interface Loaded {
  /** Node's own modules, such as `NativeModule http`. */
  readonly builtins: readonly string[];
  /** Files that were required. */
  readonly files: readonly string[];
}

/** Starts a service, waits until it serves, stops it, and gives what its master had loaded. */
async function loadedBy(...flags: string[]): Promise<Loaded> {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-loads-'));
  try {
    const app = join(folder, 'app.cjs');
    writeFileSync(app, "require('node:http').createServer((_, r) => r.end()).listen(0, '127.0.0.1');");
    const spy = join(folder, 'spy.cjs');
    const told = join(folder, 'told.json');
    writeFileSync(
      spy,
      `if (process.argv[1] === ${JSON.stringify(bin)}) process.on('exit', () => require('node:fs').writeFileSync(
        ${JSON.stringify(told)},
        JSON.stringify({ builtins: process.moduleLoadList, files: Object.keys(require.cache) })));`,
    );
    const args = ['--require', spy, bin, app, '-w', '1', '-b', '127.0.0.1:0', '--control-socket', 'none', ...flags];
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      let log = '';
      child.stderr.setEncoding('utf8');
      for await (const chunk of child.stderr) {
        log += String(chunk);
        if (log.includes('workers serve')) child.kill('SIGTERM');
      }
      assert.match(log, /workers serve/);
    } finally {
      child.kill('SIGKILL');
    }
    return JSON.parse(readFileSync(told, 'utf8')) as Loaded;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What pino depends on. */
const ofPino = Object.keys(dependenciesOf('pino'));

function dependenciesOf(name: string): Readonly<Record<string, string>> {
  const path = fromRoot(`node_modules/${name}/package.json`);
  return (JSON.parse(readFileSync(path, 'utf8')) as { dependencies: Record<string, string> }).dependencies;
}

test('a master loads none of what it does not use', async () => {
  for (const flags of [[], ['--no-metrics']]) {
    const { builtins, files } = await loadedBy(...flags);
    const named = files.flatMap((file) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []);
    const packages = new Set(named);
    // The log's.
    for (const name of ['pino', ...ofPino]) packages.delete(name);
    assert.deepEqual([...packages], [], `packages, with ${flags.join(' ') || 'the defaults'}`);
    const unused = ['http2', 'https', 'crypto', 'perf_hooks', 'readline', 'internal/deps/undici/undici', 'zlib'];
    assert.deepEqual(
      unused.filter((name) => builtins.includes(`NativeModule ${name}`)),
      [],
    );
    // The file that the build makes, and the few before it: no module of ours by itself.
    const own = files.filter((file) => !file.includes('/node_modules/'));
    assert.ok(own.length <= 6, own.join('\n'));
  }
});
