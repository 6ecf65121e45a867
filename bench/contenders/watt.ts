/** Platformatic Watt: its workers are threads of one process, each with an accept queue of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/support/paths.ts';
import { type Contender, environment, startProcess } from './contender.ts';
import { inCache, install, versionInCache } from './npm.ts';

const cli = inCache('wattpm/bin/cli.js');

/** Watt asks for a way to close what it has loaded, and waits for its time-out where there is none. */
const app = `
const http = require('node:http');
const servers = [];
const create = http.createServer;
http.createServer = (...args) => {
  const server = create(...args);
  servers.push(server);
  return server;
};
require(${JSON.stringify(join(root, 'bench/apps/app.cjs'))});
exports.close = () => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
`;

export const watt: Contender = {
  name: 'Platformatic Watt',
  unavailable: async () => {
    const reason = install(['wattpm@3', '@platformatic/node@3']);
    if (reason !== null) return reason;
    try {
      execFileSync(process.execPath, [cli, '--version'], { stdio: 'ignore' });
      return null;
    } catch {
      return `it does not run on Node ${process.version}`;
    }
  },
  version: () => versionInCache('wattpm'),
  start: async (port, workers) => {
    const folder = mkdtempSync(join(tmpdir(), 'bench-watt-'));
    const server = { hostname: '127.0.0.1', port };
    const runtime = { logger: { level: 'fatal' }, server, workers };
    symlinkSync(inCache(), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'bench', main: 'index.cjs' }));
    writeFileSync(join(folder, 'index.cjs'), app);
    const node = { main: './index.cjs' };
    writeFileSync(join(folder, 'watt.json'), JSON.stringify({ module: '@platformatic/node', node, runtime }));
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    try {
      const env = environment(port);
      const running = await startProcess(process.execPath, [cli, 'start'], port, { cwd: folder, env });
      const restart = (): void => {
        spawn(process.execPath, [cli, 'restart', String(running.master)], { cwd: folder, stdio: 'ignore' }).on(
          'error',
          () => undefined,
        );
      };
      return {
        ...running,
        reload: restart,
        stop: async () => {
          await running.stop();
          remove();
        },
      };
    } catch (error) {
      remove();
      throw error;
    }
  },
};
