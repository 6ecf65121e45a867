/** Who takes part, and how each is run. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/support/paths.ts';
import { type Contender, environment, startProcess } from './contender.ts';
import { nginx } from './nginx.ts';
import { oxmgr } from './oxmgr.ts';
import { pm2 } from './pm2.ts';
import { watt } from './watt.ts';

const apps = join(root, 'bench/apps');
const app = join(apps, 'app.cjs');
const bin = join(root, 'bin/prefork.js');
/** Where a line of it costs what it costs elsewhere, and nothing is kept. */
const accessLog = join(tmpdir(), 'prefork-bench-access.log');
/** Threads of the servers that use them, enough for every slow client of the reload scenario. */
const threads = 32;

const available = async (): Promise<null> => null;
const nodeVersion = (): string => process.version;

/** One process, as `node app.js`. */
const bare: Contender = {
  name: 'node, one process',
  unavailable: available,
  version: nodeVersion,
  start: (port) => startProcess(process.execPath, [app], port, { env: environment(port) }),
};

function cluster(policy: 'rr' | 'none'): Contender {
  return {
    name: policy === 'rr' ? 'node:cluster' : 'node:cluster, SCHED_NONE',
    unavailable: available,
    version: nodeVersion,
    start: (port, workers) =>
      startProcess(process.execPath, [join(apps, 'cluster.cjs')], port, {
        env: environment(port, { POLICY: policy, WORKERS: String(workers) }),
        reloadSignal: 'SIGHUP',
      }),
  };
}

/** What this build can be told: its settings are tried where they are, and a build without them takes part as it is. */
let knownFlags: string | null = null;
function knows(flag: string): boolean {
  knownFlags ??= execFileSync(process.execPath, [bin, '--help'], { encoding: 'utf8' });
  return new RegExp(`--${flag}\\b`).test(knownFlags);
}

function prefork(name: string, args: readonly string[], needs?: string): Contender {
  return {
    name: name === '' ? 'prefork' : `prefork, ${name}`,
    unavailable: async () => {
      if (!existsSync(join(root, 'dist/cli/main.js'))) return 'not built: npm run build';
      return needs === undefined || knows(needs) ? null : `this build has no --${needs}`;
    },
    version: () => (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
    start: (port, workers) =>
      startProcess(process.execPath, [bin, app, '-b', `127.0.0.1:${port}`, '-w', String(workers), ...args], port, {
        cwd: tmpdir(),
        env: environment(port),
        reloadSignal: 'SIGHUP',
        scales: true,
      }),
  };
}

/** A server of another language, where its Debian package is installed. */
function foreign(
  name: string,
  executable: string,
  args: (port: number, workers: number) => readonly string[],
  reloadSignal: NodeJS.Signals,
): Contender {
  return {
    name,
    unavailable: async () => {
      try {
        execFileSync(executable, ['--version'], { stdio: 'ignore' });
        return null;
      } catch {
        return `there is no ${executable} here (apt-get install ${executable})`;
      }
    },
    version: () => execFileSync(executable, ['--version'], { encoding: 'utf8' }).trim(),
    start: (port, workers) =>
      startProcess(executable, args(port, workers), port, { cwd: apps, env: environment(port), reloadSignal }),
  };
}

const gunicorn = foreign(
  'Gunicorn, gthread',
  'gunicorn',
  (port, workers) => [
    ...['-k', 'gthread', '-w', String(workers), '--threads', String(threads), '--keep-alive', '5'],
    ...['-b', `127.0.0.1:${port}`, 'wsgi:app'],
  ],
  'SIGHUP',
);

const puma = foreign(
  'Puma, phased restart',
  'puma',
  (port, workers) => [
    ...['-w', String(workers), '-t', `${threads}:${threads}`, '-b', `tcp://127.0.0.1:${port}`],
    'config.ru',
  ],
  'SIGUSR1',
);

export const contenders = {
  bare,
  cluster: cluster('rr'),
  clusterNone: cluster('none'),
  preforkShared: prefork('shared', ['--queues', 'shared']),
  preforkPerWorker: prefork('per-worker', ['--queues', 'per-worker']),
  prefork: prefork('', ['--max-workers', '60']),
  preforkDrains: prefork('no migration', ['--no-migration'], 'migration'),
  preforkSpare: prefork('one spare', ['--spares', '1'], 'spares'),
  preforkQuiet: prefork('no metrics', ['--no-metrics']),
  preforkMetrics: prefork('metrics', []),
  preforkText: prefork('metrics, access log', ['--access-log', accessLog]),
  preforkJson: prefork('metrics, access log as JSON', ['--access-log', accessLog, '--access-log-format', 'json']),
  pm2,
  oxmgr,
  watt,
  gunicorn,
  puma,
  nginx,
} as const;
