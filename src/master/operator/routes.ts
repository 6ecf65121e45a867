/** The routes of the control socket: all that an operator can see and change. */
import type { Settings } from '../../config/resolved.ts';
import { withoutSecrets } from '../../config/show.ts';
import { shownWebhook } from '../../config/webhook-url.ts';
import type { Event } from '../../core/events.ts';
import { upgradeRefusal } from '../../core/fleet.ts';
import type { UpgradeOutcome } from '../../core/model.ts';
import type { Status } from '../../protocol/status.ts';
import type { Events } from './events.ts';
import { lasting, stopping, taken } from './lasting.ts';
import { type ReloadSteering, reloadRoutes } from './reload-routes.ts';
import { type Call, ok, type Reply, type Route, refuse } from './route.ts';
import { type MetricsPage, viewsOf } from './views.ts';

/** What the routes need of the master. */
export interface Steering extends ReloadSteering {
  readonly status: () => Status;
  readonly events: Events;
  readonly settings: () => Settings;
  readonly metrics: MetricsPage;
  /** Looks anew at the files of the releases. */
  readonly look?: () => Promise<void>;
  /** Asks for an upgrade and waits for its outcome; `null` if the service stopped first. */
  readonly upgrade: () => Promise<UpgradeOutcome | null>;
}

/** @returns the routes of the control socket */
export function controlRoutes({ status, events, settings, metrics, upgrade, look, ...steering }: Steering): Route[] {
  const { fleet, post } = steering;
  const isStopping = (): boolean => status().state === 'stopping';
  return [
    ...viewsOf(status, events, metrics, look),
    { method: 'GET', path: '/config', handle: () => ok(redacted(settings())) },
    ...reloadRoutes(steering),
    lasting('/upgrade', fleet, {
      ask: upgrade,
      refusal: () => {
        const refusal = upgradeRefusal(fleet());
        return refusal === null ? null : refuse(409, 'upgrade_refused', `upgrade refused: ${refusal}`);
      },
    }),
    {
      method: 'POST',
      path: '/scale',
      handle: (call) => (isStopping() ? stopping() : scale(call, status(), settings(), post)),
    },
    {
      method: 'POST',
      path: '/stop',
      handle: ({ body }) => {
        const { now = false } = body;
        if (typeof now !== 'boolean') return refuse(400, 'bad_request', 'now: expected true or false');
        post({ type: 'stopRequested', kind: now ? 'quick' : 'graceful' });
        return taken();
      },
    },
    {
      method: 'POST',
      path: '/recycle',
      handle: ({ body }) => {
        const { slot = null } = body;
        if (isStopping()) return stopping();
        if (slot !== null && !status().workers.some((worker) => worker.slot === slot))
          return refuse(400, 'no_slot', `slot: expected one of ${slotsOf(status())}, or none for all`);
        post({ type: 'recycleRequested', slot: slot as number | null });
        return taken();
      },
    },
    {
      method: 'POST',
      path: '/reopen',
      handle: () => {
        post({ type: 'reopenRequested' });
        return taken();
      },
    },
  ];
}

function scale({ body }: Call, status: Status, settings: Settings, post: (event: Event) => void): Reply {
  const { to, by } = body;
  const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value);
  if (isNumber(to) === isNumber(by))
    return refuse(400, 'bad_request', 'expected {"to": N} or {"by": N}, a whole number');
  const wanted = isNumber(to) ? to : status.wanted + Number(by);
  const { min, max } = settings.autoscale ?? { min: 1, max: settings.maxWorkers };
  const limit = settings.autoscale === null ? 'maxWorkers' : 'workers';
  if (wanted < min || wanted > max)
    return refuse(400, 'out_of_range', `expected from ${min} to ${max} workers (${limit}), got ${wanted}`);
  post({ type: 'resizeRequested', to: wanted });
  const until = settings.autoscale === null ? 'reload' : 'load';
  return { status: 202, body: { accepted: true, workers: wanted, until } };
}

function slotsOf({ workers }: Status): string {
  const slots = workers.map(({ slot }) => slot).filter((slot) => slot !== null);
  return [...new Set(slots)].sort((a, b) => a - b).join(', ');
}

/** Names of environment variables are of use to an operator; their values are secrets as often as not. */
function redacted(settings: Settings): Record<string, unknown> {
  const hide = (record: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.keys(record).map((name) => [name, '***']));
  return {
    ...settings,
    doubts: undefined,
    env: hide({ ...settings.env, ...settings.slotEnv }),
    slotEnv: undefined,
    args: settings.args.map(() => '***'),
    nodeArgs: settings.nodeArgs.map(withoutSecrets),
    statsdTags: hide(settings.statsdTags),
    release: settings.release === null ? null : withoutSecrets(settings.release),
    verify: settings.verify === null ? null : withoutSecrets(settings.verify),
    webhook: settings.webhook === null ? null : shownWebhook(settings.webhook),
  };
}
