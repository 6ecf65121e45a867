/** What Node does in this worker, event by event, as Perfetto and chrome://tracing read it. */
import { InspectorSession } from './session.ts';

/** See https://nodejs.org/api/tracing.html: requests, sockets, names, files, the phases of the event loop, garbage. */
const includedCategories = [
  ...['node.http', 'node.net.native', 'node.dns.native', 'node.fs.sync', 'node.environment', 'node.perf.usertiming'],
  'v8',
];
/** Characters of events that are kept. */
const mostText = 128 * 1024 * 1024;

/** @returns the text of a trace, and whether it was full before its time */
export async function takeTrace(
  milliseconds: number,
  wait: (ms: number, isFull: Promise<void>) => Promise<void>,
): Promise<{ readonly text: Buffer; readonly isFull: boolean }> {
  const session = new InspectorSession();
  const pieces: string[] = [];
  let size = 0;
  let isFull = false;
  try {
    const full = new Promise<void>((resolve) => {
      session.on('NodeTracing.dataCollected', (params) => {
        const { value = [] } = params as { readonly value?: readonly unknown[] };
        if (isFull || value.length === 0) return;
        const piece = value.map((event) => JSON.stringify(event)).join(',\n');
        pieces.push(piece);
        size += piece.length;
        if (size < mostText) return;
        isFull = true;
        resolve();
      });
    });
    const complete = new Promise<void>((resolve) => session.on('NodeTracing.tracingComplete', () => resolve()));
    await session.post('NodeTracing.start', { traceConfig: { includedCategories } });
    await wait(milliseconds, full);
    await session.post('NodeTracing.stop');
    await complete;
    return { text: Buffer.from(`{"traceEvents":[\n${pieces.join(',\n')}\n]}\n`), isFull };
  } finally {
    session.close();
  }
}
