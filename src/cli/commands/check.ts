/** `prefork check`: says what a start would say of the configuration and of the app. */
import type { LaunchCommand } from '../command.ts';

export const check: LaunchCommand = {
  takes: 'settings',
  name: 'check',
  usage: 'check [app] [options]',
  help: 'Check the configuration and the app, serve nothing',
  async run({ request }) {
    const { loadSettings } = await import('../../config/load.ts');
    const { escapeText } = await import('../../system/plain.ts');
    const { noticesFor } = await import('../../master/notices.ts');
    const settings = await loadSettings(request);
    const { preflight } = await import('../../master/preflight.ts');
    const { notes, problems } = await preflight(settings);
    for (const note of [...noticesFor(settings), ...notes]) console.error(`prefork: note: ${escapeText(note)}`);
    const [first] = problems;
    if (first === undefined) return console.log(`OK: ${settings.workers} workers for ${escapeText(settings.app.path)}`);
    for (const { message } of problems)
      for (const line of message.split('\n')) console.error(`prefork: ${escapeText(line)}`);
    process.exitCode = first.exitStatus;
  },
};
