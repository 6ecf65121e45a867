/** What the control socket and the admin address both show. */
import type { Reply, Route } from './http.ts';
import type { Status } from './status.ts';

export function viewsOf(status: () => Status): Route[] {
  const ok = (body: unknown): Reply => ({ status: 200, body });
  return [
    { method: 'GET', path: '/status', handle: () => ok(status()) },
    { method: 'GET', path: '/workers', handle: () => ok(status().workers) },
    { method: 'GET', path: '/listeners', handle: () => ok(status().listeners) },
  ];
}
