/** What is served, and where. */
import { addresses, cachePlace, choice, count, mode, namesThatAddUp, pidfilePath, string, strings } from './kinds.ts';
import { computed, inGroup } from './setting.ts';

const setting = inGroup('Service');

export const service = {
  /** The app's file, or `file:exportName`. */
  app: setting({
    kind: string,
    default: computed('required'),
    positional: 'first argument',
    for: ['worker'],
    doc: 'The app: a file, or file:exportName',
    elsewhere: ['script', 'wsgi_app'],
  }),
  name: setting({
    kind: string,
    default: computed("the app's file name"),
    short: 'n',
    for: ['worker'],
    doc: 'Name in process titles and logs',
    elsewhere: ['proc_name', 'default_proc_name'],
  }),
  /** `host:port`, `:port`, a port, `[::1]:port`, `unix:/path`, `fd://N`, `fd://name` of a socket that was passed; or several. */
  bind: setting({
    kind: addresses,
    default: computed("sockets a service manager passed, else the app's own addresses"),
    short: 'b',
    for: ['worker'],
    doc: 'Address to serve on: host:port, :port, port, [::1]:port, unix:/path, fd://N, fd://NAME; repeatable',
    elsewhere: ['port', 'listen'],
  }),
  backlog: setting({
    kind: count(1, 65_535),
    default: 2_048,
    at: 'start',
    doc: 'Connections that may wait to be accepted; a reload sets it for new addresses only',
  }),
  /** `'auto'` is `'shared'`, for configurations that have it. */
  queues: setting({
    kind: choice(['shared', 'per-worker'], { auto: 'shared' }),
    default: 'shared',
    at: 'start',
    doc: 'One accept queue for all workers, or one each (SO_REUSEPORT; Linux, Node 22.12); auto is shared',
  }),
  /** Permissions of unix sockets: `'660'` or `0o660`. */
  socketMode: setting({ kind: mode, default: 0o660, doc: 'Permissions of unix sockets, octal' }),
  pidfile: setting({
    kind: pidfilePath,
    default: null,
    short: 'p',
    flag: 'pid',
    doc: "File for the master's pid",
    elsewhere: ['pid'],
  }),
  chdir: setting({
    kind: string,
    default: computed('the working directory'),
    doc: 'Working directory of the app',
    elsewhere: ['cwd', 'directory'],
  }),
  /** Added to the environment of prefork itself. */
  env: setting({
    kind: namesThatAddUp,
    default: computed('none'),
    short: 'e',
    doc: 'Environment of the app, NAME=value; {slot} in a value is the slot of the worker; repeatable',
    elsewhere: ['raw_env'],
  }),
  /** The app's `process.argv.slice(2)`. */
  args: setting({
    kind: strings,
    default: [],
    positional: 'after `--`',
    doc: "The app's arguments; on the command line, all after --",
  }),
  /** Options of the workers' node binary. */
  nodeArgs: setting({
    kind: strings,
    default: [],
    flag: 'node-arg',
    doc: "Option for the workers' node, such as --max-old-space-size=512; repeatable",
    elsewhere: ['node_args', 'execargv'],
  }),
  typescript: setting({
    kind: choice(['auto', 'native', 'tsx']),
    default: 'auto',
    doc: "Loader of TypeScript apps: Node's own type stripping, or tsx",
  }),
  /** `'auto'` is a folder of the user's below the one for temporary files, or below systemd's `CacheDirectory=`. */
  compileCache: setting({
    kind: cachePlace,
    default: 'auto',
    doc: 'Folder for compiled code, which workers share so that they start faster (Node 22.8); auto, or none',
  }),
};
