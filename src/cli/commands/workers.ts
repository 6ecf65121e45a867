/** `prefork workers` */
import type { Status } from '../../protocol/status.ts';
import { command } from '../command.ts';

export const workers = command({
  name: 'workers',
  help: 'The workers, one a line',
  switches: { json: { doc: 'As JSON' } },
  async run({ json }, { service }) {
    const found = await (await service()).get<Status>('/status');
    const { renderWorkers } = await import('../render.ts');
    console.log(json ? JSON.stringify(found.workers, null, 2) : renderWorkers(found.workers));
  },
});
