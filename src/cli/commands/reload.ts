/** `prefork reload` */
import { command } from '../command.ts';

export const reload = command({
  name: 'reload',
  help: 'Replace every worker, new before old',
  switches: {
    wait: { doc: 'Wait for the outcome: exit 0 when it completed' },
    hold: { doc: 'Stop at the first new worker, until prefork promote or prefork abort; --wait waits for that' },
  },
  async run({ wait, hold }, surroundings) {
    const service = await surroundings.service();
    const body = hold ? { hold } : {};
    if (!wait) {
      await service.post('/reload', body);
      console.log('reload asked for; prefork status shows how it goes, --wait waits for it');
      return;
    }
    const { ended, withProgress } = await import('../waiting.ts');
    const outcome = await withProgress(service, () => service.reload('/reload', body));
    if (outcome.verdict === 'held') {
      console.log(
        `reload ${outcome.reload} is held: its first worker serves beside the others; prefork promote lets the rest follow, prefork abort takes it back`,
      );
    } else console.log(await ended(outcome, 'completed'));
  },
});
