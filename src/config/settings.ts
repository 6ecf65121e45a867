/** Every setting, once: its name, what it takes, its default, its flags and what it is for. */

/** What a setting takes. Times become milliseconds, sizes bytes. */
export type Kind =
  | { readonly type: 'app' }
  | { readonly type: 'text' }
  | { readonly type: 'texts' }
  | { readonly type: 'record' }
  | { readonly type: 'addresses' }
  | { readonly type: 'address' }
  | { readonly type: 'boolean' }
  | { readonly type: 'choice'; readonly values: readonly string[] }
  | { readonly type: 'count'; readonly min: number; readonly max: number; readonly auto?: true }
  | { readonly type: 'time'; readonly min: number }
  | { readonly type: 'size' }
  | { readonly type: 'mode' }
  /** A number of workers, or a share of them such as `25%`. */
  | { readonly type: 'surge' }
  | { readonly type: 'hook' };

export interface Setting {
  readonly kind: Kind;
  /** The default as the documentation shows it. */
  readonly default: string;
  readonly doc: string;
  readonly group:
    | 'Service'
    | 'Workers'
    | 'Reload and stop'
    | 'Recycling'
    | 'Stuck workers'
    | 'Control and health'
    | 'Metrics'
    | 'Log'
    | 'Process';
  /** A one-letter flag; the long one is the name in kebab-case. */
  readonly short?: string;
  /** Another long flag. */
  readonly flag?: string;
  /** An environment variable that sets it. */
  readonly env?: string;
}

const count = (min: number, max = 1e9): Kind => ({ type: 'count', min, max });
const time = (min = 0): Kind => ({ type: 'time', min });

export const maxWorkersEver = 1024;

/** In the order of the documentation. */
export const settings = {
  app: { kind: { type: 'app' }, default: 'required', group: 'Service', doc: 'The app: a file, or file:exportName' },
  name: {
    kind: { type: 'text' },
    default: "the app's file name",
    group: 'Service',
    short: 'n',
    doc: 'Name in process titles and logs',
  },
  bind: {
    kind: { type: 'addresses' },
    default: "sockets a service manager passed, else the app's own addresses",
    group: 'Service',
    short: 'b',
    doc: 'Address to serve on: host:port, :port, port, [::1]:port, unix:/path, fd://N, fd://NAME; repeatable',
  },
  backlog: {
    kind: count(1, 65_535),
    default: '2048',
    group: 'Service',
    doc: 'Connections that may wait to be accepted',
  },
  queues: {
    kind: { type: 'choice', values: ['auto', 'shared', 'per-worker'] },
    default: 'auto',
    group: 'Service',
    doc: 'One accept queue for all workers, or one each (SO_REUSEPORT; Linux, Node 22.12)',
  },
  socketMode: { kind: { type: 'mode' }, default: '660', group: 'Service', doc: 'Permissions of unix sockets, octal' },
  pidfile: {
    kind: { type: 'text' },
    default: 'none',
    group: 'Service',
    short: 'p',
    flag: 'pid',
    doc: "File for the master's pid",
  },
  chdir: {
    kind: { type: 'text' },
    default: 'the working directory',
    group: 'Service',
    doc: 'Working directory of the app',
  },
  env: {
    kind: { type: 'record' },
    default: 'none',
    group: 'Service',
    short: 'e',
    doc: 'Environment of the app, NAME=value; repeatable',
  },
  args: {
    kind: { type: 'texts' },
    default: 'none',
    group: 'Service',
    doc: "The app's arguments; on the command line, all after --",
  },
  nodeArgs: {
    kind: { type: 'texts' },
    default: 'none',
    group: 'Service',
    flag: 'node-arg',
    doc: "Option for the workers' node, such as --max-old-space-size=512; repeatable",
  },
  typescript: {
    kind: { type: 'choice', values: ['auto', 'native', 'tsx'] },
    default: 'auto',
    group: 'Service',
    doc: "Loader of TypeScript apps: Node's own type stripping, or tsx",
  },
  workers: {
    kind: { type: 'count', min: 1, max: maxWorkersEver, auto: true },
    default: '2 x cores + 1',
    group: 'Workers',
    short: 'w',
    env: 'WEB_CONCURRENCY',
    doc: 'Number of workers, or auto',
  },
  maxWorkers: {
    kind: count(1, maxWorkersEver),
    default: '4 x cores, at least 2 x workers',
    group: 'Workers',
    doc: 'Ceiling for TTIN',
  },
  bootTimeout: { kind: time(1), default: '60s', group: 'Workers', doc: 'A worker must listen within this time' },
  maxBootFailures: {
    kind: count(0),
    default: '0 (never)',
    group: 'Workers',
    doc: 'Failed boots in a row after which the service gives up; 0 is never',
  },
  gracefulTimeout: {
    kind: time(1),
    default: '30s',
    group: 'Reload and stop',
    doc: 'Time for requests in flight to finish',
  },
  drainLinger: {
    kind: time(),
    default: '2s, at most half of gracefulTimeout',
    group: 'Reload and stop',
    doc: 'How long a retiring worker keeps idle connections open for their next request',
  },
  maxSurge: {
    kind: { type: 'surge' },
    default: '1',
    group: 'Reload and stop',
    doc: "Extra workers while replacing: a number, or a share such as '25%'",
  },
  minReadySeconds: {
    kind: time(),
    default: '0',
    group: 'Reload and stop',
    doc: 'How long a new worker must stay up before it replaces an old one',
  },
  progressDeadline: {
    kind: time(1),
    default: '600s',
    group: 'Reload and stop',
    doc: 'A rollout that takes longer stops where it is',
  },
  rollbackWindow: {
    kind: time(),
    default: '30s',
    group: 'Reload and stop',
    doc: 'A release that crash-loops this soon after its rollout is rolled back; 0 is never',
  },
  release: {
    kind: { type: 'text' },
    default: 'none',
    group: 'Reload and stop',
    doc: 'Command run once per reload, before any new worker',
  },
  releaseTimeout: {
    kind: time(1),
    default: '600s',
    group: 'Reload and stop',
    doc: 'Time the release command may take',
  },
  maxRequests: {
    kind: count(0),
    default: '0 (off)',
    group: 'Recycling',
    doc: 'Replace a worker after this many requests; 0 is off',
  },
  maxRequestsJitter: {
    kind: count(0),
    default: '0',
    group: 'Recycling',
    doc: 'Spread maxRequests: up to this many more, drawn per worker',
  },
  maxMemory: {
    kind: { type: 'size' },
    default: "off; in a container, a worker's share of its memory",
    group: 'Recycling',
    doc: 'Replace a worker whose resident memory exceeds this; 0 is off',
  },
  maxLifetime: { kind: time(), default: '0 (off)', group: 'Recycling', doc: 'Replace a worker at this age; 0 is off' },
  maxLifetimeJitter: {
    kind: time(),
    default: '0',
    group: 'Recycling',
    doc: 'Spread maxLifetime: up to this much more',
  },
  timeout: {
    kind: time(),
    default: '30s',
    group: 'Stuck workers',
    short: 't',
    doc: 'A worker whose event loop blocks this long is killed; 0 is off',
  },
  blockedWarning: {
    kind: time(),
    default: '1s',
    group: 'Stuck workers',
    doc: 'A worker whose event loop blocks this long is reported; 0 is off',
  },
  onWorkerAbort: {
    kind: { type: 'hook' },
    default: 'none',
    group: 'Stuck workers',
    doc: 'Called with the stack of a worker that is killed because it is stuck',
  },
  controlSocket: {
    kind: { type: 'text' },
    default: 'beside the pidfile, or in $XDG_RUNTIME_DIR',
    group: 'Control and health',
    doc: 'Unix socket for prefork status, reload and the like; none is off',
  },
  admin: {
    kind: { type: 'address' },
    default: 'none',
    group: 'Control and health',
    doc: 'Address of the page, /metrics and /health: host:port, or unix:/path',
  },
  adminHosts: {
    kind: { type: 'texts' },
    default: 'none',
    group: 'Control and health',
    flag: 'admin-host',
    doc: 'Name by which the admin address may be asked, besides IP addresses and localhost; repeatable',
  },
  health: {
    kind: { type: 'boolean' },
    default: 'false',
    group: 'Control and health',
    doc: "Answer the health paths on the app's own port, ahead of the app",
  },
  healthLive: {
    kind: { type: 'text' },
    default: '/health/live',
    group: 'Control and health',
    doc: 'Path of the liveness check; given, it turns health on',
  },
  healthReady: {
    kind: { type: 'text' },
    default: '/health/ready',
    group: 'Control and health',
    doc: 'Path of the readiness check; given, it turns health on',
  },
  readyQuorum: {
    kind: count(1, maxWorkersEver),
    default: '1',
    group: 'Control and health',
    doc: 'Workers that must be ready for the service to be ready',
  },
  drainDelay: {
    kind: time(),
    default: '0',
    group: 'Control and health',
    doc: 'On TERM, how long to go on accepting while readiness says 503, for load balancers to see it',
  },
  rejectWhileDraining: {
    kind: { type: 'boolean' },
    default: 'false',
    group: 'Control and health',
    doc: 'Answer 503 to requests that arrive at a worker that drains for a stop',
  },
  keepAlive: {
    kind: time(),
    default: '75s',
    group: 'Control and health',
    doc: "Idle time of a keep-alive connection, longer than the proxy's; 0 leaves what Node and the app have",
  },
  metrics: {
    kind: { type: 'boolean' },
    default: 'true',
    group: 'Metrics',
    doc: 'Count requests and their durations in the workers',
  },
  routeLabel: {
    kind: { type: 'hook' },
    default: "the framework's route",
    group: 'Metrics',
    doc: 'Function of a request that names its route for the metrics',
  },
  statsd: {
    kind: { type: 'text' },
    default: 'none',
    group: 'Metrics',
    doc: 'Send the same figures to a statsd, host:port, by UDP',
  },
  statsdPrefix: {
    kind: { type: 'text' },
    default: 'prefork',
    group: 'Metrics',
    doc: 'First part of the names in statsd',
  },
  statsdTags: {
    kind: { type: 'record' },
    default: 'none',
    group: 'Metrics',
    doc: 'Tags of every figure in statsd (DogStatsD), NAME=value; repeatable',
  },
  logLevel: {
    kind: { type: 'choice', values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] },
    default: 'info',
    group: 'Log',
    doc: 'Least level that is logged',
  },
  logFormat: {
    kind: { type: 'choice', values: ['auto', 'pretty', 'json'] },
    default: 'auto',
    group: 'Log',
    doc: 'auto is pretty on a terminal, JSON lines otherwise',
  },
  errorLog: {
    kind: { type: 'text' },
    default: '- (stderr)',
    group: 'Log',
    doc: "File for prefork's own log, or - for stderr",
  },
  accessLog: { kind: { type: 'text' }, default: 'none', group: 'Log', doc: 'File for the access log, or - for stdout' },
  accessLogFormat: {
    kind: { type: 'text' },
    default: 'as Gunicorn',
    group: 'Log',
    doc: "Format of the access log, in Gunicorn's atoms such as %(h)s, or json",
  },
  captureOutput: {
    kind: { type: 'boolean' },
    default: 'false',
    group: 'Log',
    doc: 'Put what workers print into the log, with slot and pid',
  },
  user: { kind: { type: 'text' }, default: 'none', group: 'Process', short: 'u', doc: 'User the workers run as' },
  group: {
    kind: { type: 'text' },
    default: "the user's",
    group: 'Process',
    short: 'g',
    doc: 'Group the workers run as',
  },
  umask: {
    kind: { type: 'mode' },
    default: "the caller's",
    group: 'Process',
    doc: 'File mode mask of the workers, octal',
  },
  socketOwner: {
    kind: { type: 'text' },
    default: "the workers' user",
    group: 'Process',
    doc: 'Owner of unix sockets: user, user:group or :group',
  },
  daemon: {
    kind: { type: 'boolean' },
    default: 'false',
    group: 'Process',
    short: 'D',
    doc: 'Go to the background once the service is ready',
  },
  envFile: {
    kind: { type: 'text' },
    default: 'none',
    group: 'Process',
    doc: 'File of NAME=value lines for the environment of the app',
  },
  upgradeTimeout: {
    kind: time(1),
    default: '120s',
    group: 'Process',
    doc: 'Time in which a new master must be ready at an upgrade (SIGUSR2)',
  },
  upgradeByHand: {
    kind: { type: 'boolean' },
    default: 'false',
    group: 'Process',
    doc: "An upgrade leaves the old master to the operator's WINCH and TERM, as Gunicorn does",
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof settings;

export const settingNames = Object.keys(settings) as SettingName[];

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}

export function settingOf(name: SettingName): Setting {
  return settings[name];
}

/** The long flag of a setting, without its dashes. */
export function flagOf(name: SettingName): string {
  return settingOf(name).flag ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Spellings of Gunicorn, Puma and PM2, for "did you mean": the setting, or why there is none. */
export const foreignNames: ReadonlyMap<string, SettingName | { readonly note: string }> = new Map<
  string,
  SettingName | { note: string }
>([
  ['proc_name', 'name'],
  ['default_proc_name', 'name'],
  ['pid', 'pidfile'],
  ['loglevel', 'logLevel'],
  ['instances', 'workers'],
  ['kill_timeout', 'gracefulTimeout'],
  ['worker_shutdown_timeout', 'gracefulTimeout'],
  ['listen_timeout', 'bootTimeout'],
  ['worker_boot_timeout', 'bootTimeout'],
  ['max_memory_restart', 'maxMemory'],
  ['script', 'app'],
  ['wsgi_app', 'app'],
  ['raw_env', 'env'],
  ['cwd', 'chdir'],
  ['directory', 'chdir'],
  ['node_args', 'nodeArgs'],
  ['execargv', 'nodeArgs'],
  ['worker_abort', 'onWorkerAbort'],
  ['accesslog', 'accessLog'],
  ['access_logformat', 'accessLogFormat'],
  ['access_log_format', 'accessLogFormat'],
  ['errorlog', 'errorLog'],
  ['capture_output', 'captureOutput'],
  ['statsd_host', 'statsd'],
  ['dogstatsd_tags', 'statsdTags'],
  ['control_socket', 'controlSocket'],
  ['keepalive', 'keepAlive'],
  ['out_file', 'accessLog'],
  ['uid', 'user'],
  ['gid', 'group'],
  ['port', 'bind'],
  ['listen', 'bind'],
  ['worker_class', { note: 'there is one kind of worker: a Node process' }],
  ['threads', { note: 'a Node worker has one event loop; use workers' }],
  ['preload_app', { note: 'Node cannot fork a loaded app; every worker loads it' }],
  ['worker_connections', { note: "Node has no such limit by default; set the server's maxConnections in the app" }],
  ['wait_ready', { note: 'not needed: a worker is ready when it listens' }],
]);
