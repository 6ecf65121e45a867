/** Who takes part, and how each is run. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/support/paths.ts';
import { type Contender, runVariable, serving, startProcess } from './contender.ts';

const apps = join(root, 'bench/apps');
const app = join(apps, 'app.cjs');
const bin = join(root, 'bin/prefork.js');
/** Where a line of it costs what it costs elsewhere, and nothing is kept. */
const accessLog = join(tmpdir(), 'prefork-bench-access.log');
/** Threads of the servers that use them, enough for every slow client of the reload scenario. */
const threads = 32;

function environment(port: number, more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PORT: String(port), [runVariable]: String(port), ...more };
}

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

function prefork(name: string, args: readonly string[]): Contender {
  return {
    name: `prefork, ${name}`,
    unavailable: async () => (existsSync(join(root, 'dist/cli/main.js')) ? null : 'not built: npm run build'),
    version: () => (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
    start: (port, workers) =>
      startProcess(process.execPath, [bin, app, '-b', `127.0.0.1:${port}`, '-w', String(workers), ...args], port, {
        cwd: tmpdir(),
        env: environment(port),
        reloadSignal: 'SIGHUP',
      }),
  };
}

const pm2Home = join(root, '.cache/bench');
const pm2Bin = join(pm2Home, 'node_modules/pm2/bin/pm2');

/** Cluster mode of PM2, in a home of its own; put into the cache on first use, never a dependency. */
const pm2: Contender = {
  name: 'PM2',
  unavailable: async () => {
    if (existsSync(pm2Bin)) return null;
    try {
      mkdirSync(pm2Home, { recursive: true });
      const args = ['install', '--prefix', pm2Home, '--no-save', '--no-audit', '--no-fund', '--silent', 'pm2@7'];
      execFileSync('npm', args, { stdio: 'ignore' });
      return existsSync(pm2Bin) ? null : 'npm installed no pm2';
    } catch (error) {
      return `npm could not install it: ${String(error)}`;
    }
  },
  version: () => {
    const path = join(pm2Home, 'node_modules/pm2/package.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
  },
  start: async (port, workers) => {
    const home = mkdtempSync(join(tmpdir(), 'bench-pm2-'));
    const env = environment(port, { PM2_HOME: home });
    const run = (...args: string[]): void => {
      execFileSync(process.execPath, [pm2Bin, ...args], { env, stdio: 'ignore' });
    };
    const stop = async (): Promise<void> => {
      run('kill');
      rmSync(home, { recursive: true, force: true });
    };
    run('start', app, '--name', 'bench', '-i', String(workers));
    await serving(port).catch(async (error: unknown) => {
      await stop();
      throw error;
    });
    // In the background: the command waits until the reload is over.
    const reload = (): void => {
      spawn(process.execPath, [pm2Bin, 'reload', 'bench'], { env, stdio: 'ignore' }).on('error', () => undefined);
    };
    return { reload, stop };
  },
};

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
  preforkQuiet: prefork('no metrics', ['--no-metrics']),
  preforkMetrics: prefork('metrics', []),
  preforkText: prefork('metrics, access log', ['--access-log', accessLog]),
  preforkJson: prefork('metrics, access log as JSON', ['--access-log', accessLog, '--access-log-format', 'json']),
  pm2,
  gunicorn,
  puma,
} as const;
