/** `prefork reload` */
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlError } from '../../errors.ts';
import type { Service } from '../client.ts';
import { command } from '../command.ts';

/** Milliseconds between two looks at how far it is. */
const pollEvery = 250;

export const reload = command({
  name: 'reload',
  help: 'Replace every worker, new before old',
  switches: { wait: { doc: 'Wait for the outcome: exit 0 when it completed' } },
  async run({ wait }, surroundings) {
    const service = await surroundings.service();
    if (!wait) {
      await service.post('/reload');
      console.log('reload asked for; prefork status shows how it goes, --wait waits for it');
      return;
    }
    const outcome = await withProgress(service, () => service.reload());
    if (outcome.verdict !== 'completed') {
      const { verdictText } = await import('../../protocol/reload-text.ts');
      const why = outcome.reason ?? 'no reason given';
      throw new ControlError(`reload ${outcome.reload} ${verdictText[outcome.verdict]}: ${why}`);
    }
    console.log(
      `reload ${outcome.reload} done in ${outcome.duration.toFixed(2)} s, generation ${outcome.generation} serves`,
    );
  },
});

/** Prints a line for each step meanwhile, on stderr: only the result goes to stdout. */
async function withProgress<T>(service: Service, wait: () => Promise<T>): Promise<T> {
  const done = new AbortController();
  const progress = showProgress(service, done.signal);
  try {
    return await wait();
  } finally {
    done.abort();
    await progress;
  }
}

async function showProgress(service: Service, signal: AbortSignal): Promise<void> {
  const { progressText } = await import('../../protocol/reload-text.ts');
  let last = '';
  while (!signal.aborted) {
    const found = await service.status().catch(() => null);
    const step = found === null ? null : progressText(found);
    if (step !== null && !signal.aborted) {
      const line = `reload ${found?.reload.running?.reload}: ${step}`;
      if (line !== last) console.error(line);
      last = line;
    }
    await sleep(pollEvery, undefined, { signal }).catch(() => {});
  }
}
