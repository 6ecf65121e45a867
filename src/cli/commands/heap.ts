/** `prefork heap` */
import { command } from '../command.ts';

export const heap = command({
  name: 'heap',
  help: 'What is in the memory of a worker, as a .heapsnapshot',
  positionals: { slot: 'required' },
  values: { output: { doc: 'The file; - is stdout [SERVICE-slotN-TIME.heapsnapshot]', short: 'o' } },
  async run({ slot, output: file }, surroundings) {
    const { look } = await import('../inside/look.ts');
    const what = {
      path: '/heap',
      name: 'heap snapshot',
      ending: 'heapsnapshot',
      opens: 'the Memory panel of Chrome DevTools',
    } as const;
    await look(what, { slot, time: null, file }, surroundings);
  },
});
