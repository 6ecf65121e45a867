/** `prefork promote` */
import { command } from '../command.ts';

export const promote = command({
  name: 'promote',
  help: 'Let a reload go on that is held or on trial',
  switches: { wait: { doc: 'Wait for the outcome: exit 0 when it completed' } },
  async run({ wait }, surroundings) {
    const service = await surroundings.service();
    if (!wait) {
      await service.post('/promote');
      console.log('promoted: the rest of the workers follow; prefork status shows how it goes, --wait waits for it');
      return;
    }
    const { ended, withProgress } = await import('../waiting.ts');
    console.log(await ended(await withProgress(service, () => service.reload('/promote')), 'completed'));
  },
});
