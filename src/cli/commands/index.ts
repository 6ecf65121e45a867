/** The commands, in the order in which the overview shows them. */
import type { AnyCommand } from '../command.ts';
import { abort } from './abort.ts';
import { check } from './check.ts';
import { completion } from './completion.ts';
import { config } from './config.ts';
import { heap } from './heap.ts';
import { init } from './init.ts';
import { profile } from './profile.ts';
import { promote } from './promote.ts';
import { recycle } from './recycle.ts';
import { reload } from './reload.ts';
import { reopen } from './reopen.ts';
import { requests } from './requests.ts';
import { rollback } from './rollback.ts';
import { scale } from './scale.ts';
import { stack } from './stack.ts';
import { status } from './status.ts';
import { stop } from './stop.ts';
import { top } from './top.ts';
import { trace } from './trace.ts';
import { upgrade } from './upgrade.ts';
import { workers } from './workers.ts';

export const commands: readonly AnyCommand[] = [
  ...[check, status, workers, top, config],
  ...[reload, promote, abort, rollback, upgrade, scale, recycle, reopen, stop],
  ...[requests, stack, profile, heap, trace],
  ...[init, completion],
];

/** The command that a word calls; `undefined` if it is an app's file or an option. `./status` is a file. */
export function commandNamed(word: string | undefined, list = commands): AnyCommand | undefined {
  return list.find(({ name }) => name === word);
}
