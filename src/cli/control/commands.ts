/** What each command asks of a running service, and prints. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlError } from '../../errors.ts';
import type { LastReload, LastUpgrade, Status } from '../../protocol/status.ts';
import { call } from '../client.ts';
import { renderStatus, renderWorkers } from './render.ts';

const pollEvery = 250;

export async function status(socket: string, json: boolean): Promise<void> {
  const found = await call<Status>(socket, 'GET', '/status');
  console.log(json ? JSON.stringify(found, null, 2) : renderStatus(found));
}

export async function workers(socket: string, json: boolean): Promise<void> {
  const found = await call<Status>(socket, 'GET', '/status');
  console.log(json ? JSON.stringify(found.workers, null, 2) : renderWorkers(found.workers));
}

export async function config(socket: string): Promise<void> {
  console.log(JSON.stringify(await call(socket, 'GET', '/config'), null, 2));
}

/** @throws ControlError with the reason where the reload was waited for and is not completed */
export async function reload(socket: string, wait: boolean): Promise<void> {
  if (!wait) {
    await call(socket, 'POST', '/reload');
    console.log('reload asked for; prefork status shows how it goes, --wait waits for it');
    return;
  }
  const done = new AbortController();
  const progress = showProgress(socket, done.signal);
  try {
    const outcome = await call<LastReload>(socket, 'POST', '/reload', { wait: true });
    if (outcome.verdict !== 'completed') {
      const what = {
        rejected: 'failed, nothing was changed',
        halted: 'stopped half way',
        'rolled-back': 'was rolled back',
      };
      throw new ControlError(
        `reload ${outcome.reload} ${what[outcome.verdict]}: ${outcome.reason ?? 'no reason given'}`,
      );
    }
    console.log(
      `reload ${outcome.reload} done in ${outcome.duration.toFixed(2)} s, generation ${outcome.generation} serves`,
    );
  } finally {
    done.abort();
    await progress;
  }
}

/** A line for each step, on stderr: the result is what goes to stdout. */
async function showProgress(socket: string, signal: AbortSignal): Promise<void> {
  let last = '';
  while (!signal.aborted) {
    const found = await call<Status>(socket, 'GET', '/status').catch(() => null);
    const running = found?.reload.running ?? null;
    if (found !== null && running !== null && !signal.aborted) {
      const fresh = found.workers.filter((w) => w.phase === 'ready' && w.generation === found.generation).length;
      const steps = {
        preparing: 'reading the configuration',
        canary: 'the first new worker boots',
        refused: 'nothing is changed',
        rolling: `${fresh} of ${found.wanted} workers are new`,
      };
      const line = `reload ${running.reload}: ${steps[running.step]}`;
      if (line !== last) console.error(line);
      last = line;
    }
    await sleep(pollEvery, undefined, { signal }).catch(() => {});
  }
}

/** @throws ControlError with the reason where it was waited for and the old master goes on */
export async function upgrade(socket: string, wait: boolean): Promise<void> {
  if (!wait) {
    await call(socket, 'POST', '/upgrade');
    console.log('upgrade asked for; prefork status shows how it goes, --wait waits for it');
    return;
  }
  const outcome = await call<LastUpgrade>(socket, 'POST', '/upgrade', { wait: true });
  if (outcome.verdict === 'failed')
    throw new ControlError(`upgrade failed, nothing was changed: ${outcome.reason ?? 'no reason given'}`);
  console.log(`upgraded in ${outcome.duration.toFixed(2)} s, the master is now pid ${outcome.pid}`);
}

export async function stop(socket: string, now: boolean): Promise<void> {
  const { pid } = await call<Status>(socket, 'GET', '/status');
  await call(socket, 'POST', '/stop', { now });
  // The socket is the last thing that goes; in the middle of an upgrade another master may take its place.
  const isThere = (): Promise<boolean> =>
    call<Status>(socket, 'GET', '/status').then(
      (found) => found.pid === pid,
      () => false,
    );
  while (await isThere()) await sleep(pollEvery);
  console.log(`stopped (pid ${pid})`);
}

/** @param amount `N`, `+N` or `-N` */
export async function scale(socket: string, amount: string): Promise<void> {
  if (!/^[+-]?\d{1,4}$/.test(amount))
    throw new ControlError(`expected N, +N or -N, got ${JSON.stringify(amount.slice(0, 40))}`);
  const body = /^[+-]/.test(amount) ? { by: Number(amount) } : { to: Number(amount) };
  const { workers: wanted } = await call<{ workers: number }>(socket, 'POST', '/scale', body);
  console.log(`${wanted} workers from now on, until the next reload`);
}

export async function recycle(socket: string, slot: string | null): Promise<void> {
  if (slot !== null && !/^\d{1,4}$/.test(slot))
    throw new ControlError(`expected the number of a slot, got ${JSON.stringify(slot.slice(0, 40))}`);
  await call(socket, 'POST', '/recycle', slot === null ? {} : { slot: Number(slot) });
  console.log(slot === null ? 'every worker is being replaced' : `the worker of slot ${slot} is being replaced`);
}

export async function reopen(socket: string): Promise<void> {
  await call(socket, 'POST', '/reopen');
  console.log('log files are reopened');
}
