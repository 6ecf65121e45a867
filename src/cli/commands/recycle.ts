/** `prefork recycle` */
import { ControlError } from '../../errors.ts';
import { command } from '../command.ts';

export const recycle = command({
  name: 'recycle',
  help: 'Replace one worker, or all of them one by one',
  positionals: { slot: 'optional' },
  async run({ slot }, { service }) {
    const found = await service();
    if (slot !== null && !/^\d{1,4}$/.test(slot))
      throw new ControlError(`expected the number of a slot, got ${JSON.stringify(slot.slice(0, 40))}`);
    await found.post('/recycle', slot === null ? {} : { slot: Number(slot) });
    console.log(slot === null ? 'every worker is being replaced' : `the worker of slot ${slot} is being replaced`);
  },
});
