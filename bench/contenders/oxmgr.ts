/** Oxmgr, a process manager in Rust, in its cluster mode and a home of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/support/paths.ts';
import { type Contender, environment, serving } from './contender.ts';
import { inCache, install, versionInCache } from './npm.ts';

const bin = inCache('.bin/oxmgr');
const app = join(root, 'bench/apps/app.cjs');

export const oxmgr: Contender = {
  name: 'Oxmgr',
  unavailable: async () => {
    const reason = install(['oxmgr']);
    if (reason !== null) return reason;
    try {
      execFileSync(bin, ['--version'], { stdio: 'ignore' });
      return null;
    } catch {
      return 'its executable does not run here';
    }
  },
  version: () => versionInCache('oxmgr'),
  start: async (port, workers) => {
    const home = mkdtempSync(join(tmpdir(), 'bench-oxmgr-'));
    const env = environment(port, { OXMGR_HOME: home, HOME: home });
    const run = (...args: string[]): void => {
      execFileSync(bin, args, { env, stdio: 'ignore' });
    };
    const stop = async (): Promise<void> => {
      try {
        run('delete', 'bench');
        run('daemon', 'stop');
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    };
    const instances = ['--cluster', '--cluster-instances', String(workers)];
    // Whoever is killed here on purpose is to be started again each time.
    const policy = ['--restart', 'always', '--crash-restart-limit', '0'];
    run('start', `node ${app}`, '--name', 'bench', '--env', `PORT=${port}`, ...instances, ...policy);
    await serving(port).catch(async (error: unknown) => {
      await stop();
      throw error;
    });
    const reload = (): void => {
      spawn(bin, ['reload', 'bench'], { env, stdio: 'ignore' }).on('error', () => undefined);
    };
    return { master: null, reload, scale: null, stop };
  },
};
