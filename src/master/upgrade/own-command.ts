/** How this process was started, so that it can be started again: with what is on the disk by then. */
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/**
 * To be called early: links are compared with where they lead now, and followed anew at the upgrade.
 *
 * @param cwd the working directory as the shell names it, links and all
 */
export function ownCommand(cwd: string, path = process.env.PATH): Command {
  return { file: ownNode(cwd, path), args: [...process.execArgv, ...ownScript(cwd), ...process.argv.slice(2)], cwd };
}

/** `process.execPath` is where a link led; the link may lead to another version later. */
function ownNode(cwd: string, path = ''): string {
  const { argv0, execPath } = process;
  // As a shell looks for it: what has a slash in it is a path.
  const candidates = argv0.includes('/')
    ? [resolve(cwd, argv0)]
    : path.split(delimiter).map((folder) => resolve(cwd, folder, argv0));
  const named = candidates.find((candidate) => existsSync(candidate));
  return named !== undefined && leadsTo(named, execPath) ? named : execPath;
}

/** The script below a working directory that is a link, such as `current`, is named below that link again. */
function ownScript(cwd: string): string[] {
  const [, script] = process.argv;
  if (script === undefined) return [];
  try {
    const real = `${realpathSync(cwd)}/`;
    const named = script.startsWith(real) ? join(cwd, script.slice(real.length)) : script;
    return [leadsTo(named, realpathSync(script)) ? named : script];
  } catch {
    return [script];
  }
}

function leadsTo(path: string, real: string): boolean {
  try {
    return realpathSync(path) === real;
  } catch {
    return false;
  }
}
