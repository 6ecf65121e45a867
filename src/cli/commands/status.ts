/** `prefork status` */
import { command } from '../command.ts';

export const status = command({
  name: 'status',
  help: 'How the service is, with its workers',
  switches: { json: { doc: 'As JSON, see docs/control.md' } },
  async run({ json }, { service }) {
    const found = await service();
    if (json) return console.log(await found.json('/status'));
    const { renderStatus } = await import('../render.ts');
    console.log(renderStatus(await found.status()));
  },
});
