/** The human-readable status. */
import { type FigureTable, figures, type Row } from '../protocol/figures.ts';
import { figureText, span } from '../protocol/figures-text.ts';
import { migrationText } from '../protocol/migration-text.ts';
import { releaseLines } from '../protocol/release-text.ts';
import { progressText } from '../protocol/reload-text.ts';
import type { LeaderStatus, Status } from '../protocol/status.ts';
import { plain } from '../system/plain.ts';

export function renderStatus(status: Status): string {
  const { last, running } = status.reload;
  const { wanted, ready } = status.spares ?? { wanted: 0, ready: 0 };
  const spares = wanted === 0 && ready === 0 ? '' : `, ${ready} of ${wanted} spares ready`;
  const lines = [
    `${plain(status.name)}: ${status.state}, ${status.health}, ${status.ready} of ${status.wanted} workers ready${spares}`,
    `  pid ${status.pid}, up ${span(status.uptime)}, generation ${status.generation}, prefork ${status.prefork}, Node ${status.node}`,
    `  app ${plain(status.app)}`,
    ...(status.releases ?? []).flatMap((release) => releaseLines(release).map((each) => `  ${plain(each)}`)),
    ...status.listeners.flatMap(({ address, waiting, problem }) => [
      `  on ${plain(address)}${waiting === null ? '' : `, ${waiting} connections wait`}`,
      ...(problem === undefined ? [] : [`  unreachable: ${plain(problem)}`]),
    ]),
  ];
  if (status.scaling !== undefined) lines.push(`  ${scalingText(status.scaling)}`);
  if (status.leader !== undefined) lines.push(`  ${leaderText(status.leader)}`);
  if (status.migration !== undefined) lines.push(`  ${migrationText(status.migration)}`);
  if (running !== null)
    lines.push(`  reload ${running.reload} under way: ${progressText(status)}, for ${span(running.uptime)}`);
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

function scalingText({ min, max, last }: NonNullable<Status['scaling']>): string {
  const change = last === null ? '' : `; last ${last.from} -> ${last.to}, ${span(last.ago)} ago: ${plain(last.reason)}`;
  return `workers follow the load, ${min} to ${max}${change}`;
}

function leaderText(leader: LeaderStatus | null): string {
  if (leader === null) return 'leader: none yet';
  return `leader: slot ${leader.slot ?? 'none'} (worker ${leader.worker}, pid ${leader.pid ?? 'unknown'}), for ${span(leader.uptime)}`;
}

/** @param workers as the status has them */
export function renderWorkers(workers: readonly Row[], table: FigureTable = figures): string {
  const columns = Object.entries(table).flatMap(([name, { workers: title, unit }]) =>
    title === undefined ? [] : [{ name, title, isText: unit === 'phase' }],
  );
  const rows = [
    columns.map(({ title }) => title),
    ...workers.map((worker) => columns.map(({ name }) => figureText(worker, name, ' ', table))),
  ];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  const pad = (cell: string, index: number): string =>
    columns[index]?.isText === true ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}
