/** How an error that ends a command is told. */
import { inspect } from 'node:util';
import { shorten } from '../config/show.ts';
import { exitStatus, PreforkError, systemFailure } from '../errors.ts';

export interface Failure {
  readonly lines: readonly string[];
  readonly status: number;
}

/** One line for what the operator can mend; the stack too for what only prefork's authors can. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof PreforkError) return { lines: error.message.split('\n'), status: error.exitStatus };
  const refused = systemFailure(error);
  if (refused !== null) return { lines: [shorten(refused, 500)], status: exitStatus.failure };
  return {
    lines: ['this is a bug in prefork, please report it:', ...inspect(error).split('\n')],
    status: exitStatus.failure,
  };
}
