/**
 * From the SIGKILL of a worker to the next answer. There is one worker, so that the fleet is at its full strength again
 * when, and not before, anything is answered: seen from outside, and the same for whoever takes part.
 */
import net from 'node:net';
import { isAlive } from '../../test/support/proc.ts';
import { pause, until } from '../../test/support/until.ts';
import type { Running } from '../contenders/contender.ts';
import { contenders } from '../contenders/index.ts';
import { workersOf } from '../processes.ts';
import type { Outcome } from '../report/figures.ts';
import { type Plan, runRounds } from '../rounds.ts';
import { bars, medianOf, show, spread } from '../stats.ts';

/** Milliseconds between two kills: long enough for a new spare, and for what holds crashes for a loop. */
const between = 4_000;

export async function recovery(plan: Plan, kills: number): Promise<Outcome> {
  const rounds = await runRounds(plan, async (port, running) => {
    const times: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      times.push(await killOne(port, running));
      await pause(between);
    }
    return { ms: medianOf(times), longest: Math.max(...times) };
  });
  const rows = [...rounds].map(([{ name }, results]) => [
    name,
    show(spread(results.map(({ ms }) => ms)), 1),
    show(spread(results.map(({ longest }) => longest)), 1),
  ]);
  const ours = (who: Parameters<typeof rounds.get>[0]): number => medianOf((rounds.get(who) ?? []).map(({ ms }) => ms));
  const values = { 'ms.spare': ours(contenders.preforkSpare), 'ms.prefork': ours(contenders.prefork) };
  return {
    table: { heads: ['server', 'SIGKILL to the next answer, ms', 'longest, ms'], rows },
    panels: [
      {
        title: 'SIGKILL of the worker to the next answer, ms',
        better: 'less',
        bars: bars(rounds, ({ ms }) => ms),
        digits: 1,
        aim: 20,
      },
    ],
    values: Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isFinite(value))),
  };
}

/** @returns milliseconds */
async function killOne(port: number, running: Running): Promise<number> {
  // Of a worker and its spare, the worker is the one that answers.
  const pid = await until('the pid of the worker', () => pidThatAnswers(port));
  if (!workersOf(port, running.master).includes(pid)) throw new Error(`${pid} is no worker of port ${port}`);
  const startedAt = performance.now();
  process.kill(pid, 'SIGKILL');
  await until('the end of the worker', () => !isAlive(pid), { every: 0 });
  await until(
    'an answer',
    async () => {
      const answered = await pidThatAnswers(port);
      return answered !== null && answered !== pid;
    },
    { every: 1, within: 30_000 },
  );
  return performance.now() - startedAt;
}

/** One request on a new connection; `null` where there is no answer within a second. */
function pidThatAnswers(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.setEncoding('latin1').setTimeout(1_000, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (/"pid": *\d+\}/.test(text)) socket.destroy();
    });
    socket.on('close', () => {
      const pid = /"pid": *(\d+)/.exec(text)?.[1];
      resolve(pid === undefined ? null : Number(pid));
    });
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  });
}
