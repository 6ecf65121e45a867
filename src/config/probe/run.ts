/**
 * Reads a config file in a throw-away child. Config code can exit, loop, throw or wait for ever: none of it may hurt a
 * running master. And a child sees modules fresh, which a second import in the master would not.
 */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { messageOf } from '../../errors.ts';
import { isReplaceableByOthers } from '../../system/paths.ts';
import type { ChildHookName, HookPayload } from '../hooks.ts';
import type { Settings } from '../resolved.ts';
import { shorten } from '../show.ts';
import { problem, runChild } from './child-process.ts';
import type { ProbeOrder } from './messages.ts';
import { type OnPrinted, toStderr } from './printed.ts';

const names = ['ts', 'mts', 'js', 'mjs', 'cjs'].map((extension) => `supervisor.config.${extension}`);

/**
 * @returns the absolute path of the config file, or `null` if there is none and none is named
 * @throws ConfigError if the one that is named does not exist
 */
export function findConfigFile(given: string | null, cwd: string): string | null {
  if (given === null) return names.map((name) => join(cwd, name)).find(isFile) ?? null;
  const path = resolve(cwd, given);
  if (given !== '' && isFile(path)) return path;
  throw problem(shorten(path, 300), existsSync(path) ? 'is not a file (-c)' : 'the config file does not exist (-c)');
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Loads it and gives its settings as plain data.
 *
 * @param onPrinted is told what the file's code prints
 * @throws ConfigError if it cannot be loaded, whatever it does instead
 */
export async function readConfigFile(
  path: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
  onPrinted: OnPrinted = toStderr,
): Promise<Record<string, unknown>> {
  if (process.geteuid?.() === 0 && isEverybodys(path)) {
    const advice = 'as root prefork does not run what everybody can change; chmod o-w it';
    throw problem(path, `the file, or its directory, is writable by everybody: ${advice}`);
  }
  const order: ProbeOrder = { type: 'settings', path, parent: process.pid };
  const report = await runChild(order, { cwd, env, identity: null, umask: process.umask(), onPrinted });
  if (report.type === 'settings') return report.settings;
  throw problem(path, report.type === 'failed' ? report.reason : 'the config file gave no settings');
}

function isEverybodys(path: string): boolean {
  try {
    return (statSync(path).mode & 0o002) !== 0 || isReplaceableByOthers(dirname(path));
  } catch {
    return false;
  }
}

/**
 * Calls a hook of the config file, if it has it, in a child of its own.
 *
 * @param settings of the generation that the hook belongs to
 * @param onPrinted is told what the hook, and the file's other code, print
 * @returns why it failed; `null` if it did not, or if there is none
 */
export async function callHook<Name extends ChildHookName>(
  settings: Pick<Settings, 'configFile' | 'chdir' | 'env' | 'hooks' | 'identity' | 'umask'>,
  name: Name,
  payload: HookPayload<Name>,
  onPrinted: OnPrinted = toStderr,
): Promise<string | null> {
  const { configFile: path, chdir, env, hooks, identity, umask } = settings;
  if (path === null || !hooks.includes(name)) return null;
  try {
    const order: ProbeOrder = { type: 'hook', path, parent: process.pid, name, argument: payload };
    // What a hook writes is the workers': it has their user and their mask.
    const report = await runChild(order, { cwd: chdir, env, identity, umask, onPrinted });
    return report.type === 'failed' ? report.reason : null;
  } catch (error) {
    return messageOf(error);
  }
}
