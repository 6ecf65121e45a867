/** From checked values to the settings of a generation: defaults, what follows from other settings, what must agree. */

import { realpathSync, statSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import type { Problem } from '../errors.ts';
import { type Found, findIdentity, findOwner, type Identity, type Owner } from '../system/identity.ts';
import type { PassedSocket } from '../system/passed.ts';
import { defaultAccessLogFormat, parseAccessFormat } from './access-format.ts';
import type { Address, GivenAddress } from './address.ts';
import { findApp, noApp } from './app.ts';
import { readEnvFile } from './env-file.ts';
import type { Value } from './merge.ts';
import type { AppSpec, ControlSocket, HealthPaths, LoadRequest, Settings } from './resolved.ts';
import { maxWorkersEver, type SettingName } from './settings.ts';
import { shorten } from './show.ts';

/** What is known before the settings depend on each other. */
export interface Draft {
  readonly values: ReadonlyMap<SettingName, Value>;
  readonly problems: readonly Problem[];
  readonly env: LoadRequest['env'];
  readonly cwd: string;
  readonly configFile: string | null;
  readonly hooks: readonly string[];
  readonly cores: number;
  /** Bytes that all of this may use together, where there is a limit. */
  readonly memory: number | null;
  readonly umask: number;
  readonly passed: readonly PassedSocket[];
}

/** Variables that are the master's own business. */
const withheld =
  /^(PREFORK_.*|LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|WATCHDOG_(USEC|PID)|NODE_UNIQUE_ID|NODE_CHANNEL_(FD|SERIALIZATION_MODE))$/;

export function resolveSettings(draft: Draft): { readonly settings: Settings; readonly problems: readonly Problem[] } {
  const problems = [...draft.problems];
  const { values, cwd, env, cores } = draft;
  // What nobody gave is missing where it would have been expected.
  const sourceOf = (name: SettingName) => values.get(name)?.source ?? draft.configFile ?? 'command line';
  const complain = (setting: SettingName, message: string) =>
    problems.push({ setting, source: sourceOf(setting), message });
  // The parsers have made each value what the setting's kind says.
  const get = <T>(name: SettingName, fallback: T): T => (values.has(name) ? (values.get(name)?.value as T) : fallback);

  // A default that stands in for a value that was refused is no ground for a second complaint.
  const isRefused = (name: SettingName) => draft.problems.some((problem) => problem.setting === name);

  const wanted = get<number | 'auto'>('workers', 'auto');
  const workers = wanted === 'auto' ? 2 * cores + 1 : wanted;
  const maxWorkers = get('maxWorkers', Math.min(maxWorkersEver, Math.max(4 * cores, 2 * workers)));
  if (maxWorkers < workers && !isRefused('workers'))
    complain('maxWorkers', `expected at least workers (${workers}), got ${maxWorkers}`);
  const gracefulTimeout = get('gracefulTimeout', 30_000);
  const drainLinger = get('drainLinger', Math.min(2_000, Math.floor(gracefulTimeout / 2)));
  if (drainLinger > gracefulTimeout && !isRefused('gracefulTimeout'))
    complain('drainLinger', 'expected at most gracefulTimeout');
  const surge = get<number | { readonly share: number }>('maxSurge', 1);
  const maxSurge = typeof surge === 'number' ? surge : Math.max(1, Math.ceil(surge.share * workers));
  const maxRequests = get('maxRequests', 0);
  const maxRequestsJitter = get('maxRequestsJitter', 0);
  if (maxRequests > 0 && maxRequestsJitter > maxRequests * 10)
    complain(
      'maxRequestsJitter',
      `expected at most ten times maxRequests (${maxRequests * 10}), got ${maxRequestsJitter}`,
    );

  const readyQuorum = get('readyQuorum', 1);
  if (readyQuorum > workers && !isRefused('workers'))
    complain('readyQuorum', `expected at most workers (${workers}), got ${readyQuorum}`);

  const chdir = resolveFolder(get<string>('chdir', '.'), cwd, (message) => complain('chdir', message));
  const given = get<string | null>('app', null);
  const found = given === null ? { problem: noApp(chdir ?? cwd) } : findApp(given, chdir ?? cwd);
  // One that was refused already has its problem, and where the folder is gone that is the problem.
  if ('problem' in found && !isRefused('app') && chdir !== null) complain('app', found.problem);
  const app: AppSpec = 'app' in found ? found.app : { given: given ?? '', path: '', exportName: null };
  const toAddresses = (name: SettingName, address: GivenAddress) =>
    addressesOf(address, draft.passed, (message) => complain(name, message));
  const bind = values.has('bind')
    ? get<readonly GivenAddress[]>('bind', []).flatMap((address) => toAddresses('bind', address))
    : draft.passed.map(({ fd }): Address => ({ kind: 'fd', fd }));
  const admin = get<GivenAddress | null>('admin', null);
  const pidfile = get<string | null>('pidfile', null);
  const user = get<string | null>('user', null);
  const identity = take(findIdentity(user, get<string | null>('group', null)), (message) =>
    complain(user === null ? 'group' : 'user', message),
  );
  const owner = get<string | null>('socketOwner', null);
  const socketOwner = owner === null ? identity : take(findOwner(owner), (message) => complain('socketOwner', message));
  const envFile = fileOf(get<string | null>('envFile', null), cwd);
  const fromFile = envFile === null ? {} : readEnvFile(envFile, (message) => complain('envFile', message));
  const workerEnv = environmentOf(env, { ...fromFile, ...get<Record<string, string>>('env', {}) }, bind, identity);

  const pidPath = pidfile === null ? null : resolve(cwd, pidfile);

  const settings: Settings = {
    app,
    name: get('name', nameOf(app)),
    bind,
    defaultBind: defaultBind(workerEnv),
    backlog: get('backlog', 2_048),
    queues: get('queues', 'auto'),
    socketMode: get('socketMode', 0o660),
    workers,
    maxWorkers,
    cores,
    chdir: chdir ?? cwd,
    env: workerEnv,
    args: get('args', []),
    nodeArgs: get('nodeArgs', []),
    typescript: get('typescript', 'auto'),
    pidfile: pidPath,
    timeout: get('timeout', 30_000),
    gracefulTimeout,
    drainLinger,
    bootTimeout: get('bootTimeout', 60_000),
    minReadySeconds: get('minReadySeconds', 0),
    progressDeadline: get('progressDeadline', 600_000),
    rollbackWindow: get('rollbackWindow', 30_000),
    maxSurge,
    maxRequests,
    maxRequestsJitter,
    maxMemory: get('maxMemory', shareOf(draft.memory, workers + maxSurge)),
    maxLifetime: get('maxLifetime', 0),
    maxLifetimeJitter: get('maxLifetimeJitter', 0),
    maxBootFailures: get('maxBootFailures', 0),
    blockedWarning: get('blockedWarning', 1_000),
    release: get('release', null),
    releaseTimeout: get('releaseTimeout', 600_000),
    controlSocket: controlSocketOf(get<string | null>('controlSocket', null), pidPath, cwd),
    adminHosts: get<readonly string[]>('adminHosts', []).map((name) => name.toLowerCase()),
    admin: admin === null ? null : (toAddresses('admin', admin)[0] ?? null),
    health: healthPaths(
      get('health', values.has('healthLive') || values.has('healthReady')),
      { live: get('healthLive', '/health/live'), ready: get('healthReady', '/health/ready') },
      complain,
    ),
    readyQuorum,
    drainDelay: get('drainDelay', 0),
    rejectWhileDraining: get('rejectWhileDraining', false),
    keepAlive: get('keepAlive', 75_000),
    metrics: get('metrics', true),
    statsd: statsdOf(get<string | null>('statsd', null), (message) => complain('statsd', message)),
    statsdPrefix: get('statsdPrefix', 'prefork'),
    statsdTags: get('statsdTags', {}),
    accessLog: streamOr(get<string | null>('accessLog', null), '/dev/stdout', cwd),
    accessLogFormat: accessFormatOf(get('accessLogFormat', defaultAccessLogFormat), (message) =>
      complain('accessLogFormat', message),
    ),
    errorLog: asNull(streamOr(get('errorLog', '-'), '/dev/stderr', cwd)),
    captureOutput: get('captureOutput', false),
    user,
    group: get<string | null>('group', null),
    identity,
    umask: get('umask', draft.umask),
    socketOwner,
    daemon: get('daemon', false),
    envFile,
    upgradeTimeout: get('upgradeTimeout', 120_000),
    upgradeByHand: get('upgradeByHand', false),
    logLevel: get('logLevel', 'info'),
    logFormat: get('logFormat', 'auto'),
    configFile: draft.configFile,
    hooks: draft.hooks,
  };
  return { settings, problems };
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

/** A worker's share of the memory there is, 0 where there is no limit or where it is too small to act on. */
function shareOf(memory: number | null, workers: number): number {
  const share = memory === null ? 0 : Math.floor(((memory - masterMemory) * memoryShare) / workers);
  return share < smallestShare ? 0 : share;
}

/** A container's image has often `/dev/stdout` where `-` is meant: a link, which a log would not be written through. */
function streamOr(given: string | null, stream: string, cwd: string): string | null {
  if (given === stream) return '-';
  return given === null || given === '-' ? given : resolve(cwd, given);
}

function asNull(given: string | null): string | null {
  return given === '-' ? null : given;
}

function fileOf(given: string | null, cwd: string): string | null {
  return given === null || given === '-' ? given : resolve(cwd, given);
}

function controlSocketOf(given: string | null, pidfile: string | null, cwd: string): ControlSocket {
  if (given === 'none') return { kind: 'none' };
  if (given !== null) return { kind: 'path', path: resolve(cwd, given), isDefault: false };
  if (pidfile === null) return { kind: 'runtime' };
  return { kind: 'path', path: `${pidfile.replace(/\.pid$/, '')}.ctl`, isDefault: true };
}

function healthPaths(
  isOn: boolean,
  paths: HealthPaths,
  complain: (setting: SettingName, message: string) => void,
): HealthPaths | null {
  for (const [name, path] of [
    ['healthLive', paths.live],
    ['healthReady', paths.ready],
  ] as const) {
    if (!/^\/[\w\-./~]*$/.test(path)) complain(name, `expected a path such as /health/live, got ${shorten(path)}`);
  }
  if (isOn && paths.live === paths.ready) complain('healthReady', 'expected another path than healthLive');
  return isOn ? paths : null;
}

function accessFormatOf(given: string, complain: (message: string) => void): string {
  if (given === 'json') return given;
  const parts = parseAccessFormat(given);
  if (typeof parts === 'string')
    complain(`expected Gunicorn's atoms such as %(h)s and %({referer}i)s, or json; ${parts}`);
  return given;
}

function statsdOf(given: string | null, complain: (message: string) => void): Settings['statsd'] {
  if (given === null) return null;
  const [, host, port] = /^(?:udp:\/\/)?(\[[\da-f:.]+\]|[^:\s/]+)(?::(\d{1,5}))?$/i.exec(given) ?? [];
  const number = Number(port ?? 8_125);
  if (host !== undefined && number > 0 && number <= 65_535) return { host: host.replace(/^\[|\]$/g, ''), port: number };
  complain(`expected host:port, got ${shorten(given)}`);
  return null;
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
