/** How the service is asked and steered, and what it says of its health. */
import { address, boolean, count, hostNames, string, time, urlPath, webhookUrl } from './kinds.ts';
import { computed, inGroup } from './setting.ts';
import { maxWorkersEver } from './workers.ts';

const setting = inGroup('Control and health');

export const controlAndHealth = {
  /** A path, or `'none'`. */
  controlSocket: setting({
    kind: string,
    default: computed('beside the pidfile, or in $XDG_RUNTIME_DIR'),
    doc: 'Unix socket for prefork status, reload and the like; none is off',
    elsewhere: ['control_socket'],
  }),
  /** `host:port`, a port, or `unix:/path`. */
  admin: setting({
    kind: address,
    default: computed('none'),
    doc: 'Address of the page, /metrics and /health: host:port, or unix:/path',
  }),
  /** Names besides IP addresses and `localhost`: `['shop', 'shop.internal']`. */
  adminHosts: setting({
    kind: hostNames,
    default: [],
    flag: 'admin-host',
    doc: 'Name by which the admin address may be asked, besides IP addresses and localhost; repeatable',
  }),
  /** `https://hooks.example/prefork`: events are posted to it as JSON, see docs/events.md. */
  webhook: setting({
    kind: webhookUrl,
    default: null,
    doc: 'http or https URL to which events are posted as JSON, the same as the on hook gets',
  }),
  health: setting({
    kind: boolean,
    default: computed('false, unless one of the paths is given'),
    for: ['worker'],
    doc: "Answer the health paths on the app's own port, ahead of the app",
  }),
  healthLive: setting({
    kind: urlPath,
    default: '/health/live',
    doc: 'Path of the liveness check; given, it turns health on',
  }),
  healthReady: setting({
    kind: urlPath,
    default: '/health/ready',
    doc: 'Path of the readiness check; given, it turns health on',
  }),
  readyQuorum: setting({
    kind: count(1, maxWorkersEver),
    default: 1,
    doc: 'Workers that must be ready for the service to be ready',
  }),
  drainDelay: setting({
    kind: time,
    default: 0,
    for: ['core'],
    doc: 'On TERM, how long to go on accepting while readiness says 503, for load balancers to see it',
  }),
  rejectWhileDraining: setting({
    kind: boolean,
    default: false,
    doc: 'Answer 503 to requests that arrive at a worker that drains for a stop',
  }),
  /** 0 leaves Node's. */
  keepAlive: setting({
    kind: time,
    default: 75_000,
    for: ['worker'],
    doc: "Idle time of a keep-alive connection, longer than the proxy's; 0 leaves what Node and the app have",
    elsewhere: ['keepalive'],
  }),
};
