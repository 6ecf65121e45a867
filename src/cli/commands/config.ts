/** `prefork config` */
import { command } from '../command.ts';

export const config = command({
  name: 'config',
  help: 'The settings in force; values of environment variables are not shown',
  async run(_, { service }) {
    console.log(await (await service()).json('/config'));
  },
});
