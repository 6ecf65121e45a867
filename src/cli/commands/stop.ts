/** `prefork stop` */
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../command.ts';

/** Milliseconds between two looks whether it is gone. */
const pollEvery = 250;

export const stop = command({
  name: 'stop',
  help: 'Stop the service, and wait until it is gone',
  switches: { now: { doc: 'Give requests in flight a second only' } },
  async run({ now }, surroundings) {
    const service = await surroundings.service();
    const { pid } = await service.status();
    await service.post('/stop', { now });
    // The socket is the last thing that goes; in the middle of an upgrade another master may take its place.
    const isThere = (): Promise<boolean> =>
      service.status().then(
        (found) => found.pid === pid,
        () => false,
      );
    while (await isThere()) await sleep(pollEvery);
    console.log(`stopped (pid ${pid})`);
  },
});
