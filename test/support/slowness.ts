/**
 * How slow the machine is for this process: by what its deadlines have to stretch. A deadline in a test says "this hangs",
 * and on a machine that has too much to do nothing hangs, everything is only late.
 *
 * Linux counts for each thread the time it ran and the time it waited for a CPU (`/proc/<pid>/schedstat`, see
 * Documentation/scheduler/sched-stats.rst of the kernel): a thread that waits three times as long as it runs is four
 * times as slow as alone. Elsewhere the time of a calculation is compared with the CPU time it took.
 */
import { readFileSync } from 'node:fs';

/** Nanoseconds of the main thread since it started. */
interface Times {
  readonly ran: number;
  readonly waited: number;
}

interface Sample {
  readonly at: number;
  readonly factor: number;
}

/** A machine that is slower than this gets no more time. */
const most = 100;
/** Milliseconds a sample counts for: load comes and goes. */
const kept = 60_000;
/** Less than this says nothing. */
const leastRun = 10e6;

const samples: Sample[] = [];
let last: Times = { ran: 0, waited: 0 };
// Node has just been started and this module compiled: work enough for a first sample.
look();

/**
 * How many times longer than on a machine with nothing else to do everything takes: 1 to {@link most}, the worst of the
 * last minute. Costs next to nothing.
 */
export function slowness(): number {
  look();
  const now = performance.now();
  while (samples[0] !== undefined && samples.length > 1 && now - samples[0].at > kept) samples.shift();
  return Math.max(1, ...samples.map(({ factor }) => factor));
}

/** As {@link slowness}, after a calculation of some 20 ms that is measured too: as it is just now. */
export function slownessNow(): number {
  const [startedAt, startedWith] = [performance.now(), process.cpuUsage()];
  const until = startedWith.user + startedWith.system + 20_000;
  for (let now = startedWith; now.user + now.system < until; now = process.cpuUsage()) calculate();
  if (times() === null) {
    const { user, system } = process.cpuUsage(startedWith);
    note((performance.now() - startedAt) / ((user + system) / 1_000));
  }
  return slowness();
}

/** So many milliseconds, for as slow a machine as this is now. For deadlines only, never for what is to be measured. */
export function stretched(milliseconds: number): number {
  return Math.ceil(milliseconds * slowness());
}

/**
 * Calls `late` once `milliseconds` are over, or as many more as the machine is slow by then.
 * @returns what cancels it
 */
export function whenLate(milliseconds: number, late: () => void): () => void {
  const startedAt = performance.now();
  let timer = setTimeout(function look() {
    const left = milliseconds * slownessNow() - (performance.now() - startedAt);
    if (left > 1) timer = setTimeout(look, left);
    else late();
  }, milliseconds);
  return () => clearTimeout(timer);
}

function look(): void {
  const now = times();
  if (now === null || now.ran - last.ran < leastRun) return;
  note(1 + (now.waited - last.waited) / (now.ran - last.ran));
  last = now;
}

function note(factor: number): void {
  // Two test files at a time are no reason to wait longer.
  samples.push({ at: performance.now(), factor: factor < 2 ? 1 : Math.min(most, factor) });
}

function times(): Times | null {
  try {
    const [ran = 0, waited = 0] = readFileSync('/proc/self/schedstat', 'utf8').split(' ').map(Number);
    // A kernel that does not count says 0.
    return ran > 0 ? { ran, waited } : null;
  } catch {
    return null;
  }
}

function calculate(): number {
  let value = 1;
  for (let round = 0; round < 1e6; round += 1) value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0;
  return value;
}
