/**
 * What must hold after every test, whatever it did: the invariants I1 to I8 of the reliability catalogue. After nginx's
 * rule that a test fails when the error log holds one alert.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { listeningOn } from './proc.ts';
import type { Supervisor } from './supervisor.ts';
import { until } from './until.ts';

export interface Expectations {
  /** The documented exit status; 0 unless told. `null` where the master was killed. */
  readonly code?: number | null;
  /** Files that must be gone: pidfile, control socket, unix listeners. */
  readonly gone?: readonly string[];
  /** Ports besides the supervisor's own that must be free again. */
  readonly ports?: readonly number[];
  /** Log records of level fatal, and lines on stderr that are no log records, are expected where this matches. */
  readonly allow?: RegExp;
  /** Milliseconds processes may take to go after the master: only for tests that kill it. */
  readonly leftWithin?: number;
}

const alarms = /UnhandledPromiseRejection|MaxListenersExceededWarning|DeprecationWarning|ERR_INTERNAL_ASSERTION/;

/** To be called once the master has exited. Any failure shows the end of the log. */
export async function assertClean(supervisor: Supervisor, expected: Expectations = {}): Promise<void> {
  try {
    await check(supervisor, expected);
  } catch (error) {
    if (error instanceof Error) error.message += `\n${supervisor.describe()}`;
    throw error;
  }
}

async function check(supervisor: Supervisor, expected: Expectations): Promise<void> {
  const { code = 0, gone = [], ports = [], allow, leftWithin = 250 } = expected;
  const { exit } = supervisor;
  assert.ok(exit !== null, 'the master still runs');
  if (code === null) assert.equal(exit.signal, 'SIGKILL', 'I6: the master was to be killed');
  else assert.deepEqual([exit.code, exit.signal], [code, null], 'I6: exit status');

  // The kernel may need a moment to bury the workers whose exit the master has just seen; longer is an orphan.
  await until('I1: no process left', () => supervisor.processesLeft().length === 0, {
    within: leftWithin,
  }).catch(() => {
    const left = supervisor.processesLeft();
    assert.equal(left.length, 0, `I1: processes left: ${JSON.stringify(left)}`);
  });
  for (const port of [supervisor.port, ...ports]) await assertFree(port);
  for (const path of gone) assert.ok(!existsSync(path), `I3: ${path} is still there`);
  assertLog(supervisor, allow);
}

/** I2. A process that ends is gone from /proc a moment before its sockets are. */
export async function assertFree(port: number): Promise<void> {
  await until(`I2: nobody listens on ${port}`, () => listeningOn(port).length === 0, { within: 500 });
}

/** I4 and I7: the log so far. */
export function assertLog(supervisor: Supervisor, allow?: RegExp): void {
  // Node says so itself, on the stderr of a worker whose stack is taken.
  const permitted = (text: string): boolean => text === 'Debugger attached.' || allow?.test(text) === true;
  for (const line of supervisor.log) {
    const text = JSON.stringify(line);
    assert.ok(line.level < 60 || permitted(text), `I4: a fatal log line: ${text}`);
    assert.ok(!alarms.test(text) || permitted(text), `I4: an alarm in the log: ${text}`);
  }
  const { stray, partial } = supervisor.stderr;
  for (const text of partial === '' ? stray : [...stray, partial]) {
    assert.ok(permitted(text), `I7: a line on stderr that is no log record: ${text}`);
  }
}

/** I8: no child of the master stays a zombie. To be called while the master runs. */
export async function assertNoZombies(supervisor: Supervisor): Promise<void> {
  await until('I8: no zombie', () => supervisor.children().every((child) => child.state !== 'Z'), { within: 1_000 });
}

/** Stops the supervisor as an operator would, and checks everything. */
export async function stopClean(supervisor: Supervisor, expected: Expectations = {}): Promise<void> {
  await assertNoZombies(supervisor);
  await supervisor.stop('SIGTERM');
  await assertClean(supervisor, expected);
}
