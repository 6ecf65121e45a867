/** `prefork requests` */
import { command } from '../command.ts';

export const requests = command({
  name: 'requests',
  help: 'The requests in flight, the oldest first',
  positionals: { slot: 'optional' },
  switches: { json: { doc: 'As JSON' } },
  async run({ slot, json }, { service }) {
    const { slotFrom } = await import('../inside/arguments.ts');
    const path = `/requests?most=1000${slot === null ? '' : `&slot=${slotFrom(slot)}`}`;
    const found = await service();
    if (json) return console.log(await found.json(path));
    const { checkRequests } = await import('../inside/check.ts');
    const { renderRequests } = await import('../inside/render.ts');
    console.log(renderRequests(checkRequests(await found.get(path), found.socket)));
  },
});
