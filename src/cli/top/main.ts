/** `prefork top`: a live table of a running service, on a terminal. */
import { ControlError } from '../../errors.ts';
import { onceFrame } from './frame.ts';
import { TopLoop } from './loop.ts';
import { askAll } from './poll.ts';
import { initialState } from './state.ts';
import { wordsOf } from './style.ts';

/** Cells of a line if there is no terminal and `COLUMNS` says nothing. */
const paper = 160;

/**
 * @param find gives the path of the control socket; called again if the service does not answer there any more
 * @param once prints one frame, and that is all
 * @throws ControlError if there is no service or no terminal, and when the service goes away
 */
export async function runTop(find: () => Promise<string>, once: boolean): Promise<void> {
  if (once) {
    const { status, entries, inFlight } = await askAll(await find());
    const cells = process.stdout.isTTY ? process.stdout.columns : widthFrom(process.env.COLUMNS);
    for (const line of onceFrame(initialState(status, entries, inFlight), Math.max(1, cells)))
      console.log(wordsOf(line));
    return;
  }
  const { stdin, stdout, env } = process;
  if (!stdin.isTTY || !stdout.isTTY || env.TERM === 'dumb')
    throw new ControlError('top needs a terminal; prefork status says the same as text, prefork top --once one frame');
  const ended = await new TopLoop(find, stdin, stdout, (env.NO_COLOR ?? '') === '').run();
  if (ended.kind === 'gone') throw new ControlError(ended.reason);
  process.exitCode = ended.exitStatus;
}

function widthFrom(text: string | undefined): number {
  const width = Number(text);
  return Number.isInteger(width) && width > 0 ? width : paper;
}
