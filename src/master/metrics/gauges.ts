/** The gauges that workers' figures have in the table of figures. */
import { type FigureTable, figures, type Row } from '../../protocol/figures.ts';
import { type Family, family, type Labels } from './family.ts';

/** Sums over all workers, such as the requests under way. */
export function serviceGauges(workers: readonly Row[], table: FigureTable = figures): Family[] {
  return gauges('service', table, (name, divisor) => [
    [{}, workers.reduce((total, worker) => total + Number(worker[name]) / divisor, 0)],
  ]);
}

/** A sample for each slot. @param workers one to each slot; a figure that is `null` has no sample */
export function slotGauges(workers: readonly Row[], table: FigureTable = figures): Family[] {
  return gauges('slot', table, (name, divisor) =>
    workers.flatMap((worker): [Labels, number][] =>
      worker[name] === null ? [] : [[{ slot: String(worker.slot) }, Number(worker[name]) / divisor]],
    ),
  );
}

function gauges(
  per: 'slot' | 'service',
  table: FigureTable,
  samples: (name: string, divisor: number) => [Labels, number][],
): Family[] {
  return Object.entries(table).flatMap(([name, { gauge, unit }]) =>
    gauge?.per === per
      ? [family('gauge', gauge.name, gauge.help, samples(name, unit === 'milliseconds' ? 1_000 : 1))]
      : [],
  );
}
