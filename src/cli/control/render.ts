/** Tables for people. */
import type { Status, WorkerStatus } from '../../protocol/status.ts';

export function renderStatus(status: Status): string {
  const { last, running } = status.reload;
  const lines = [
    `${plain(status.name)}: ${status.state}, ${status.health}, ${status.ready} of ${status.wanted} workers ready`,
    `  pid ${status.pid}, up ${span(status.uptime)}, generation ${status.generation}, prefork ${status.prefork}, Node ${status.node}`,
    `  app ${plain(status.app)}`,
    ...status.listeners.map(
      ({ address, waiting }) => `  on ${plain(address)}${waiting === null ? '' : `, ${waiting} connections wait`}`,
    ),
  ];
  if (running !== null)
    lines.push(`  reload ${running.reload} under way: ${running.step}, for ${span(running.uptime)}`);
  if (last !== null) {
    const why = last.reason === null ? '' : `: ${plain(last.reason)}`;
    lines.push(`  last reload ${last.reload}: ${last.verdict} in ${last.duration.toFixed(2)} s${why}`);
  }
  const { running: upgrade, last: lastUpgrade } = status.upgrade;
  if (upgrade !== null)
    lines.push(`  upgrade ${upgrade.upgrade} under way: ${upgrade.step}, new master ${upgrade.pid ?? 'not there yet'}`);
  if (lastUpgrade?.verdict === 'failed')
    lines.push(`  last upgrade ${lastUpgrade.upgrade}: failed: ${plain(lastUpgrade.reason ?? 'no reason given')}`);
  return [...lines, '', renderWorkers(status.workers)].join('\n');
}

const columns: readonly (readonly [title: string, value: (worker: WorkerStatus) => string])[] = [
  ['slot', ({ slot }) => String(slot)],
  ['pid', ({ pid }) => String(pid ?? '-')],
  ['gen', ({ generation }) => String(generation)],
  ['phase', ({ phase, reason }) => (reason === null ? phase : `${phase} (${reason})`)],
  ['age', ({ uptime }) => span(uptime)],
  ['requests', ({ requests }) => String(requests)],
  ['req/s', ({ requestsPerSecond }) => requestsPerSecond.toFixed(1)],
  ['in flight', ({ inFlight }) => String(inFlight)],
  ['conns', ({ connections }) => String(connections)],
  ['loop p99', ({ loopDelayP99 }) => `${loopDelayP99.toFixed(1)} ms`],
  ['loop', ({ loopUtilisation }) => `${Math.round(loopUtilisation * 100)}%`],
  ['rss', ({ rss }) => mebibytes(rss)],
  ['heap', ({ heapUsed }) => mebibytes(heapUsed)],
  ['restarts', ({ restarts }) => String(restarts)],
];

export function renderWorkers(workers: readonly WorkerStatus[]): string {
  const rows = [columns.map(([title]) => title), ...workers.map((worker) => columns.map(([, value]) => value(worker)))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, index) =>
          columns[index]?.[0] === 'phase' ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Seconds as people say them. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${String(Math.floor(seconds % 60)).padStart(2, '0')}s`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3_600)}h${String(Math.floor((seconds % 3_600) / 60)).padStart(2, '0')}m`;
  return `${Math.floor(seconds / 86_400)}d${String(Math.floor((seconds % 86_400) / 3_600)).padStart(2, '0')}h`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

/** Names come from files and configurations: nothing in them may steer a terminal. */
function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
