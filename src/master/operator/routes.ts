/** The routes of the control socket: all that an operator can see and change. */
import type { Settings } from '../../config/resolved.ts';
import { withoutSecrets } from '../../config/show.ts';
import { shownWebhook } from '../../config/webhook-url.ts';
import type { Event } from '../../core/events.ts';
import { isLeaving, upgradeRefusal } from '../../core/fleet.ts';
import type { Fleet, ReloadOutcome, UpgradeOutcome } from '../../core/model.ts';
import type { Status } from '../../protocol/status.ts';
import type { Events } from './events.ts';
import { type Call, ok, type Reply, type Route, refuse } from './route.ts';
import { type MetricsPage, viewsOf } from './views.ts';

/** What the routes need of the master. */
export interface Steering {
  readonly status: () => Status;
  readonly events: Events;
  readonly settings: () => Settings;
  readonly metrics: MetricsPage;
  readonly post: (event: Event) => void;
  /** Asks for a reload and waits for its outcome; `null` if the service stopped first. */
  readonly reload: () => Promise<ReloadOutcome | null>;
  readonly fleet: () => Fleet;
  /** Asks for an upgrade and waits for its outcome; `null` if the service stopped first. */
  readonly upgrade: () => Promise<UpgradeOutcome | null>;
}

type Outcome = ReloadOutcome | UpgradeOutcome;

/** @returns the routes of the control socket */
export function controlRoutes({ status, events, settings, metrics, post, reload, fleet, upgrade }: Steering): Route[] {
  const taken = (body: object = {}): Reply => ({ status: 202, body: { accepted: true, ...body } });
  const isStopping = (): boolean => status().state === 'stopping';
  const stopping = (): Reply => refuse(409, 'stopping', 'the service is stopping');
  const handedOn = (): Reply =>
    refuse(409, 'upgrading', 'an upgrade is under way: the new master does the reload, and its log says how it ends');
  /** Something that takes a while: `wait` answers with its outcome. */
  const lasting = (path: string, ask: () => Promise<Outcome | null>, refusal: () => Reply | null): Route => ({
    method: 'POST',
    path,
    handle: async ({ body: { wait = false } }) => {
      if (typeof wait !== 'boolean') return refuse(400, 'bad_request', 'wait: expected true or false');
      const refused = refusal();
      if (refused !== null) return refused;
      const outcome = ask();
      if (!wait) return taken();
      const result = await outcome;
      if (result === null && isLeaving(fleet())) return handedOn();
      return result === null ? stopping() : ok({ ...result, duration: result.duration / 1_000 });
    },
  });
  return [
    ...viewsOf(status, events, metrics),
    { method: 'GET', path: '/config', handle: () => ok(redacted(settings())) },
    lasting('/reload', reload, () => (isStopping() ? stopping() : null)),
    lasting('/upgrade', upgrade, () => {
      const refusal = upgradeRefusal(fleet());
      return refusal === null ? null : refuse(409, 'upgrade_refused', `upgrade refused: ${refusal}`);
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

function scale({ body }: Call, status: Status, { maxWorkers }: Settings, post: (event: Event) => void): Reply {
  const { to, by } = body;
  const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value);
  if (isNumber(to) === isNumber(by))
    return refuse(400, 'bad_request', 'expected {"to": N} or {"by": N}, a whole number');
  const wanted = isNumber(to) ? to : status.wanted + Number(by);
  if (wanted < 1 || wanted > maxWorkers)
    return refuse(400, 'out_of_range', `expected from 1 to ${maxWorkers} workers (maxWorkers), got ${wanted}`);
  post({ type: 'resizeRequested', to: wanted });
  return { status: 202, body: { accepted: true, workers: wanted } };
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
    env: hide(settings.env),
    args: settings.args.map(() => '***'),
    nodeArgs: settings.nodeArgs.map(withoutSecrets),
    statsdTags: hide(settings.statsdTags),
    release: settings.release === null ? null : withoutSecrets(settings.release),
    verify: settings.verify === null ? null : withoutSecrets(settings.verify),
    webhook: settings.webhook === null ? null : shownWebhook(settings.webhook),
  };
}
