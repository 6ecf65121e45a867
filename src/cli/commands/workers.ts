/** `prefork workers` */
import type { Status } from '../../protocol/status.ts';
import { command } from '../command.ts';

export const workers = command({
  name: 'workers',
  help: 'The workers, one a line',
  switches: { json: { doc: 'As JSON' } },
  async run({ json }, { service }) {
    const found = await service();
    if (json) return console.log(await found.json('/status', (status) => (status as Partial<Status>).workers));
    const { renderWorkers } = await import('../render.ts');
    console.log(renderWorkers((await found.status()).workers));
  },
});
