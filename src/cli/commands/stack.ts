/** `prefork stack` */
import { command } from '../command.ts';

export const stack = command({
  name: 'stack',
  help: 'Where each worker is now, or one; a blocked one as well',
  positionals: { slot: 'optional' },
  switches: { json: { doc: 'As JSON' } },
  async run({ slot, json }, { service }) {
    const { slotFrom } = await import('../inside/arguments.ts');
    const path = slot === null ? '/stack' : `/stack?slot=${slotFrom(slot)}`;
    const found = await service();
    if (json) return console.log(await found.json(path));
    const { checkStacks } = await import('../inside/check.ts');
    const { renderStacks } = await import('../inside/render.ts');
    console.log(renderStacks(checkStacks(await found.get(path), found.socket)));
  },
});
