/** Finds the running service that a command is for. */
import { accessSync, closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadSettings } from '../config/load.ts';
import { findConfigFile } from '../config/probe/run.ts';
import type { LoadRequest } from '../config/resolved.ts';
import { ControlError, messageOf } from '../errors.ts';
import { beside, distrustOf, listPlaces, type Place, placeName, runtimeFolder } from '../master/claims/places.ts';
import { answers } from './client.ts';
import { openTrusted } from './trust.ts';

export interface Target {
  readonly pid: string | null;
  readonly socket: string | null;
  readonly name: string | null;
  readonly config: string | null;
}

/**
 * By what was given; else by the configuration in the working directory; else the only one there is.
 *
 * @returns the path of its control socket
 * @throws ControlError if there is none, or more than one
 */
export async function findSocket(target: Target, cwd: string): Promise<string> {
  if (target.socket !== null) return resolve(cwd, target.socket);
  if (target.pid !== null) return byPidfile(resolve(cwd, target.pid));
  if (target.name !== null) return await byName(target.name);
  const configured = await byConfig(target.config, cwd);
  if (configured !== null) return configured;
  return only(await live(ownPlaces()), 'of this user');
}

/**
 * Where services of this user have their sockets.
 *
 * @throws ControlError if another user may have put them there
 */
function ownPlaces(): readonly Place[] {
  const folder = runtimeFolder(process.env);
  const distrust = distrustOf(folder);
  if (distrust === null) return listPlaces(folder);
  throw new ControlError(`services are not looked for in a folder that others can fill: ${distrust}`);
}

async function byPidfile(path: string): Promise<string> {
  let text: string;
  try {
    text = startOf(path).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new ControlError(`not running: there is no ${path}`);
    throw new ControlError(`cannot read ${path}: ${messageOf(error)}`);
  }
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new ControlError(`${path} holds no pid`);
  const besides = beside(path);
  if (await isLive(besides)) return besides;
  const [place] = await live(ownPlaces().filter(({ pid }) => pid === Number(text)));
  if (place !== undefined) return place.path;
  throw new ControlError(
    `not running: nothing answers for pid ${text} of ${path}, on ${besides}; is controlSocket elsewhere? (--socket)`,
  );
}

async function byConfig(given: string | null, cwd: string): Promise<string | null> {
  if (findConfigFile(given, cwd) === null) return null;
  const request: LoadRequest = { flags: {}, cmdArgs: {}, configFile: given, env: { ...process.env }, cwd };
  const settings = await loadSettings(request);
  const { controlSocket, name } = settings;
  if (controlSocket.kind === 'none') throw new ControlError('the configuration has controlSocket: none');
  if (controlSocket.kind === 'path') {
    if (await isLive(controlSocket.path)) return controlSocket.path;
    throw new ControlError(`not running: nothing listens on ${controlSocket.path}`);
  }
  return await byName(name);
}

async function byName(name: string): Promise<string> {
  const same = ownPlaces().filter((place) => place.name === placeName(name));
  return only(await live(same), `named ${name}`);
}

/** @returns those that answer, each once: what a master that was killed has left may lead to the one that followed it */
async function live(places: readonly Place[]): Promise<readonly Place[]> {
  const alive = await Promise.all(places.map(({ path }) => answers(path)));
  const bySocket = new Map(
    places.flatMap((place, index) => (alive[index] === true ? [[realPathOf(place.path), place] as const] : [])),
  );
  return [...bySocket.values()];
}

/** The start of a file that need not be a pidfile: it may be a pipe that nobody writes to, or have no end. */
function startOf(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile()) throw new ControlError('it is no regular file');
    const start = Buffer.alloc(32);
    return start.toString('latin1', 0, readSync(fd, start, 0, start.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** @throws ControlError if it belongs to another user */
async function isLive(path: string): Promise<boolean> {
  try {
    accessSync(path, constants.W_OK);
    const { fd } = openTrusted(path);
    if (fd !== null) closeSync(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') throw new ControlError(`${path} belongs to another user`);
    if (error instanceof ControlError) throw error;
    return false;
  }
  return await answers(path);
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function only(places: readonly Place[], which: string): string {
  const [place, ...others] = places;
  if (place === undefined) throw new ControlError(`not running: there is no service ${which}`);
  if (others.length === 0) return place.path;
  const list = places.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
  throw new ControlError(`there are several services ${which}: ${list}; say which by --pid or --socket`);
}
