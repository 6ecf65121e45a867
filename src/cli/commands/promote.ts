/** `prefork promote` */
import { command } from '../command.ts';
import { withProgress } from '../progress.ts';
import { ended } from '../reload-end.ts';

export const promote = command({
  name: 'promote',
  help: 'Let a reload go on whose first new worker is held or on trial',
  switches: { wait: { doc: 'Wait for the outcome: exit 0 when it completed' } },
  async run({ wait }, surroundings) {
    const service = await surroundings.service();
    if (!wait) {
      await service.post('/promote');
      console.log('promoted: the rest of the workers follow; prefork status shows how it goes, --wait waits for it');
      return;
    }
    console.log(await ended(await withProgress(service, () => service.reload('/promote')), 'completed'));
  },
});
