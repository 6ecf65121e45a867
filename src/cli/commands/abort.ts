/** `prefork abort` */
import { command } from '../command.ts';

export const abort = command({
  name: 'abort',
  help: 'Give up a reload that is not rolled out yet',
  async run(_, { service }) {
    await (await service()).post('/abort');
    console.log('aborted: the workers from before the reload serve on');
  },
});
