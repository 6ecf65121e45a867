/** Cluster mode of PM2, in a home of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/support/paths.ts';
import { type Contender, environment, serving } from './contender.ts';
import { inCache, install, versionInCache } from './npm.ts';

const bin = inCache('pm2/bin/pm2');
const app = join(root, 'bench/apps/app.cjs');

export const pm2: Contender = {
  name: 'PM2',
  unavailable: async () => install(['pm2@7']),
  version: () => versionInCache('pm2'),
  start: async (port, workers) => {
    const home = mkdtempSync(join(tmpdir(), 'bench-pm2-'));
    const env = environment(port, { PM2_HOME: home });
    const run = (...args: string[]): void => {
      execFileSync(process.execPath, [bin, ...args], { env, stdio: 'ignore' });
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
    // In the background: the commands wait until what they asked for is over.
    const order = (...args: string[]): void => {
      spawn(process.execPath, [bin, ...args], { env, stdio: 'ignore' }).on('error', () => undefined);
    };
    return {
      master: Number(readFileSync(join(home, 'pm2.pid'), 'utf8')),
      reload: () => order('reload', 'bench'),
      scale: (by) => order('scale', 'bench', `+${by}`),
      stop,
    };
  },
};
