/**
 * Whether nodemon has started this master: it restarts what it runs by SIGUSR2, which to every other sender means an
 * upgrade. A new master would then outlive the restart, outside of nodemon's reach. At its own end nodemon signals the
 * shell that it runs the command with, and no further.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { statFieldsOf } from '../../system/processes.ts';

interface Ancestor {
  readonly parent: number;
  /** The command line, in words. */
  readonly words: readonly string[];
}

/** Between nodemon and the master may be shells, and npm or npx. */
const generations = 8;

/** Milliseconds. */
const lookEvery = 500;

/**
 * Looks for nodemon among the processes above this one. To be asked at the start: it may be gone when its signal is read.
 *
 * @returns its pid, or `null`
 */
export function findNodemon(): number | null {
  const lookUp = existsSync('/proc/self/stat') ? fromProc : fromPs();
  let above = process.ppid;
  for (let generation = 0; generation < generations && above > 1; generation++) {
    const found = lookUp(above);
    if (found === null) return null;
    // `node /path/to/nodemon.js ...`, or the link `node_modules/.bin/nodemon`.
    if (found.words.slice(0, 2).some((word) => /^nodemon(?:\.js)?$/.test(basename(word)))) return above;
    above = found.parent;
  }
  return null;
}

/** Calls back once nodemon is gone; keeps no process for it. */
export function onceGone(nodemon: number, act: () => void): void {
  const timer = setInterval(() => {
    try {
      process.kill(nodemon, 0);
    } catch {
      clearInterval(timer);
      act();
    }
  }, lookEvery);
  timer.unref();
}

function fromProc(pid: number): Ancestor | null {
  try {
    const parent = Number(statFieldsOf(pid)?.[1]);
    return { parent, words: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0') };
  } catch {
    return null;
  }
}

/** macOS has no /proc. One `ps` tells all of them. */
function fromPs(): (pid: number) => Ancestor | null {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,ppid=,command='], { encoding: 'utf8', timeout: 2_000 });
  const lines = new Map<number, Ancestor>();
  for (const line of (stdout ?? '').split('\n')) {
    const [pid, parent, ...words] = line.trim().split(/\s+/);
    lines.set(Number(pid), { parent: Number(parent), words });
  }
  return (pid) => lines.get(pid) ?? null;
}
