/** What the control socket and the admin address both show. */
import { type Status, statusVersion } from '../../protocol/status.ts';
import type { Events } from './events.ts';
import type { Reply, Route } from './route.ts';

/** The page of metrics, in the format that the `Accept` header asks for. */
export type MetricsPage = (accept: string | undefined) => Promise<{ readonly type: string; readonly text: string }>;

/**
 * @param look looks anew at what the status says of the disk
 * @returns the routes
 */
export function viewsOf(
  status: () => Status,
  events: Events,
  metrics: MetricsPage,
  look: () => Promise<void> = async () => {},
): Route[] {
  const ok = (body: unknown): Reply => ({ status: 200, body });
  return [
    { method: 'GET', path: '/status', handle: () => look().then(() => ok(status())) },
    { method: 'GET', path: '/workers', handle: () => ok(status().workers) },
    { method: 'GET', path: '/listeners', handle: () => ok(status().listeners) },
    {
      method: 'GET',
      path: '/timeline',
      handle: () => {
        const { instance, entries } = events.timeline;
        return ok({ version: statusVersion, instance, entries });
      },
    },
    { method: 'GET', path: '/events', handle: (call) => events.answer(call) },
    {
      method: 'GET',
      path: '/metrics',
      handle: async ({ headers }) => {
        const { type, text } = await metrics(headers.accept);
        return { status: 200, body: text, type };
      },
    },
  ];
}
