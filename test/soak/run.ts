/**
 * All kinds of clients, some of them behind slow lines, against a service to which everything is done at random, in two
 * parts. First what operators do: reloads without a pause, changes of scale, recycling, upgrades; no request may fail, and
 * clients that keep their connection need no second one. Then what goes wrong as well: workers are killed, stopped and
 * blocked; only requests inside of a worker that died may fail.
 *
 *   npm run soak                            500 reloads and 1,000,000 requests, then mishaps: half an hour on two cores
 *   npm run soak -- --seconds 60            a sample, as a part of the tests is
 *   npm run soak -- --reloads 50 --requests 100000 --seed 7
 *
 * Ends with what every kind of client has sent and got, what the processes used meanwhile, and a verdict.
 */
import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import { table } from '../support/load/mix.ts';
import { startService, stopService } from '../support/masters.ts';
import { isAlive } from '../support/proc.ts';
import { newSeed, Random } from '../support/random.ts';
import { stretched } from '../support/slowness.ts';
import { pause, until } from '../support/until.ts';
import { Clients, findPorts, Lines, type Reports, sum } from './clients.ts';
import { figuresTable, type Sample, useOf } from './figures.ts';
import { configured, doOne, doThis, mishaps, most, orders, Patient } from './service.ts';
import { boundOf, deaths, faultsOfLog, faultsOfMishaps, faultsOfOrders } from './verdict.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    reloads: { type: 'string' },
    requests: { type: 'string' },
    seed: { type: 'string' },
  },
});

/** How long each part is: so many seconds, or until so much is done. */
interface Size {
  readonly seconds: number;
  readonly reloads: number;
  readonly requests: number;
  readonly mishapSeconds: number;
  readonly upgrades: number;
}

function sizeOf({ seconds, reloads, requests }: typeof values): Size {
  if (seconds !== undefined) {
    const all = Number(seconds);
    return { seconds: all * 0.6, reloads: 0, requests: 0, mishapSeconds: all * 0.4, upgrades: 1 };
  }
  const goals = { reloads: Number(reloads ?? 500), requests: Number(requests ?? 1_000_000) };
  return { seconds: 0, ...goals, mishapSeconds: 90, upgrades: 4 };
}

const size = sizeOf(values);
const random = new Random(values.seed === undefined ? newSeed() : Number(values.seed));
const cleanups: (() => unknown)[] = [];
const context = { after: (cleanup: () => unknown) => cleanups.push(cleanup) } as unknown as TestContext;
const startedAt = performance.now();
const samples: Sample[] = [];

function sample(patient: Patient, sent: number): void {
  const { masters } = patient.service;
  const workers = patient.workers();
  samples.push({
    at: (performance.now() - startedAt) / 1_000,
    reloads: patient.reloads,
    sent,
    master: useOf([masters.current()]),
    worker: useOf(workers),
    workers: workers.length,
  });
}

/** Says now and then how far it is. */
class News {
  #next = performance.now() + 10_000;

  tell(patient: Patient, clients: Clients, part: string): void {
    if (performance.now() < this.#next) return;
    this.#next = performance.now() + 10_000;
    const { sent, answered, failed } = clients.progress;
    sample(patient, sent);
    const seconds = Math.round((performance.now() - startedAt) / 1_000);
    console.log(
      `${seconds} s, ${part}: reloads ${patient.reloads}, sent ${sent}, answered ${answered}, failed ${failed}`,
    );
  }
}

/** What operators do, until there was enough of it. */
async function underOrders(patient: Patient, clients: Clients): Promise<Reports> {
  const end = performance.now() + size.seconds * 1_000;
  const news = new News();
  let upgrades = 0;
  /** How far it is, 0 to 1. */
  const progress = (): number => {
    const parts = [
      ...(size.seconds > 0 ? [1 - (end - performance.now()) / (size.seconds * 1_000)] : []),
      ...(size.reloads > 0 ? [patient.reloads / size.reloads] : []),
      ...(size.requests > 0 ? [clients.progress.answered / size.requests] : []),
    ];
    return Math.min(...parts);
  };
  sample(patient, clients.progress.sent);
  while (progress() < 1) {
    // Upgrades lie evenly in the whole.
    if (upgrades < size.upgrades && progress() >= (upgrades + 0.5) / size.upgrades) {
      upgrades++;
      await doThis(patient, 'upgrade', (p) => p.upgrade());
    } else await doOne(patient, orders, random);
    await pause(random.between(0, 500));
    news.tell(patient, clients, 'orders');
  }
  const reports = await clients.stop();
  sample(patient, sum(reports).sent);
  return reports;
}

/** Mishaps and orders, for a while; waits until all that was stopped or blocked is gone. */
async function underMishaps(patient: Patient, clients: Clients): Promise<Reports> {
  const end = performance.now() + size.mishapSeconds * 1_000;
  const news = new News();
  // A reload is not waited for here: it is what is under way when something goes wrong.
  const deeds = [...mishaps, ...orders.filter(([name]) => name !== 'reload')];
  while (performance.now() < end) {
    await doOne(patient, deeds, random);
    await pause(random.between(200, 1_800));
    news.tell(patient, clients, 'mishaps');
  }
  // What was stopped or blocked meets its timeout; what retires has its drain.
  await until('the stopped and the blocked to be gone', () => [...patient.killed].every((pid) => !isAlive(pid)), {
    within: 30_000,
  });
  await until('the blocking requests to end', () => patient.blocking.every((socket) => socket.ending !== 'open'), {
    within: 60_000,
  });
  return await clients.stop();
}

function show(title: string, { nothing, noFailure, few }: Reports): void {
  console.log(
    `\n${title}: connections that can move, and those of one request\n${table({ ...nothing, ...noFailure })}`,
  );
  console.log(`\n${title}: connections that cannot move\n${table(few)}\n`);
}

async function main(): Promise<boolean> {
  const goal = size.seconds > 0 ? `${values.seconds} s` : `${size.reloads} reloads, ${size.requests} requests`;
  console.log(`soak: ${goal}, seed ${random.seed}`);
  const ports = await findPorts();
  const service = await startService(context, {
    env: { H2_PORT: String(ports.http2), FURTHER_PORTS: JSON.stringify(ports.further) },
    workers: configured,
    args: [
      ...['--timeout', `${stretched(3_000)}ms`, '--graceful-timeout', `${stretched(6_000)}ms`],
      ...['--max-workers', String(most)],
      ...['--max-requests', '1500', '--max-requests-jitter', '500', '--rollback-window', '0'],
    ],
  });
  const patient = new Patient(service, random);
  const lines = await Lines.start(service.s.target, ports, random.seed);
  cleanups.push(() => lines.kill());
  const startClients = async (): Promise<Clients> => {
    const clients = await Clients.start(service.s.target, ports, lines);
    cleanups.push(() => clients.kill());
    return clients;
  };
  const first = await underOrders(patient, await startClients());
  show('after orders', first);
  await patient.calm();
  const second = await underMishaps(patient, await startClients());
  // Only now: under load, workers reach maxRequests sooner than those before them have drained their WebSockets.
  await patient.calm();
  sample(patient, sum(first).sent + sum(second).sent);
  await stopService(service);

  show('after mishaps', second);
  console.log(`${figuresTable(samples)}\n`);
  console.log(`done: ${[...patient.done].map(([name, times]) => `${name} ${times}`).join(', ')}`);
  const recycled = patient.count(/^worker retires: maxRequests/);
  const upgraded = patient.count(/^upgrade \d+ done/);
  console.log(`reloads done ${patient.reloads}, upgrades ${upgraded}, workers spent ${recycled}`);
  console.log(`workers dead ${deaths(patient).size}`);
  for (const [name, counts] of Object.entries(first.few)) {
    const lost = Object.values(counts.failures).reduce((so, each) => so + each, 0);
    console.log(`cannot move: ${name}: ${lost} of ${counts.sent} failed, at most ${boundOf(name, counts)} may`);
  }
  const found = [...faultsOfOrders(first), ...faultsOfMishaps(second, patient), ...faultsOfLog(patient)];
  for (const fault of found) console.log(`FAULT: ${fault}`);
  if (found.length > 0) console.log(`the log ends:\n${service.s.describe()}`);
  return found.length === 0;
}

let isGood = false;
try {
  isGood = await main();
} catch (error) {
  console.log(error);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
console.log(isGood ? 'soak: good' : `soak: FAILED, seed ${random.seed}`);
process.exit(isGood ? 0 : 1);
