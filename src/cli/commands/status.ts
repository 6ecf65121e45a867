/** `prefork status` */
import type { Status } from '../../protocol/status.ts';
import { command } from '../command.ts';

export const status = command({
  name: 'status',
  help: 'How the service is, with its workers',
  switches: { json: { doc: 'As JSON, see docs/control.md' } },
  async run({ json }, { service }) {
    const found = await (await service()).get<Status>('/status');
    const { renderStatus } = await import('../render.ts');
    console.log(json ? JSON.stringify(found, null, 2) : renderStatus(found));
  },
});
