/** `prefork profile` */
import { command } from '../command.ts';

export const profile = command({
  name: 'profile',
  help: 'What the time of a worker goes into, as a .cpuprofile',
  positionals: { slot: 'required' },
  values: {
    for: { doc: 'How long: 500ms, 10s, 2m [10s]' },
    output: { doc: 'The file; - is stdout [SERVICE-slotN-TIME.cpuprofile]', short: 'o' },
  },
  async run({ slot, for: time, output: file }, surroundings) {
    const { look } = await import('../inside/look.ts');
    const what = {
      path: '/profile',
      name: 'profile',
      ending: 'cpuprofile',
      opens: 'the Performance panel of Chrome DevTools, VS Code, or https://www.speedscope.app',
    } as const;
    await look(what, { slot, time: time ?? '10s', file }, surroundings);
  },
});
