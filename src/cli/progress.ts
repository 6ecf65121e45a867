/** What a reload is doing, shown while a command waits for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Service } from './client.ts';

/** Milliseconds between two looks at how far it is. */
const pollEvery = 250;

/** Prints a line for each step meanwhile, on stderr: only the result goes to stdout. */
export async function withProgress<T>(service: Service, wait: () => Promise<T>): Promise<T> {
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
  const { progressText } = await import('../protocol/reload-text.ts');
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
