/** `prefork [app]`: starts a service. No word calls it; it is what a command line without a command does. */
import type { LaunchCommand } from '../command.ts';

export const serve: LaunchCommand = {
  takes: 'settings',
  name: 'serve',
  usage: '[app] [options] [-- app arguments]',
  help: 'Serve',
  async run({ request, caller, predecessor }) {
    const { start } = await import('../../master/start.ts');
    await start(request, caller, predecessor);
  },
};
