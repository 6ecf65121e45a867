/**
 * How long it takes from the SIGKILL of a worker until all workers accept again, as a client sees it. The other workers are
 * stopped for the moment, so only the one that comes can answer: from the signal to the first byte of its answer.
 *
 *     node --import tsx bench/scenarios/recovery.ts [--node PATH] [--kills 12] [--workers 4]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    node: { type: 'string', default: process.execPath },
    kills: { type: 'string', default: '12' },
    workers: { type: 'string', default: '4' },
    port: { type: 'string', default: '18431' },
  },
});
const workers = Number(values.workers);
const kills = Number(values.kills);
const bin = fileURLToPath(new URL('../../bin/prefork.js', import.meta.url));
const app = fileURLToPath(new URL('../apps/app.cjs', import.meta.url));

/** Milliseconds: longer than the time below which a life counts as a failed boot. */
const stable = 2_300;

interface Service {
  readonly child: ChildProcess;
  readonly port: number;
  readonly spares: number;
}

function titlesOf(parent: number): readonly { readonly pid: number; readonly title: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      const [, ppid] = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      return Number(ppid) === parent ? [{ pid, title: readFileSync(`/proc/${pid}/cmdline`, 'utf8') }] : [];
    } catch {
      return [];
    }
  });
}

function pidsOf({ child }: Service, kind: 'worker' | 'spare'): number[] {
  return titlesOf(child.pid ?? 0)
    .filter(({ title }) => title.startsWith(`prefork: ${kind}`))
    .map(({ pid }) => pid);
}

async function start(spares: number, port: number): Promise<Service> {
  const args = [
    bin,
    app,
    '-w',
    String(workers),
    '-b',
    `127.0.0.1:${port}`,
    '--spares',
    String(spares),
    '-p',
    'app.pid',
  ];
  // A folder of its own: no configuration is found by accident, and no other service has its control socket.
  const cwd = mkdtempSync(join(tmpdir(), 'prefork-bench-'));
  const child = spawn(values.node, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  child.on('exit', () => rmSync(cwd, { recursive: true, force: true }));
  child.stderr?.resume();
  const service = { child, port, spares };
  await whole(service);
  return service;
}

/** Waits until all workers are there, with their spares. */
async function whole(service: Service): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    const isWhole = pidsOf(service, 'worker').length === workers && pidsOf(service, 'spare').length === service.spares;
    if (isWhole) break;
    await sleep(50);
  }
  await sleep(stable);
}

/** Milliseconds from now to the first byte of an answer on a new connection. */
function answered(port: number, since: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', reject);
    socket.setTimeout(20_000, () => socket.destroy(new Error('no answer')));
    socket.write('GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n');
    socket.once('data', () => {
      resolve(performance.now() - since);
      socket.destroy();
    });
  });
}

async function recovery(service: Service, round: number): Promise<number> {
  const pids = pidsOf(service, 'worker').sort((a, b) => a - b);
  const victim = pids[round % pids.length];
  if (victim === undefined) throw new Error('no worker');
  const others = pids.filter((pid) => pid !== victim);
  for (const pid of others) process.kill(pid, 'SIGSTOP');
  try {
    const since = performance.now();
    process.kill(victim, 'SIGKILL');
    return await answered(service.port, since);
  } finally {
    for (const pid of others) process.kill(pid, 'SIGCONT');
  }
}

const services = [await start(1, Number(values.port)), await start(0, Number(values.port) + 1)];
const found = new Map<number, number[]>(services.map(({ spares }) => [spares, []]));
try {
  for (let round = 0; round < kills; round += 1)
    for (const service of services) {
      found.get(service.spares)?.push(await recovery(service, round));
      await whole(service);
    }
} finally {
  for (const { child } of services) child.kill('SIGTERM');
}
for (const [spares, times] of found) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(1);
  console.log(
    `spares ${spares}: SIGKILL to full strength, ms: min ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, max ${at(1)}`,
  );
}
