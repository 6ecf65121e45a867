/** Why a test of Node's own gives another result in a worker of prefork than without it. */
import type { Difference } from './suite.ts';

interface Reason {
  /** Names of tests, without the suffix. */
  readonly tests: readonly string[];
  readonly reason: string;
}

const reasons: readonly Reason[] = [
  {
    tests: [
      'test-http2-error-order',
      'test-net-connect-immediate-destroy',
      'test-net-connect-memleak',
      'test-net-connect-reset-before-connected',
      'test-net-socket-destroy-twice',
      'test-net-socket-reset-twice',
      'test-net-socket-timeout-unref',
      'test-tls-connect-memleak',
      'test-tls-passphrase',
    ],
    reason:
      'it asks for the address right after `listen(0)`; the master chooses the port, and a worker hears of it later',
  },
  {
    tests: ['test-http2-allow-http1'],
    reason: 'it wants `close` within a turn of the event loop; in a worker the master closes the address first',
  },
  {
    tests: ['test-https-agent-session-eviction'],
    reason: 'it listens on the port of a server that it has just closed, before the master has closed it',
  },
  {
    tests: ['test-http-parser-lazy-loaded'],
    reason: "it puts its own parser in place before anything has loaded node:http; a worker's agent has loaded it",
  },
  {
    tests: [
      'test-dgram-bind-socket-close-before-cluster-reply',
      'test-dgram-cluster-bind-error',
      'test-dgram-cluster-close-during-bind',
      'test-dgram-cluster-close-in-listening',
      'test-dgram-exclusive-implicit-bind',
      'test-dgram-unref-in-cluster',
      'test-net-listen-exclusive-random-ports',
      'test-net-listen-handle-in-cluster-1',
      'test-net-listen-handle-in-cluster-2',
      'test-net-server-close-before-ipc-response',
      'test-net-socket-constructor',
      'test-tls-ticket-cluster',
    ],
    reason: "it is a cluster's primary, and wants to fork workers; in a worker `cluster.isPrimary` is false",
  },
  {
    tests: ['test-net-listen-fd0', 'test-net-server-listen-handle', 'test-dgram-bind-fd', 'test-dgram-bind-fd-error'],
    reason:
      "it listens on a file descriptor or a handle of its own; in a worker a number is a descriptor of the master's",
  },
  {
    tests: ['test-dgram-recv-error'],
    reason: 'it looks inside a UDP socket right after `bind()`; a worker has the socket when the master has sent it',
  },
  {
    tests: ['test-net-server-keepalive', 'test-net-server-nodelay'],
    reason:
      "it changes the server's handle right after `listen()`; a worker has the handle when the master has sent it",
  },
];

/** @returns `null` if nobody has looked at it */
export function reasonFor({ name }: Pick<Difference, 'name'>): string | null {
  const test = name.replace(/\.m?js$/, '');
  return reasons.find(({ tests }) => tests.includes(test))?.reason ?? null;
}
