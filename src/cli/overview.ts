/** The commands, a line each, as `prefork --help` begins. */
import { type AnyCommand, usageOf } from './command.ts';
import { commands } from './commands/index.ts';
import { serve } from './commands/serve.ts';

/** Cells before what a command does. Only the first line has more. */
const usageWidth = 31;

export function overview(list: readonly AnyCommand[] = commands): string {
  const lines = [serve, ...list].map((each) => {
    const usage = `prefork ${usageOf(each)}`.padEnd(usageWidth - 2);
    return `${usage}  ${each.help.charAt(0).toLowerCase()}${each.help.slice(1)}`;
  });
  return [...lines, '', 'prefork <command> --help shows the options of a command.'].join('\n');
}
