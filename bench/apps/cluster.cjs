'use strict';
/**
 * Plain node:cluster, with the reload that most hand-written masters have: a new worker first, then `disconnect()` for
 * the old one. POLICY is `rr` or `none`.
 */
const cluster = require('node:cluster');
const { once } = require('node:events');
const { join } = require('node:path');

cluster.schedulingPolicy = process.env.POLICY === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
cluster.setupPrimary({ exec: join(__dirname, 'app.cjs') });

const workers = Number(process.env.WORKERS);
for (let index = 0; index < workers; index++) cluster.fork();

let stopping = false;
let reloading = false;

cluster.on('exit', (worker) => {
  if (!stopping && !worker.exitedAfterDisconnect) cluster.fork();
});

process.on('SIGHUP', async () => {
  if (reloading) return;
  reloading = true;
  for (const old of Object.values(cluster.workers)) {
    await once(cluster.fork(), 'listening');
    old.disconnect();
    setTimeout(() => old.process.kill('SIGKILL'), 30_000).unref();
  }
  reloading = false;
});

process.on('SIGTERM', () => {
  stopping = true;
  for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
  process.exit(0);
});
