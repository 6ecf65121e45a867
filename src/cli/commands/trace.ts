/** `prefork trace` */
import { command } from '../command.ts';

export const trace = command({
  name: 'trace',
  help: 'What Node does in a worker, event by event, for Perfetto',
  positionals: { slot: 'required' },
  values: {
    for: { doc: 'How long: 500ms, 10s, 2m [10s]' },
    output: { doc: 'The file; - is stdout [SERVICE-slotN-TIME.trace.json]', short: 'o' },
  },
  async run({ slot, for: time, output: file }, surroundings) {
    const { look } = await import('../inside/look.ts');
    const what = {
      path: '/trace',
      name: 'trace',
      ending: 'trace.json',
      opens: 'https://ui.perfetto.dev or chrome://tracing',
    } as const;
    await look(what, { slot, time: time ?? '10s', file }, surroundings);
  },
});
