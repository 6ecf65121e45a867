/** Settings that have no effect here, said at the start rather than found out later. */

import type { Settings } from '../config/resolved.ts';
import { supportsReusePort } from '../ipc/node-internals.ts';

export function noticesFor(settings: Settings): string[] {
  const notices: string[] = [];
  if (settings.queues === 'per-worker' && !supportsReusePort()) {
    notices.push(
      'queues: per-worker has no effect here (it needs Linux and Node 22.12 or newer); one shared queue is used',
    );
  }
  if (settings.maxRequestsJitter > 0 && settings.maxRequests === 0)
    notices.push('maxRequestsJitter has no effect without maxRequests');
  if (settings.maxLifetimeJitter > 0 && settings.maxLifetime === 0)
    notices.push('maxLifetimeJitter has no effect without maxLifetime');
  if (settings.typescript === 'native' && (process.features as { typescript?: unknown }).typescript !== 'strip') {
    notices.push('typescript: native is not possible with this version of Node; workers will fail to load TypeScript');
  }
  if (settings.timeout > 0 && settings.blockedWarning > settings.timeout)
    notices.push('blockedWarning has no effect above timeout');
  return notices;
}
