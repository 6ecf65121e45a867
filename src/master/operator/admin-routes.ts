/** The routes of the admin address: it is read-only. */
import type { HealthReport } from '../../protocol/messages.ts';
import type { Status } from '../../protocol/status.ts';
import type { Events } from './events.ts';
import { pageRoutes } from './page.ts';
import { ok, type Route } from './route.ts';
import { type MetricsPage, viewsOf } from './views.ts';

/** What the routes show. */
export interface AdminSources {
  readonly status: () => Status;
  readonly events: Events;
  readonly metrics: MetricsPage;
  /** Looks anew at the files of the releases. */
  readonly look?: () => Promise<void>;
  readonly health: () => { readonly report: HealthReport; readonly components: Readonly<Record<string, unknown>> };
}

/** @returns the routes of the admin address */
export function adminRoutes({ status, events, metrics, health, look }: AdminSources): Route[] {
  return [
    ...pageRoutes(),
    ...viewsOf(status, events, metrics, look),
    {
      method: 'GET',
      path: '/health/live',
      handle: () => ok({ status: 'alive', version: health().report.version, uptime: Math.round(process.uptime()) }),
    },
    {
      method: 'GET',
      path: '/health/ready',
      handle: () => {
        const { report, components } = health();
        const { status: state, ready, wanted, version } = report;
        const body = {
          status: state,
          components,
          workers: { ready, wanted },
          version,
          uptime: Math.round(process.uptime()),
        };
        return { status: state === 'healthy' || state === 'degraded' ? 200 : 503, body };
      },
    },
  ];
}
