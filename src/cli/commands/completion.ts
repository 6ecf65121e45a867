/** `prefork completion` */
import { command } from '../command.ts';

export const completion = command({
  name: 'completion',
  help: 'Print a script for tab completion',
  async run() {
    const { default: yargs } = await import('yargs');
    yargs([], '/').scriptName('prefork').completion('completion').showCompletionScript();
  },
});
