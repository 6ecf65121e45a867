/** The working directory as the shell names it. */
import { realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';

/**
 * A `current` link in the name can point elsewhere at the next reload, so it is kept. A directory that is gone is left
 * to be found missing, unless `chdir` names another.
 */
export function logicalCwd(): string {
  const { PWD } = process.env;
  const named = PWD !== undefined && isAbsolute(PWD) ? PWD : null;
  try {
    const real = process.cwd();
    return named !== null && leadsTo(named, real) ? named : real;
  } catch {
    return named ?? '/';
  }
}

function leadsTo(path: string, real: string): boolean {
  try {
    return realpathSync(path) === real;
  } catch {
    return false;
  }
}
