/** Installs a framework from the registry into a folder of its own, and builds it; done once for each package.json. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromRoot } from '../../support/paths.ts';
import type { Framework } from './table.ts';

/** It could not be installed or built; the message ends with what npm or the build said last. */
export class InstallError extends Error {
  readonly code = 'INSTALL';
  override readonly name = 'InstallError';
}

/** The Node that runs a framework: this one, or one of those that CI has fetched where this one is too old. */
export function nodeFor({ node: least = 0 }: Framework): string {
  if (majorOf(process.version) >= least) return process.execPath;
  const found = [22, 24, 26]
    .filter((major) => major >= least)
    .map((major) => fromRoot(`.cache/node-${major}/node_modules/node/bin/node`))
    .find((path) => existsSync(path));
  if (found === undefined) throw new InstallError(`needs Node ${least}`);
  return found;
}

function majorOf(version: string): number {
  return Number(/\d+/.exec(version)?.[0]);
}

/** @returns the folder with the app as it is to be started. @throws {@link InstallError} */
export function install(framework: Framework): string {
  const { folder, build = [] } = framework;
  const node = nodeFor(framework);
  const source = fromRoot(`test/compat/frameworks/${folder}`);
  const target = fromRoot(`.cache/compat/frameworks/${folder}`);
  const note = join(target, '.installed');
  const state = stateOf(source, node, build);
  if (existsSync(note) && readFileSync(note, 'utf8') === state) return target;
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  cpSync(source, target, { recursive: true });
  run(target, node, ['npm', 'install', '--no-audit', '--no-fund', '--loglevel=error']);
  for (const command of build) run(target, node, command);
  writeFileSync(note, state);
  return target;
}

/** Changes with every file of the source, and with how it is built. */
function stateOf(source: string, node: string, build: readonly (readonly string[])[]): string {
  const hash = createHash('sha256').update(JSON.stringify([build, node]));
  for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) hash.update(entry.name).update(readFileSync(join(entry.parentPath, entry.name)));
  }
  return hash.digest('hex');
}

function run(cwd: string, node: string, [command = '', ...args]: readonly string[]): void {
  const env: NodeJS.ProcessEnv = { ...process.env, ...quiet, PATH: `${dirname(node)}:${process.env.PATH}` };
  delete env.NODE_TEST_CONTEXT;
  const { status, stdout, stderr } = spawnSync('nice', [command, ...args], {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 600_000,
    maxBuffer: 2 ** 26,
  });
  if (status === 0) return;
  throw new InstallError(`${command} ${args.join(' ')} failed:\n${`${stdout}\n${stderr}`.trim().slice(-1_500)}`);
}

/** No build tells anybody that it runs. */
const quiet = {
  CI: '1',
  DO_NOT_TRACK: '1',
  NEXT_TELEMETRY_DISABLED: '1',
  NUXT_TELEMETRY_DISABLED: '1',
  ASTRO_TELEMETRY_DISABLED: '1',
};
