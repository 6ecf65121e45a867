/** The child process of `child.ts`. */
import type { News, Order } from './child.ts';
import { Mix } from './mix.ts';
import { stallNowAndThen } from './stall.ts';

let mix: Mix | null = null;
let reported = false;

process.on('message', (order: Order) => {
  switch (order.type) {
    case 'start':
      mix = new Mix(order.spec).start();
      if (order.spec.stall !== undefined) stallNowAndThen(order.spec.stall);
      setInterval(progress, 100).unref();
      void mix.done().then(finish);
      break;
    case 'phase':
      if (mix !== null) mix.phase = order.phase;
      break;
    case 'stop':
      void mix?.stop();
      break;
  }
});
// The parent is gone: so is the reason for this load.
process.on('disconnect', () => process.exit());

function progress(): void {
  if (mix === null || reported) return;
  tell({ type: 'progress', ...mix.progress });
}

function finish(): void {
  if (mix === null) return;
  progress();
  reported = true;
  tell({ type: 'report', report: mix.report() });
}

function tell(news: News): void {
  if (process.connected) process.send?.(news, () => undefined);
}
