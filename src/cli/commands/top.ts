/** `prefork top` */
import { command } from '../command.ts';

export const top = command({
  name: 'top',
  help: 'Watch it live, and steer it by keys; ? shows which',
  switches: { once: { doc: 'Print one frame as plain text' } },
  async run({ once }, { find }) {
    const { runTop } = await import('../top/main.ts');
    await runTop(find, once);
  },
});
