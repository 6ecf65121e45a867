/** `prefork upgrade` */
import { ControlError } from '../../errors.ts';
import { command } from '../command.ts';

export const upgrade = command({
  name: 'upgrade',
  help: 'Replace the master and every worker: a new prefork, a new Node',
  switches: { wait: { doc: 'Wait for the outcome: exit 0 when the new master serves' } },
  async run({ wait }, surroundings) {
    const service = await surroundings.service();
    if (!wait) {
      await service.post('/upgrade');
      console.log('upgrade asked for; prefork status shows how it goes, --wait waits for it');
      return;
    }
    const outcome = await service.upgrade();
    if (outcome.verdict === 'failed')
      throw new ControlError(`upgrade failed, nothing was changed: ${outcome.reason ?? 'no reason given'}`);
    console.log(`upgraded in ${outcome.duration.toFixed(2)} s, the master is now pid ${outcome.pid}`);
  },
});
