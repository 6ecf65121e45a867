/** One of Node's own tests, run in three ways: bare, as the app of a worker of prefork, as a worker of node:cluster. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bin, fromRoot } from '../../support/paths.ts';
import { markedWith } from '../../support/proc.ts';
import { whenLate } from '../../support/slowness.ts';

/** `bare` is plain node; `cluster` is a worker of node:cluster without prefork. */
export type Way = 'bare' | 'prefork' | 'cluster';

export interface Where {
  /** The folder that has `parallel`, `common` and `fixtures`. */
  readonly tests: string;
  readonly node: string;
  /** Ports and temporary folders of tests that run at the same time differ by this. */
  readonly lane: number;
  /** Milliseconds. */
  readonly timeout: number;
}

export interface Outcome {
  readonly passed: boolean;
  /** What the test printed, and how it ended. */
  readonly output: string;
}

/** The options in the test's `// Flags:` lines, as Node's own runner reads them. */
export function flagsOf(source: string): string[] {
  return [...source.matchAll(/^\/\/ Flags:\s*(.+)$/gm)].flatMap(([, flags = '']) => flags.trim().split(/\s+/));
}

/** Runs one test to its end, or to its timeout. No process of it is left behind. */
export async function runTest(where: Where, name: string, way: Way): Promise<Outcome> {
  const path = join(where.tests, 'parallel', name);
  const flags = flagsOf(readFileSync(path, 'utf8'));
  const marker = `${process.pid}-${where.lane}-${performance.now()}`;
  const child = spawn(where.node, commandLine(path, flags, way), {
    cwd: where.tests,
    env: { ...withoutOurs(), TEST_THREAD_ID: String(where.lane), COMPAT_RUN: marker },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const end = way === 'prefork' ? firstWorker(child) : process_(child);
  const outcome = await within(end, where.timeout);
  endAll(`COMPAT_RUN=${marker}`);
  return outcome;
}

function commandLine(path: string, flags: readonly string[], way: Way): string[] {
  if (way === 'bare') return [...flags, path];
  if (way === 'cluster') return [fromRoot('test/compat/node/cluster-primary.cjs'), path, ...flags];
  const ours = [
    '-w',
    '1',
    '--control-socket',
    'none',
    '--log-format',
    'json',
    '-t',
    '0',
    '--blocked-warning',
    '0',
    '--keep-alive',
    '0',
  ];
  return [bin, path, ...ours, ...flags.map((flag) => `--node-arg=${flag}`)];
}

function withoutOurs(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  for (const name of ['NODE_OPTIONS', 'NODE_TEST_CONTEXT', 'NODE_CHANNEL_FD', 'PORT', 'WEB_CONCURRENCY']) {
    delete env[name];
  }
  return env;
}

/** @returns what ends with the process itself */
function process_(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve) => {
    let output = '';
    const add = (chunk: unknown): void => {
      output += String(chunk);
    };
    child.stdout?.on('data', add);
    child.stderr?.on('data', add);
    child.on('error', (error) => resolve({ passed: false, output: error.message }));
    child.on('exit', (code, signal) => {
      // What it leaves behind may hold its pipes open.
      const done = (): void => resolve({ passed: code === 0, output: `${output}\nended with ${signal ?? code}` });
      child.on('close', done);
      setTimeout(done, 500).unref();
    });
  });
}

/** @returns what ends with the first worker: what it exits with is what the test exits with */
function firstWorker(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve) => {
    let output = '';
    let rest = '';
    child.stdout?.on('data', (chunk) => (output += String(chunk)));
    child.stderr?.on('data', (chunk) => {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const said = logLine(line);
        if (said === null) output += `${line}\n`;
        else if (said.level >= 40 && !/without user|nothing may see|rights of root/.test(said.msg))
          output += `${said.msg}\n`;
        if (said !== null && 'lifeMs' in said) {
          resolve({ passed: said.code === 0, output: `${output}\nended with ${said.signal ?? said.code}` });
        }
      }
    });
    child.on('exit', (code, signal) => {
      resolve({ passed: false, output: `${output}${rest}\nthe master ended with ${signal ?? code}` });
    });
  });
}

interface Said {
  readonly level: number;
  readonly msg: string;
  readonly code?: number | null;
  readonly signal?: string | null;
  readonly lifeMs?: number;
}

function logLine(line: string): Said | null {
  if (!line.startsWith('{"level":')) return null;
  try {
    return JSON.parse(line) as Said;
  } catch {
    return null;
  }
}

/** The timeout is for a machine that has nothing else to do; on a busy one it is as much longer as everything is. */
async function within(end: Promise<Outcome>, timeout: number): Promise<Outcome> {
  let cancel = (): void => {};
  const late = new Promise<Outcome>((resolve) => {
    cancel = whenLate(timeout, () => resolve({ passed: false, output: `did not end within ${timeout / 1_000} s` }));
  });
  const outcome = await Promise.race([end, late]);
  cancel();
  return outcome;
}

/** Ends every process with this marker in its environment, by pid. */
function endAll(marker: string): void {
  for (const pid of markedWith(marker)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went by itself.
    }
  }
}
