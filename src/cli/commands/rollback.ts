/** `prefork rollback` */
import { command } from '../command.ts';

export const rollback = command({
  name: 'rollback',
  help: 'Bring the release before back, as a reload',
  switches: { wait: { doc: 'Wait for the outcome: exit 0 when the release before serves' } },
  async run({ wait }, surroundings) {
    const service = await surroundings.service();
    if (!wait) {
      await service.post('/rollback');
      console.log('rollback asked for; prefork status shows how it goes, --wait waits for it');
      return;
    }
    const { ended, withProgress } = await import('../waiting.ts');
    console.log(await ended(await withProgress(service, () => service.reload('/rollback')), 'rolled-back'));
    console.log('the next reload reads the configuration and the app anew: point them back first');
  },
});
