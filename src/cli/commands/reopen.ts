/** `prefork reopen` */
import { command } from '../command.ts';

export const reopen = command({
  name: 'reopen',
  help: 'Reopen log files',
  async run(_, { service }) {
    await (await service()).post('/reopen');
    console.log('log files are reopened');
  },
});
