/**
 * Errors of prefork. Each class has a stable `code`, which is what programs should test, and the exit status the
 * process ends with if nothing handles it.
 */

/** Exit statuses of `prefork`. 3 and 4 are Gunicorn's `WORKER_BOOT_ERROR` and `APP_LOAD_ERROR`. */
export const exitStatus = {
  ok: 0,
  /** Anything not named below: an address in use, a second instance, a bug in the master. */
  failure: 1,
  /** Bad usage: a setting or argument that cannot be used. */
  usage: 2,
  /** The first workers started, but none became ready. */
  workerBoot: 3,
  /** The app could not be loaded at all: a syntax error, a module that is missing, an export that is not there. */
  appLoad: 4,
} as const;

/** One of the statuses in {@link exitStatus}. */
export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

/** Base class: an error whose message is meant for the operator and is printed without a stack trace. */
export abstract class PreforkError extends Error {
  abstract readonly code: string;
  readonly exitStatus: ExitStatus = exitStatus.failure;
  override get name(): string {
    return this.constructor.name;
  }
}

/** One thing wrong with the configuration. */
export interface Problem {
  /** The setting's name, or `null` if the problem is with the file itself. */
  readonly setting: string | null;
  /** Where the value came from: a path, `command line`, `environment variable PORT`, ... */
  readonly source: string;
  /** What was expected, what was got, and how to fix it: one line. */
  readonly message: string;
}

/** The configuration cannot be used. Holds every problem found, not just the first. */
export class ConfigError extends PreforkError {
  readonly code = 'PREFORK_CONFIG';
  override readonly exitStatus = exitStatus.usage;
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'));
    this.problems = problems;
  }
}

/** Renders a problem as one line: `supervisor.config.ts: workers: expected ..., got ...`. */
export function describeProblem(problem: Problem): string {
  const where = problem.setting === null ? problem.source : `${problem.source}: ${problem.setting}`;
  return `${where}: ${problem.message}`;
}

/** An address cannot be bound. */
export class BindError extends PreforkError {
  readonly code = 'PREFORK_BIND';
  /** The address as the operator would write it. */
  readonly address: string;
  /** The system's name for the failure, e.g. `EADDRINUSE`. */
  readonly errno: string;
  constructor(address: string, errno: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.address = address;
    this.errno = errno;
  }
}

/** Another live master holds the pidfile. */
export class AlreadyRunningError extends PreforkError {
  readonly code = 'PREFORK_ALREADY_RUNNING';
}

/** A file prefork itself must write (the pidfile, a socket's directory) cannot be written. */
export class FileError extends PreforkError {
  readonly code = 'PREFORK_FILE';
}

/** This version of Node lacks something prefork depends on. */
export class UnsupportedNodeError extends PreforkError {
  readonly code = 'PREFORK_UNSUPPORTED_NODE';
}

/** The `release` command failed or did not end in time. */
export class ReleaseError extends PreforkError {
  readonly code = 'PREFORK_RELEASE';
}

/** A new master cannot take over from the one that runs. */
export class UpgradeError extends PreforkError {
  readonly code = 'PREFORK_UPGRADE';
}

/** The app itself is at fault: it cannot be loaded (`load`), or does not come to serve (`boot`). */
export class AppError extends PreforkError {
  readonly code = 'PREFORK_APP';
  override readonly exitStatus: ExitStatus;
  constructor(kind: 'load' | 'boot', message: string) {
    super(message);
    this.exitStatus = kind === 'load' ? exitStatus.appLoad : exitStatus.workerBoot;
  }
}

/** A running service cannot be reached, or refuses what it is asked. */
export class ControlError extends PreforkError {
  readonly code = 'PREFORK_CONTROL';
}

const systemAdvice: Readonly<Record<string, string>> = {
  EMFILE: 'raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)',
  ENFILE: 'the machine has no more of them (sysctl fs.file-max)',
  EAGAIN: 'no more processes are allowed (ulimit -u, TasksMax= in systemd, pids.max of the container)',
  ENOMEM: 'there is no memory left',
  ENOSPC: 'the disk is full',
  EDQUOT: "the user's quota of the disk is used up",
};

/** @returns what the operating system refused, in one line; `null` if the error is not its */
export function systemFailure(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return null;
  const advice = systemAdvice[code];
  return `the system refuses what prefork needs: ${error.message}${advice === undefined ? '' : `; ${advice}`}`;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
