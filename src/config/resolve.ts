/** From checked values to the settings of a generation: what follows from other settings or the machine, and what must agree. */

import { realpathSync, statSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { describeProblem, type Problem } from '../errors.ts';
import { type Found, findIdentity, findOwner, type Identity, type Owner } from '../system/identity.ts';
import type { PassedSocket } from '../system/passed.ts';
import type { Address, GivenAddress } from './address.ts';
import { findApp, noApp } from './app.ts';
import { readEnvFile } from './env-file.ts';
import type { Value } from './merge.ts';
import type { AppSpec, ControlSocket, LoadRequest, Settings } from './resolved.ts';
import type { Table } from './settings/setting.ts';
import { maxWorkersEver } from './settings/workers.ts';
import { settings as everySetting, plainSettings, type SettingName, type Value as ValueOf } from './settings.ts';
import { shorten } from './show.ts';
import { slotVariables } from './slot-env.ts';

/** What is known before the settings depend on each other. */
export interface Draft {
  readonly values: ReadonlyMap<string, Value>;
  readonly problems: readonly Problem[];
  readonly doubts: readonly Problem[];
  readonly env: LoadRequest['env'];
  readonly cwd: string;
  readonly configFile: string | null;
  readonly hooks: readonly string[];
  readonly cores: number;
  /** Bytes that all of this may use together; `null` if there is no limit. */
  readonly memory: number | null;
  readonly umask: number;
  readonly passed: readonly PassedSocket[];
}

/** Variables that are the master's own business. */
const withheld =
  /^(PREFORK_.*|LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|WATCHDOG_(USEC|PID)|NODE_UNIQUE_ID|NODE_CHANNEL_(FD|SERIALIZATION_MODE))$/;

export function resolveSettings(
  draft: Draft,
  table: Table = everySetting,
): { readonly settings: Settings; readonly problems: readonly Problem[] } {
  const problems = [...draft.problems];
  const { values, cwd, env, cores } = draft;
  // If no source gives a value, the problem belongs to the place where it would be expected.
  const sourceOf = (name: SettingName) => values.get(name)?.source ?? draft.configFile ?? 'command line';
  const complain = (setting: SettingName, message: string) =>
    problems.push({ setting, source: sourceOf(setting), message });
  // The parsers have made each value what the setting's kind says.
  const given = <Name extends SettingName>(name: Name) => values.get(name)?.value as ValueOf<Name> | undefined;
  const plain = plainSettings(values, table);

  // A default that stands in for a value that was refused is no ground for a second complaint.
  const isRefused = (name: SettingName) => draft.problems.some((problem) => problem.setting === name);

  const wanted = given('workers') ?? 'auto';
  const autoscale = typeof wanted === 'object' ? wanted : null;
  const workers = autoscale?.min ?? (typeof wanted === 'number' ? wanted : 2 * cores + 1);
  const most = autoscale?.max ?? workers;
  const maxWorkers = given('maxWorkers') ?? Math.min(maxWorkersEver, Math.max(4 * cores, 2 * workers, most));
  if (maxWorkers < most && !isRefused('workers'))
    complain('maxWorkers', `expected at least workers (${most}), got ${maxWorkers}`);
  const { gracefulTimeout, maxRequests, maxRequestsJitter, readyQuorum, pidfile, envFile, user } = plain;
  const drainLinger = given('drainLinger') ?? Math.min(2_000, Math.floor(gracefulTimeout / 2));
  if (drainLinger > gracefulTimeout && !isRefused('gracefulTimeout'))
    complain('drainLinger', 'expected at most gracefulTimeout');
  const replaceLinger = given('replaceLinger') ?? given('drainLinger') ?? Math.floor(gracefulTimeout * 0.8);
  if (given('replaceLinger') !== undefined && replaceLinger > gracefulTimeout && !isRefused('gracefulTimeout'))
    complain('replaceLinger', 'expected at most gracefulTimeout');
  const surge = plain.maxSurge;
  const maxSurge = typeof surge === 'number' ? surge : Math.max(1, Math.ceil(surge.share * workers));
  if (maxRequests > 0 && maxRequestsJitter > maxRequests * 10)
    complain(
      'maxRequestsJitter',
      `expected at most ten times maxRequests (${maxRequests * 10}), got ${maxRequestsJitter}`,
    );
  if (plain.accessLogFields !== null && plain.accessLogFormat !== 'json' && !isRefused('accessLogFormat'))
    complain('accessLogFields', "expected accessLogFormat to be 'json': other formats have no fields");
  if (readyQuorum > workers && !isRefused('workers'))
    complain('readyQuorum', `expected at most workers (${workers}), got ${readyQuorum}`);

  const chdir = resolveFolder(given('chdir') ?? '.', cwd, (message) => complain('chdir', message));
  const givenApp = given('app');
  const found =
    givenApp === undefined
      ? { problem: noApp(chdir ?? cwd) }
      : findApp(givenApp, chdir ?? cwd, resolve(cwd, given('chdir') ?? '.'));
  // One that was refused has its problem already, and if the folder is gone that is the problem.
  if ('problem' in found && !isRefused('app') && chdir !== null) complain('app', found.problem);
  const app: AppSpec = 'app' in found ? found.app : { given: givenApp ?? '', path: '', named: '', exportName: null };
  const toAddresses = (name: SettingName, address: GivenAddress) =>
    addressesOf(address, draft.passed, (message) => complain(name, message));
  const bind =
    given('bind')?.flatMap((address) => toAddresses('bind', address)) ??
    draft.passed.map(({ fd }): Address => ({ kind: 'fd', fd }));
  const admin = given('admin');
  const identity = take(findIdentity(user, plain.group), (message) =>
    complain(user === null ? 'group' : 'user', message),
  );
  const owner = given('socketOwner');
  const socketOwner =
    owner === undefined ? identity : take(findOwner(owner), (message) => complain('socketOwner', message));
  const fromFile = envFile === null ? {} : readEnvFile(envFile, (message) => complain('envFile', message));
  // By the name of a symlink in it a later worker would find the next release.
  const pinned = env.PWD === undefined || chdir === null ? env : { ...env, PWD: chdir };
  const ownEnv = { ...fromFile, ...given('env') };
  const slotEnv = slotVariables(ownEnv);
  const workerEnv = without(environmentOf(pinned, ownEnv, bind, identity), slotEnv);
  const isHealthOn = given('health') ?? (values.has('healthLive') || values.has('healthReady'));
  if (isHealthOn && plain.healthLive === plain.healthReady)
    complain('healthReady', 'expected another path than healthLive');

  const settings: Settings = {
    ...plain,
    app,
    name: given('name') ?? nameOf(app),
    bind,
    defaultBind: defaultBind(workerEnv),
    workers,
    autoscale,
    maxWorkers,
    cores,
    chdir: chdir ?? cwd,
    env: workerEnv,
    slotEnv,
    drainLinger,
    replaceLinger,
    maxSurge,
    maxMemory: given('maxMemory') ?? shareOf(draft.memory, most + plain.spares + maxSurge),
    controlSocket: controlSocketOf(given('controlSocket') ?? null, pidfile, cwd),
    admin: admin === undefined ? null : (toAddresses('admin', admin)[0] ?? null),
    health: isHealthOn ? { live: plain.healthLive, ready: plain.healthReady } : null,
    identity,
    umask: given('umask') ?? draft.umask,
    socketOwner,
    configFile: draft.configFile === null ? null : realPath(draft.configFile),
    hooks: draft.hooks,
    doubts: draft.doubts.map(describeProblem),
  };
  return { settings, problems };
}

/** The hooks of a generation are those of its release, wherever a symlink leads meanwhile. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function resolveFolder(given: string, cwd: string, complain: (message: string) => void): string | null {
  try {
    const path = realpathSync(resolve(cwd, given));
    if (statSync(path).isDirectory()) return path;
    complain(`expected a directory, got the file ${shorten(path, 300)}`);
  } catch {
    complain(`expected a directory that exists, got ${shorten(resolve(cwd, given), 300)}`);
  }
  return null;
}

/** What the master itself needs, and what is left free. */
const masterMemory = 96 * 2 ** 20;
const memoryShare = 0.9;
/** A smaller share would recycle healthy workers all the time: a bare Node needs half of it. */
const smallestShare = 96 * 2 ** 20;

/** A worker's share of the memory there is; 0 if there is no limit, or if the share is too small to act on. */
function shareOf(memory: number | null, workers: number): number {
  const share = memory === null ? 0 : Math.floor(((memory - masterMemory) * memoryShare) / workers);
  return share < smallestShare ? 0 : share;
}

function controlSocketOf(given: string | null, pidfile: string | null, cwd: string): ControlSocket {
  if (given === 'none') return { kind: 'none' };
  if (given !== null) return { kind: 'path', path: resolve(cwd, given), isDefault: false };
  if (pidfile === null) return { kind: 'runtime' };
  return { kind: 'path', path: `${pidfile.replace(/\.pid$/, '')}.ctl`, isDefault: true };
}

function take<T extends Identity | Owner | null>(found: Found<T>, complain: (message: string) => void): T | null {
  if ('value' in found) return found.value;
  complain(found.problem);
  return null;
}

function nameOf(app: AppSpec): string {
  return basename(app.path, extname(app.path)) || 'app';
}

function environmentOf(
  env: LoadRequest['env'],
  own: Readonly<Record<string, string>>,
  bind: readonly Address[],
  identity: Identity | null,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && !withheld.test(name)) result[name] = value;
  const tcp = bind.find((address) => address.kind === 'tcp');
  if (tcp?.kind === 'tcp') result.PORT = String(tcp.port);
  // As login, su and systemd do it for another user.
  if (identity !== null && identity.name !== null) {
    Object.assign(result, { USER: identity.name, LOGNAME: identity.name, HOME: identity.home ?? '/' });
  }
  return { ...result, ...own };
}

function without(
  env: Readonly<Record<string, string>>,
  names: Readonly<Record<string, unknown>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !Object.hasOwn(names, name)));
}

/** Sockets of one unit share a name. */
function addressesOf(
  given: GivenAddress,
  passed: readonly PassedSocket[],
  complain: (message: string) => void,
): readonly Address[] {
  if (given.kind !== 'passed') return [given];
  const found = passed.filter(({ name }) => name === given.name);
  if (found.length > 0) return found.map(({ fd }) => ({ kind: 'fd', fd }));
  const names = [...new Set(passed.flatMap(({ name }) => name ?? []))].map((name) => `fd://${name}`);
  const there = names.length === 0 ? 'none with a name was passed' : `there is ${names.join(', ')}`;
  complain(
    `expected the name of a socket that the service manager passes, got ${JSON.stringify(given.name)}; ${there}`,
  );
  return [];
}

function defaultBind(env: Readonly<Record<string, string>>): Address {
  const port = Number(env.PORT);
  const isPort = env.PORT !== undefined && /^\d+$/.test(env.PORT) && port <= 65_535;
  return isPort ? { kind: 'tcp', host: '0.0.0.0', port } : { kind: 'tcp', host: '127.0.0.1', port: 8_000 };
}
