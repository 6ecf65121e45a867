/**
 * What Linux says of everything a contender runs. Where clients share the cores with the servers, as here, processor
 * time says more than a rate does: it does not depend on who is the bottleneck.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { childrenOf, isAlive, markedWith } from '../test/support/proc.ts';
import { runVariable } from './contenders/contender.ts';

/** All processes of the contender on this port that say so in their environment. */
export function processesOf(port: number): number[] {
  return markedWith(`${runVariable}=${port}`).filter(isAlive);
}

/**
 * The workers of a contender, oldest first: what node:cluster has forked, otherwise the master's children, otherwise the
 * master itself.
 */
export function workersOf(port: number, master: number | null): number[] {
  const forked = processesOf(port).filter(isClusterWorker);
  if (forked.length > 0) return forked.sort((a, b) => a - b);
  if (master === null) return [];
  const children = childrenOf(master)
    .map(({ pid }) => pid)
    .filter(isAlive);
  return children.length > 0 ? children : [master];
}

function isClusterWorker(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes('NODE_UNIQUE_ID=');
  } catch {
    return false;
  }
}

/** A process and everything below it. */
export function withDescendants(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap((child) => withDescendants(child.pid))];
}

/** Seconds on a processor of all threads of these processes, to the nanosecond; those that are gone count nothing. */
export function processorSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ofThreads(pid), 0);
}

function ofThreads(pid: number): number {
  try {
    const folder = `/proc/${pid}/task`;
    const nanoseconds = readdirSync(folder).reduce((sum, thread) => {
      const [onProcessor = '0'] = readFileSync(`${folder}/${thread}/schedstat`, 'latin1').split(' ');
      return sum + Number(onProcessor);
    }, 0);
    return nanoseconds / 1e9;
  } catch {
    return 0;
  }
}

/** Memory of a process, in MB of 1,048,576 bytes. */
export interface Memory {
  /** What is resident, shared pages in full. */
  readonly rss: number;
  /** Shared pages in parts, by how many processes share them. */
  readonly pss: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { rss: field('Rss'), pss: field('Pss') };
}

/** Runs a measurement and gives, beside its result, the seconds of processor time the contender used meanwhile. */
export async function withCpu<T>(port: number, measure: () => Promise<T>): Promise<T & { readonly cpu: number }> {
  const before = processorSeconds(processesOf(port));
  const result = await measure();
  return { ...result, cpu: processorSeconds(processesOf(port)) - before };
}
