/** What the figures should come to, and whether they do. */
import type { Figures } from './figures.ts';

export interface Aim {
  readonly text: string;
  readonly scenario: string;
  /** Names of the values that must all come to it; a name that ends with a dot stands for all that begin with it. */
  readonly values: string;
  readonly limit: number;
  readonly at: 'most' | 'least';
  readonly unit: string;
}

const most = (text: string, scenario: string, values: string, limit: number, unit = ''): Aim => ({
  text,
  scenario,
  values,
  limit,
  at: 'most',
  unit,
});

export const aims: readonly Aim[] = [
  most('Connections opened by a keep-alive client over five reloads', 'kept', 'opened.prefork', 1),
  most('Requests that failed meanwhile', 'kept', 'failed.prefork', 0),
  most('Requests that failed over a line of 70 ms each way, eight reloads', 'slowline', 'failed.prefork', 0),
  most('Spread of 64 connections over the workers, as they were opened', 'spread', 'cv.direct.64', 0.1),
  most('Spread of 1,000 connections', 'spread', 'cv.direct.1000', 0.1),
  most('Spread of 64 connections after a reload', 'spread', 'cv.reload.64', 0.1),
  most('Spread of 64 connections after `scale +2`', 'spread', 'cv.scale.64', 0.1),
  most("p99 of 5 ms requests on 64 connections, against node:cluster's", 'spread', 'p99.against.cluster.64', 1.1),
  most('10,000 idle connections across a reload: closed or failed', 'idlereload', 'lost.prefork', 0),
  most('A worker over plain node, memory of its own (RSS), on every Node', 'weight', 'worker.rss.', 5, ' MB'),
  most('A worker over plain node, processor time of its boot, on every Node', 'weight', 'worker.cpu.', 10, ' ms'),
  most('The master over plain node, metrics off, on every Node', 'weight', 'master.quiet.', 15, ' MB'),
  most('The master over plain node, everything on, on every Node', 'weight', 'master.full.', 20, ' MB'),
  most('Idle fleet of 50, share of a core', 'idle', 'fleet.50', 1, ' %'),
  most('SIGKILL to full strength with a spare', 'recovery', 'ms.spare', 20, ' ms'),
  most('Processor time per connection, against a bare worker', 'cost', 'connection.metrics', 1.03),
  most('The same with the metrics off', 'cost', 'connection.quiet', 1.01),
  most('Processor time per request with the access log, against without', 'cost', 'accesslog.', 1.15),
  {
    text: "New connections a second with a C client, against node:cluster's",
    scenario: 'cclient',
    values: 'connections.against.cluster',
    limit: 1.8,
    at: 'least',
    unit: '',
  },
];

export interface Verdict {
  readonly aim: Aim;
  /** The figure furthest from the aim; `null` where nothing was measured. */
  readonly figure: number | null;
  readonly met: boolean;
}

export function judge(aim: Aim, figures: Figures): Verdict {
  const known = Object.entries(figures[aim.scenario]?.values ?? {});
  const ours = known.filter(([name]) => (aim.values.endsWith('.') ? name.startsWith(aim.values) : name === aim.values));
  if (ours.length === 0) return { aim, figure: null, met: false };
  const numbers = ours.map(([, value]) => value);
  const figure = aim.at === 'most' ? Math.max(...numbers) : Math.min(...numbers);
  return { aim, figure, met: aim.at === 'most' ? figure <= aim.limit : figure >= aim.limit };
}

const round = (value: number): string =>
  value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0 });

/** `met`, or by how much it is not. */
export function inWords({ aim, figure, met }: Verdict): string {
  if (figure === null) return 'not measured';
  if (met) return '**met**';
  const missing = Math.abs(figure - aim.limit);
  const side = aim.at === 'most' ? 'over' : 'short';
  const share = aim.limit === 0 ? '' : ` (${round((missing / aim.limit) * 100)} %)`;
  return `not met: ${round(missing)}${aim.unit} ${side}${share}`;
}

/** The rows of the table of aims. */
export function aimRows(figures: Figures): string[][] {
  return aims.map((aim) => {
    const verdict = judge(aim, figures);
    return [
      aim.text,
      `at ${aim.at} ${round(aim.limit)}${aim.unit}`,
      verdict.figure === null ? '' : `${round(verdict.figure)}${aim.unit}`,
      inWords(verdict),
    ];
  });
}
