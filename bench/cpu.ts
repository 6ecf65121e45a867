/**
 * Processor time of everything a contender runs. Where clients share the cores with the servers, as here, it says more
 * than a rate does: it does not depend on who is the bottleneck.
 */
import { readFileSync } from 'node:fs';
import { markedWith } from '../test/support/proc.ts';
import { runVariable } from './contenders/contender.ts';

/** Clock ticks of /proc/<pid>/stat per second, the same on every Linux there is. */
const ticksPerSecond = 100;

/** Seconds, user and system, of all processes of the contender on this port. */
export function cpuSeconds(port: number): number {
  return markedWith(`${runVariable}=${port}`).reduce((sum, pid) => sum + ofProcess(pid), 0);
}

function ofProcess(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return 0;
  }
}

/** Runs a measurement and gives, beside its result, the seconds of processor time the contender used meanwhile. */
export async function withCpu<T>(port: number, measure: () => Promise<T>): Promise<T & { readonly cpu: number }> {
  const before = cpuSeconds(port);
  const result = await measure();
  return { ...result, cpu: cpuSeconds(port) - before };
}
