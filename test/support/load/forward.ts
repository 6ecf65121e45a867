/** The child process of `forwarder.ts`. */
import type { LineNews, LineOrder } from './forwarder.ts';
import { Line } from './line.ts';

let line: Line | null = null;

process.on('message', (order: LineOrder) => {
  if (order.type === 'open') {
    line = new Line(order.spec);
    void line.listen().then((target) => tell({ type: 'listening', target }));
  } else if (line !== null) tell({ type: 'counts', counts: line.counts });
});
// The parent is gone: so is the reason for this line.
process.on('disconnect', () => process.exit());

function tell(news: LineNews): void {
  if (process.connected) process.send?.(news, () => undefined);
}
