/** Peers from npm: put into the cache on first use, never a dependency. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../test/support/paths.ts';

const folder = join(root, '.cache/bench');

/** Where the cache has a package, or a file of it. */
export function inCache(...path: readonly string[]): string {
  return join(folder, 'node_modules', ...path);
}

/** Installs packages (`name@range`) unless they are there. @returns why that did not go, or `null` */
export function install(packages: readonly string[]): string | null {
  const names = packages.map((each) => each.replace(/(.)@[^@]*$/, '$1'));
  const here = (): boolean => names.every((name) => existsSync(inCache(name, 'package.json')));
  if (here()) return null;
  try {
    mkdirSync(folder, { recursive: true });
    // Without a package.json of its own, npm would remove what an earlier call has put there.
    const others = ['--save', '--no-package-lock', '--no-audit', '--no-fund', '--silent'];
    execFileSync('npm', ['install', '--prefix', folder, ...others, ...packages], { stdio: 'ignore', cwd: folder });
    return here() ? null : `npm installed no ${names.join(', ')}`;
  } catch {
    return `npm could not install ${names.join(', ')}`;
  }
}

export function versionInCache(name: string): string {
  return (JSON.parse(readFileSync(inCache(name, 'package.json'), 'utf8')) as { version: string }).version;
}
