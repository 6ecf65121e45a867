/** Where control sockets are. */
import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '../../config/resolved.ts';
import { describeUser } from '../../system/identity.ts';
import { removeQuietly } from '../../system/paths.ts';
import { isAlive } from '../../system/processes.ts';

/** A service's socket in the runtime directory tells its name and its master's pid. */
export interface Place {
  readonly path: string;
  readonly name: string;
  readonly pid: number;
}

export function runtimeFolder(env: Readonly<Record<string, string | undefined>>): string {
  const { XDG_RUNTIME_DIR } = env;
  if (XDG_RUNTIME_DIR?.startsWith('/') === true) return join(XDG_RUNTIME_DIR, 'prefork');
  return join(tmpdir(), `prefork-${process.geteuid?.() ?? 0}`);
}

/**
 * Makes the directory, or finds that it is there and ours alone: in a shared one such as /tmp any user could have made it.
 *
 * @returns why it cannot be used, or `null`
 */
export function claimFolder(path: string): string | null {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return `cannot make ${path}: ${(error as Error).message}`;
  }
  return distrustOf(path);
}

/**
 * Whether what is in a folder of sockets is this user's alone. A link is not followed.
 *
 * @returns why it is not to be trusted, `null` if it is, or if there is none
 */
export function distrustOf(path: string): string | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  if (stat.uid !== process.geteuid?.())
    return `${path} belongs to ${describeUser(stat.uid)}; remove it, or set XDG_RUNTIME_DIR to a folder of your own`;
  if (!stat.isDirectory()) return `${path} is not a directory; remove it`;
  return (stat.mode & 0o077) === 0 ? null : `${path} is open to others; chmod go= it`;
}

/** @returns the path of a service's socket, `null` if it has none */
export function socketPath(
  { controlSocket, name }: Pick<Settings, 'controlSocket' | 'name'>,
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): string | null {
  if (controlSocket.kind === 'none') return null;
  if (controlSocket.kind === 'path') return controlSocket.path;
  return placeOf(name, env, pid);
}

function placeOf(name: string, env: Readonly<Record<string, string | undefined>>, pid: number): string {
  return join(runtimeFolder(env), `${placeName(name)}-${pid}.ctl`);
}

/** A service's name as files have it. */
export function placeName(name: string): string {
  return name.replace(/[^\w.-]/g, '_').slice(0, 40);
}

/** Has a service whose socket is elsewhere found by its name, or as the only one: a link where the others' sockets are. */
export class Signpost {
  #path: string | null = null;

  /**
   * To be called now and then: it may be swept away.
   *
   * @param socket to lead to
   */
  put(socket: string, name: string, env: Readonly<Record<string, string | undefined>>, pid: number): void {
    const path = placeOf(name, env, pid);
    if (path === this.#path && targetOf(path) === socket) return;
    this.remove();
    try {
      const folder = runtimeFolder(env);
      if (claimFolder(folder) !== null) return;
      sweep(folder);
      rmSync(path, { force: true });
      symlinkSync(socket, path);
      this.#path = path;
    } catch {
      // There is no place for it: --pid and --socket find the service.
    }
  }

  remove(): void {
    if (this.#path !== null) rmSync(this.#path, { force: true });
    this.#path = null;
  }
}

function targetOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** The control socket that goes with a pidfile. */
export function beside(pidfile: string): string {
  return `${pidfile.replace(/\.pid$/, '')}.ctl`;
}

export function listPlaces(folder: string): Place[] {
  try {
    return readdirSync(folder).flatMap((file) => {
      const [, name, pid] = /^(.+)-(\d+)\.ctl$/.exec(file) ?? [];
      return name === undefined ? [] : [{ path: join(folder, file), name, pid: Number(pid) }];
    });
  } catch {
    return [];
  }
}

/** Removes what masters left that are no more. */
export function sweep(folder: string): void {
  for (const { path, pid } of listPlaces(folder)) if (!isAlive(pid)) removeQuietly(path);
}
