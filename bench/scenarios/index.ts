/** Every scenario, in the order in which the page shows them. */
import { availableParallelism } from 'node:os';
import type { Contender } from '../contenders/contender.ts';
import { contenders } from '../contenders/index.ts';
import type { Outcome } from '../report/figures.ts';
import type { Plan } from '../rounds.ts';
import { cClient } from './c-client.ts';
import { cost } from './cost.ts';
import { idle } from './idle.ts';
import { idleConnections, idleReload } from './idle-reload.ts';
import { kept } from './kept.ts';
import { mixed } from './mix.ts';
import { reloads } from './reloads.ts';
import { recovery } from './sigkill.ts';
import { slowLine } from './slow-line.ts';
import { spreadOut } from './spread.ts';
import { connections, throughput } from './throughput.ts';
import { weigh } from './weight.ts';

/** How much of each is done. */
export interface Size {
  readonly quick: boolean;
  readonly rounds: number;
}

export interface Scenario {
  readonly heading: string;
  /** What is done. */
  readonly how: string;
  readonly contenders: readonly Contender[];
  /** @param present the contenders that can run here */
  readonly run: (present: readonly Contender[], size: Size) => Promise<Outcome>;
}

const cores = availableParallelism();
const pool = 2 * cores + 1;

const { bare, cluster, clusterNone, pm2, oxmgr, watt, gunicorn, puma, nginx } = contenders;
const { prefork, preforkDrains, preforkSpare, preforkShared, preforkPerWorker } = contenders;
const { preforkQuiet, preforkMetrics, preforkText, preforkJson } = contenders;

const plan = (title: string, present: readonly Contender[], { rounds }: Size, workers: number): Plan => ({
  title,
  contenders: present,
  rounds,
  workers,
});

export const scenarios: Readonly<Record<string, Scenario>> = {
  kept: {
    heading: 'Connections that clients open over five reloads',
    how: `40 keep-alive clients, 10 of them busy and 30 with up to half a second of thought; ${pool} workers, a reload every 5 s.`,
    contenders: [prefork, preforkDrains, cluster, pm2, oxmgr, watt, gunicorn, puma, nginx],
    run: (present, size) =>
      kept(plan('kept', present, size, pool), { reloads: size.quick ? 2 : 5, interval: size.quick ? 4_000 : 5_000 }),
  },
  slowline: {
    heading: 'Eight reloads over a slow line',
    how: 'Everything takes 70 ms each way. 200 keep-alive clients that think 0.4 to 3.5 s; 4 workers, a reload every 5 s.',
    contenders: [prefork, preforkDrains, cluster, pm2, oxmgr, watt, gunicorn, puma, nginx],
    run: (present, size) =>
      slowLine(plan('slowline', present, size, 4), {
        reloads: size.quick ? 2 : 8,
        interval: size.quick ? 4_000 : 5_000,
      }),
  },
  idlereload: {
    heading: 'Idle connections across a reload',
    how: '10,000, or as many as the limit of open files allows. Each has had one answer, then one reload, then each sends one request more. 4 workers.',
    contenders: [prefork, preforkDrains, cluster, pm2, oxmgr, gunicorn, puma, nginx],
    run: (present, size) => idleReload(plan('idlereload', present, size, 4), size.quick ? 1_000 : idleConnections()),
  },
  spread: {
    heading: 'How evenly connections lie, and what it does to CPU-bound requests',
    how: 'Spread is the standard deviation of connections per worker as a part of the mean, 0 is even; connections are opened one after the other, and then send requests of 5 ms of processor time, 200 a second in all. Behind nginx the connections are those of its `keepalive 64`. 4 workers.',
    contenders: [prefork, cluster, clusterNone, pm2, oxmgr],
    run: (present, size) =>
      spreadOut(plan('spread', present, size, 4), {
        connections: size.quick ? [16, 64] : [16, 64, 1_000],
        seconds: size.quick ? 4 : 8,
        changes: 64,
      }),
  },
  weight: {
    heading: 'What a worker and a master weigh',
    how: 'Idle for two seconds and a half; plain node runs the same app. Worker 1 is the first of a release and finds no cache, worker 4 finds what the others left. Everything on is metrics, admin address, access log and statsd.',
    contenders: [prefork],
    run: (_present, size) => weigh(size.rounds, size.quick),
  },
  idle: {
    heading: 'What an idle fleet costs',
    how: 'Nobody asks for anything. Processor time of all processes, and their memory with shared pages counted once.',
    contenders: [prefork, cluster, pm2, oxmgr, watt, gunicorn, puma],
    run: (present, size) =>
      idle(plan('idle', present, size, 5), {
        fleets: size.quick ? [5] : [5, 50],
        settle: size.quick ? 3 : 8,
        watch: size.quick ? 5 : 15,
      }),
  },
  recovery: {
    heading: 'From SIGKILL to full strength',
    how: 'One worker is killed; the time until the next answer, its request sent at once and again until it is answered.',
    contenders: [preforkSpare, prefork, cluster, pm2, oxmgr, gunicorn, puma],
    run: (present, size) => recovery(plan('recovery', present, size, 1), size.quick ? 1 : 3),
  },
  cost: {
    heading: 'What a connection and a request cost a worker',
    how: 'Processor time of one worker, in slices of a second in turn with a bare one (node:cluster with SCHED_NONE), which is why the ratios are steadier than any rate. The app does nothing, so everything shows.',
    contenders: [clusterNone, preforkMetrics, preforkQuiet, preforkText, preforkJson],
    run: (present, size) =>
      cost(plan('cost', present, size, 1), { slices: size.quick ? 3 : 4 * size.rounds, seconds: 1 }),
  },
  cclient: {
    heading: `Rates with a client in C, ${pool} workers`,
    how: 'wrk on one core: 32 kept connections, then 64 at a time with a connection for each request.',
    contenders: [bare, cluster, clusterNone, prefork, preforkPerWorker, pm2, oxmgr, watt, gunicorn, puma],
    run: (present, size) => cClient(plan('cclient', present, size, pool), size.quick ? 2 : 4),
  },
  throughput: {
    heading: `Keep-alive throughput, ${cores} workers`,
    how: 'autocannon, 32 connections.',
    contenders: [bare, cluster, clusterNone, preforkShared, preforkPerWorker, pm2, watt, gunicorn, puma],
    run: (present, size) => throughput(plan('throughput', present, size, cores), size.quick ? 2 : 5),
  },
  observability: {
    heading: `What metrics and the access log cost: keep-alive, ${cores} workers`,
    how: 'autocannon, 32 connections.',
    contenders: [clusterNone, preforkQuiet, preforkMetrics, preforkText, preforkJson],
    run: (present, size) => throughput(plan('observability', present, size, cores), size.quick ? 2 : 5, preforkQuiet),
  },
  connections: {
    heading: `New connections, ${pool} workers`,
    how: 'A client in JavaScript, 64 connections at a time, one request on each.',
    contenders: [bare, cluster, clusterNone, preforkShared, preforkPerWorker, pm2, watt, gunicorn, puma],
    run: (present, size) => connections(plan('connections', present, size, pool), size.quick ? 2 : 5),
  },
  mix: {
    heading: `Keep-alive, fresh and blocking requests, ${pool} workers`,
    how: 'Two clients block an event loop for 100 ms at a time, one for 1.5 s.',
    contenders: [cluster, clusterNone, preforkShared, preforkPerWorker],
    run: (present, size) => mixed(plan('mix', present, size, pool), size.quick ? 5 : 12),
  },
  reloads: {
    heading: `Five reloads in 20 s under 72 clients of four kinds, ${pool} workers`,
    how: 'Busy keep-alive, keep-alive with up to 60 ms of thought, a connection per request, requests of 200 ms.',
    contenders: [cluster, preforkShared, preforkPerWorker, pm2, watt, gunicorn, puma],
    run: (present, size) =>
      reloads(
        { ...plan('reloads', present, size, pool), rounds: Math.min(size.rounds, 3) },
        { reloads: size.quick ? 2 : 5, interval: 4_000 },
      ),
  },
};
