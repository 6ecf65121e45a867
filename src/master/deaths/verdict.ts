/** Makes of what is known of a worker's end why it ended, in words. */
import type { DeathCause } from '../../core/death.ts';
import { errorText, placeText, thrownText } from '../../protocol/error-text.ts';
import { headlineOf } from '../stuck/headline.ts';
import type { Evidence } from './evidence.ts';

export interface Verdict {
  readonly cause: DeathCause;
  readonly why: string | null;
  /** What else there is to say, a line each. */
  readonly details: readonly string[];
}

const megabyte = 1024 * 1024;
/** Bytes of heap that V8 fills in a millisecond, at most: what dies sooner has not died of that. */
const fastest = 2 * megabyte;
/** The share of its limit from which on a heap is taken to be full. */
const full = 0.6;
/** Node's exit codes; see the documentation of node:process, "Exit codes". */
const badOption = 9;
const nodesCodes: Readonly<Record<number, string>> = {
  7: 'an error in its own handler of uncaught exceptions',
  12: 'the inspector cannot open its port',
  13: 'a top-level await that never settles',
};

/** Signals of a crash outside of JavaScript. */
const crashes: Readonly<Record<string, string>> = {
  SIGSEGV: 'it touched memory that is not its own',
  SIGBUS: 'it touched memory that is not there, such as a mapped file that was cut',
  SIGILL: 'an instruction that this processor does not have, or V8 gave up',
  SIGFPE: 'it divided by zero',
  SIGTRAP: 'V8 gave up, or a breakpoint without a debugger',
  SIGABRT: 'Node, V8 or an addon gave up, or somebody sent it the signal',
  SIGSYS: 'a system call that a filter forbids (seccomp)',
};

const otherSignals: Readonly<Record<string, string>> = {
  SIGXCPU: 'it has used up its processor time (ulimit -t)',
  SIGXFSZ: 'a file would have become larger than it may (ulimit -f)',
  SIGPIPE: 'it wrote to a pipe that nobody reads',
  SIGALRM: 'its alarm went off',
};

export function judge(evidence: Evidence): Verdict {
  const { phase, signal } = evidence;
  // What prefork has sent explains itself.
  if (phase.name === 'killed' && (signal === 'SIGKILL' || signal === phase.signal)) return asked;
  if (signal !== null) return bySignal(signal, evidence);
  return byStatus(evidence);
}

const asked: Verdict = { cause: 'asked', why: null, details: [] };

function byStatus({ code, dying, failure, phase, fatal }: Evidence): Verdict {
  // What is wrong with an export has a line of its own, and nothing was thrown.
  if (failure !== null)
    return { cause: 'error', why: failure.name === 'ExportError' ? null : thrownText(failure), details: [] };
  if (dying?.how === 'exit') {
    const by = dying.caller === null ? '' : ` at ${dying.caller}`;
    const after = dying.after === null ? '' : `, after ${errorText(dying.after)}${placeText(dying.after.frame)}`;
    return { cause: 'exit', why: `the app called process.exit(${code ?? ''})${by}${after}`, details: [] };
  }
  const known = code === null ? undefined : nodesCodes[code];
  if (known !== undefined) return { cause: 'error', why: known, details: [] };
  if (dying?.how === 'end' && code === 0)
    return { cause: 'ended', why: 'nothing was left for it to do: it neither listened nor waited', details: [] };
  if (phase.name === 'draining' && code === 0) return asked;
  if (code === badOption && phase.name === 'booting')
    return { cause: 'unknown', why: 'node refuses an option of nodeArgs or NODE_OPTIONS', details: [] };
  return { cause: 'unknown', why: fatal, details: [] };
}

function bySignal(signal: string, evidence: Evidence): Verdict {
  const { dying, fatal } = evidence;
  if (signal === 'SIGKILL') return bySigkill(evidence);
  if (dying?.how === 'abort' && signal === 'SIGABRT') {
    const by = dying.caller === null ? '' : ` at ${dying.caller}`;
    return { cause: 'abort', why: `the app called process.abort()${by}`, details: [] };
  }
  if (signal === 'SIGABRT' || signal === 'SIGTRAP' || signal === 'SIGILL') {
    const certainty = heapCertainty(signal, evidence);
    if (certainty !== 'no') return outOfHeap(evidence, certainty);
  }
  const crash = crashes[signal];
  if (crash !== undefined) {
    const why = fatal === null ? `crashed in native code: ${signal} (${crash})` : `crashed: ${signal}, ${fatal}`;
    return { cause: 'native', why, details: blocked(evidence) };
  }
  const meaning = otherSignals[signal];
  const why = `ended by ${signal}${meaning === undefined ? ', which somebody has sent' : `: ${meaning}`}`;
  return { cause: 'signal', why, details: [] };
}

function bySigkill({ oom }: Evidence): Verdict {
  const verdict = oom();
  switch (verdict.kind) {
    case 'oom': {
      const limit = verdict.limit === null ? '' : ` of ${inMegabytes(verdict.limit)}`;
      // The counter of a group counts its processes, also those that were killed because the whole machine had no memory left.
      const isContainer = verdict.of === 'group' && verdict.limit !== null;
      const what = isContainer ? `out of the container's memory${limit}` : 'the machine ran out of memory';
      const details = [
        `fewer workers, or a lower maxMemory, leave the rest of the ${isContainer ? 'container' : 'machine'} room`,
      ];
      return { cause: 'oom', why: `killed by the kernel's OOM killer: ${what}`, details };
    }
    case 'other':
      return {
        cause: 'killed',
        why: 'killed by SIGKILL from outside, not by prefork, and the system had not run out of memory',
        details: [],
      };
    case 'unknown': {
      const why = 'killed by SIGKILL from outside, not by prefork; if no one sent it, the system ran out of memory';
      return { cause: 'killed', why, details: [] };
    }
  }
}

/** V8 says it on stderr, which prefork sees only if it is captured; else it follows from what was told before. */
function heapCertainty(signal: string, { fatal, figures, silent, heapLimit }: Evidence): 'sure' | 'likely' | 'no' {
  if (fatal !== null) return /out of memory/i.test(fatal) ? 'sure' : 'no';
  const used = figures?.heapUsed ?? 0;
  const limit = heapLimit().bytes;
  if (used >= limit * full) return 'sure';
  return signal === 'SIGABRT' && (limit - used) / fastest <= silent ? 'likely' : 'no';
}

function outOfHeap(evidence: Evidence, certainty: 'sure' | 'likely'): Verdict {
  const { figures, silent, heapLimit } = evidence;
  const { bytes, option } = heapLimit();
  const limit = `limit ${inMegabytes(bytes)}${option === null ? '' : ` (${option})`}`;
  const last =
    figures === null
      ? 'it had told no figures yet'
      : `${inMegabytes(figures.heapUsed ?? 0)} used and ${inMegabytes(figures.rss)} resident ${ago(silent)} before`;
  const sure = certainty === 'sure' ? 'out of heap' : 'most likely out of heap';
  return {
    cause: 'heap',
    why: `${sure}: ${limit}, ${last}`,
    details: [
      ...(certainty === 'sure' ? [] : ['captureOutput lets prefork see what V8 prints, and be sure']),
      ...blocked(evidence),
      'a higher limit: nodeArgs: --max-old-space-size=<MB>; what fills it: maxMemory with heapSnapshots',
    ],
  };
}

function blocked({ frames, silent }: Evidence): string[] {
  return frames.length === 0 ? [] : [`its event loop had been blocked for ${ago(silent)} ${headlineOf(frames)}`];
}

function inMegabytes(bytes: number): string {
  return `${Math.round(bytes / megabyte)} MB`;
}

function ago(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}
