/** The insides of workers, for people. */

import type { ShownRequest, ShownRequests, ShownStack } from '../../protocol/requests.ts';
import { requestText } from '../../protocol/requests-text.ts';
import { plain } from '../../system/plain.ts';

/** Seconds without a heartbeat after which the event loop is taken to be blocked: there are two a second. */
const blockedAfter = 1;

export function renderRequests({ inFlight, silent, requests }: ShownRequests): string {
  const lines = requests.length === 0 ? [] : table(requests);
  if (inFlight === 0 && silent.length === 0) return 'no request is in flight';
  const shown = inFlight > requests.length ? `, the oldest ${requests.length} are shown` : '';
  lines.push(`${inFlight} in flight${shown}`);
  for (const { slot, pid } of silent)
    lines.push(
      `${nameOf(slot, pid)} does not answer: its event loop is blocked${slot === null ? '' : `; prefork stack ${slot} shows where`}`,
    );
  return lines.join('\n');
}

function table(requests: readonly ShownRequest[]): string[] {
  const rows = [
    ['AGE', 'SLOT', 'METHOD', 'PHASE', 'URL'],
    ...requests.map((request) => {
      const { age, phase, url } = requestText(request);
      return [age, request.slot === null ? '-' : String(request.slot), plain(request.method), phase, plain(url)];
    }),
  ];
  const widths = rows[0]?.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0))) ?? [];
  const pad = (cell: string, index: number): string =>
    index < 2 ? cell.padStart(widths[index] ?? 0) : index === 4 ? cell : cell.padEnd(widths[index] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd());
}

export function renderStacks(workers: readonly ShownStack[]): string {
  if (workers.length === 0) return 'there are no workers';
  return workers.map((worker) => block(worker).join('\n')).join('\n\n');
}

function block(worker: ShownStack): string[] {
  const { slot, pid, phase, heartbeatAge, stack, requests, generation } = worker;
  const isBlocked = worker.state !== 'waiting' && heartbeatAge > blockedAfter && phase !== 'booting';
  const since = isBlocked ? `, its event loop is blocked for ${heartbeatAge.toFixed(1)} s` : '';
  return [
    `${nameOf(slot, pid)}, ${phase}, generation ${generation}${since}: ${stateOf(worker)}`,
    ...stack.map((frame) => `    ${plain(frame)}`),
    ...requests.map((request) => {
      const { age, phase: where, url } = requestText(request);
      return `  ${plain(request.method)} ${plain(url)} for ${age}, ${where}`;
    }),
  ];
}

function stateOf({ state, waitsFor, problem }: ShownStack): string {
  if (state === 'running') return 'it runs';
  if (state === 'unknown') return `where it is is not known: ${plain(problem ?? 'no reason given')}`;
  return waitsFor.length === 0 ? 'idle' : `its event loop turns; it waits for ${countEach(waitsFor)}`;
}

/** `2 Timeout, TCPSocketWrap` */
function countEach(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => plain(count === 1 ? name : `${count} ${name}`)).join(', ');
}

function nameOf(slot: number | null, pid: number): string {
  return slot === null ? `spare (pid ${pid})` : `slot ${slot} (pid ${pid})`;
}
