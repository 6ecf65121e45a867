/** nginx: as a server of its own, and in front of another one. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/support/request.ts';
import { type Contender, environment, type Running, startProcess } from './contender.ts';

/** Why it cannot be used, or `null`. */
export function withoutNginx(): string | null {
  return spawnSync('nginx', ['-v']).error === undefined ? null : 'there is no nginx here (apt-get install nginx)';
}

/** It answers by itself, with the pid of its worker as the bench app does. */
export const nginx: Contender = {
  name: 'nginx',
  unavailable: async () => withoutNginx(),
  version: () => spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr.trim(),
  start: (port, workers) =>
    startNginx(port, workers, `location / { default_type application/json; return 200 '{"pid":$pid}'; }`),
};

/** In front of a service on another port, with up to 64 idle connections to it. */
export async function startFront(upstream: number): Promise<Running & { readonly port: number }> {
  const port = await freePort();
  const site = `location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }`;
  const running = await startNginx(port, 1, site, `upstream app { server 127.0.0.1:${upstream}; keepalive 64; }`);
  return { ...running, port };
}

async function startNginx(port: number, workers: number, site: string, more = ''): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`);
  const user = process.geteuid?.() === 0 ? 'user root;' : '';
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `${user} daemon off; pid ${folder}/nginx.pid; error_log stderr crit; worker_processes ${workers};
     events { worker_connections 8192; }
     http {
       access_log off; keepalive_timeout 75s; keepalive_requests 1000000; ${temporary.join(' ')} ${more}
       server { listen 127.0.0.1:${port}; ${site} }
     }`,
  );
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const running = await startProcess('nginx', ['-p', folder, '-c', file, '-e', 'stderr'], port, {
      env: environment(port),
      reloadSignal: 'SIGHUP',
    });
    return {
      ...running,
      stop: async () => {
        await running.stop();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
