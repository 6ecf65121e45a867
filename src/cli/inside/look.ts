/** One look into a worker that takes its time, from the check of what was given to the file. */
import { ControlError } from '../../errors.ts';
import { bytes } from '../../protocol/figures-text.ts';
import type { Status, WorkerStatus } from '../../protocol/status.ts';
import type { Surroundings } from '../command.ts';
import { defaultName, slotFrom, timeFrom } from './arguments.ts';
import { download } from './download.ts';
import { type Output, openOutput } from './output.ts';
import { Progress } from './progress.ts';

export interface Look {
  /** Path of the route. */
  readonly path: '/profile' | '/trace' | '/heap';
  /** As it is called. */
  readonly name: string;
  /** Ending of the file. */
  readonly ending: string;
  /** What opens it. */
  readonly opens: string;
}

export interface Asked {
  readonly slot: string;
  /** `null` for what takes the time that it takes. */
  readonly time: string | null;
  readonly file: string | null;
}

/** Signals that give it up, with the status a shell would report. */
const deadly = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** @throws ControlError if what was given is wrong, or if it does not come to an end */
export async function look(what: Look, asked: Asked, { cwd, service }: Surroundings): Promise<void> {
  const slot = slotFrom(asked.slot);
  const milliseconds = asked.time === null ? null : timeFrom(asked.time);
  const found = await service();
  const status = await found.status();
  const worker = workerIn(status, slot);
  const output = openOutput(asked.file ?? defaultName(status.name, slot, what.ending), cwd);
  const over = new AbortController();
  let given: number | null = null;
  const listeners = Object.entries(deadly).map(([name, exitStatus]) => {
    const listener = (): void => {
      given = exitStatus;
      over.abort();
    };
    process.on(name, listener);
    return [name, listener] as const;
  });
  const progress = new Progress();
  try {
    const others = status.workers.filter(({ id, phase }) => id !== worker.id && phase === 'ready').length;
    progress.say(beginningOf(what, worker, others, milliseconds));
    if (milliseconds !== null) progress.count(milliseconds);
    const body = { slot, ...(milliseconds === null ? {} : { seconds: milliseconds / 1_000 }) };
    const coming = await download(found.socket, what.path, body, over.signal);
    await save(coming.content, coming.size, output, progress);
    if (coming.note !== null) progress.say(`note: ${coming.note}`);
    progress.end();
    console.error(`${output.name}: ${sizeOf(coming.size)}, for ${what.opens}`);
  } catch (error) {
    output.abandon();
    progress.end();
    if (given === null) throw error;
    console.error(`prefork: the ${what.name} was given up; there is no file`);
    process.exitCode = given;
  } finally {
    progress.end();
    for (const [name, listener] of listeners) process.off(name, listener);
  }
}

/** Found out before the file is made; the service looks again. */
function workerIn({ workers }: Status, slot: number): WorkerStatus {
  const there = workers.filter((worker) => worker.slot === slot);
  const worker = there.findLast(({ phase }) => phase === 'ready') ?? there.at(-1);
  if (worker !== undefined) return worker;
  const slots = [...new Set(workers.flatMap((each) => each.slot ?? []))].sort((a, b) => a - b);
  throw new ControlError(
    slots.length === 0 ? 'there are no workers' : `there is no slot ${slot}; expected one of ${slots.join(', ')}`,
  );
}

function beginningOf({ path, name }: Look, worker: WorkerStatus, others: number, milliseconds: number | null): string {
  const who = `slot ${worker.slot} (pid ${worker.pid})`;
  if (path !== '/heap')
    return `${who}: a ${name} of ${(milliseconds ?? 0) / 1_000} s is taken; it goes on serving (Ctrl-C gives it up)`;
  const meanwhile = others === 0 ? 'nobody serves meanwhile: it is the only worker' : 'other workers serve meanwhile';
  return `${who}: it stops until a snapshot of its heap (${bytes(worker.heapUsed)}) is taken; ${meanwhile}`;
}

function sizeOf(size: number): string {
  return size < 2 ** 20 ? `${Math.ceil(size / 1_024)} kB` : bytes(size);
}

async function save(content: AsyncIterable<Buffer>, size: number, output: Output, progress: Progress): Promise<void> {
  let written = 0;
  for await (const chunk of content) {
    await output.write(chunk);
    written += chunk.length;
    progress.show(`${sizeOf(written)} of ${sizeOf(size)} written`);
  }
  if (written !== size) throw new ControlError('the worker, or the master, went away before the end');
  output.finish();
}
