/**
 * Reads a config file in a throw-away child. Config code can exit, loop, throw or wait for ever: none of it may hurt a
 * running master. And a child sees modules fresh, which a second import in the master would not.
 */
import { fork } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, messageOf, systemFailure } from '../../errors.ts';
import { launchAs, withMask } from '../../system/identity.ts';
import { isReplaceableByOthers } from '../../system/paths.ts';
import { withoutStrays } from '../../system/strays.ts';
import type { ChildHookName, HookPayload } from '../hooks.ts';
import type { Settings } from '../resolved.ts';
import { shorten } from '../show.ts';
import type { ProbeOrder, ProbeReport } from './messages.ts';

const names = ['ts', 'mts', 'js', 'mjs', 'cjs'].map((extension) => `supervisor.config.${extension}`);
const deadline = 10_000;

/** Beside this file; it is TypeScript if prefork runs from its sources, as its tests do. */
const isSource = import.meta.url.endsWith('.ts');
const probeFile = fileURLToPath(new URL(isSource ? './child.ts' : './child.js', import.meta.url));
const probeLoader = isSource ? ['--import', import.meta.resolve('tsx')] : [];

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
 * @throws ConfigError if it cannot be loaded, whatever it does instead
 */
export function readConfigFile(path: string, cwd: string, env: NodeJS.ProcessEnv): Promise<Record<string, unknown>> {
  if (process.geteuid?.() === 0 && isEverybodys(path)) {
    const advice = 'as root prefork does not run what everybody can change; chmod o-w it';
    return Promise.reject(problem(path, `the file, or its directory, is writable by everybody: ${advice}`));
  }
  return probe({ type: 'settings', path, parent: process.pid }, cwd, env, deadline).then((report) => {
    if (report.type === 'settings') return report.settings;
    throw problem(path, report.type === 'failed' ? report.reason : 'the config file gave no settings');
  });
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
 * @returns why it failed; `null` if it did not, or if there is none
 */
export async function callHook<Name extends ChildHookName>(
  settings: Pick<Settings, 'configFile' | 'chdir' | 'env' | 'hooks' | 'identity' | 'umask'>,
  name: Name,
  payload: HookPayload<Name>,
): Promise<string | null> {
  const { configFile: path, chdir, env, hooks, identity, umask } = settings;
  if (path === null || !hooks.includes(name)) return null;
  try {
    const order: ProbeOrder = { type: 'hook', path, parent: process.pid, name, argument: payload };
    // What a hook writes is the workers': it has their user and their mask.
    const report = await probe(order, chdir, env, deadline, { identity, umask });
    return report.type === 'failed' ? report.reason : null;
  } catch (error) {
    return messageOf(error);
  }
}

function probe(
  order: ProbeOrder,
  cwd: string,
  env: NodeJS.ProcessEnv,
  within: number,
  { identity, umask }: Pick<Settings, 'identity' | 'umask'> = { identity: null, umask: process.umask() },
): Promise<ProbeReport> {
  return new Promise((resolvePromise, reject) => {
    const execArgv = ['--no-warnings=ExperimentalWarning', ...probeLoader];
    const { command, args, ids } = launchAs(identity, process.execPath, execArgv);
    const child = withMask(umask, () =>
      fork(probeFile, [], {
        ...ids,
        execPath: command,
        // The working directory of an old release may be gone; the setting that names it is checked elsewhere.
        cwd: existsSync(cwd) ? cwd : dirname(order.path),
        env: { ...env, NODE_CHANNEL_FD: undefined },
        execArgv: [...args],
        serialization: 'json',
        // What a config prints is the operator's to see, and must not be taken for the app's output.
        stdio: withoutStrays(['ignore', 2, 2, 'ipc']),
      }),
    );
    const kill = () => child.kill('SIGKILL');
    // A child that loops would not see that we are gone.
    process.once('exit', kill);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, within);
    const settle = () => {
      clearTimeout(timer);
      process.removeListener('exit', kill);
    };
    let report: ProbeReport | null = null;
    child.on('message', (message) => {
      report ??= message as ProbeReport;
      kill();
    });
    // A child that could not be started gives no `close`.
    child.on('error', (error) => {
      settle();
      reject(problem(order.path, `cannot be loaded: ${systemFailure(error) ?? error.message}`));
    });
    child.on('close', (code, signal) => {
      settle();
      if (report !== null) resolvePromise(report);
      else reject(problem(order.path, timedOut ? neverLoaded(within) : ended(code, signal)));
    });
    // Without a process there is no channel either.
    if (child.pid !== undefined) child.send(order, () => {});
  });
}

function neverLoaded(within: number): string {
  return `did not finish loading within ${within / 1_000} s; does it loop, or wait for something that never comes?`;
}

function ended(code: number | null, signal: NodeJS.Signals | null): string {
  return `the config file ended the process that loaded it (${signal ?? `exit code ${code}`})`;
}

function problem(source: string, message: string): ConfigError {
  return new ConfigError([{ setting: null, source, message }]);
}
