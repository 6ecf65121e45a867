/** Checks what a worker sends. Workers are not trusted: nothing is used that was not looked at here. */
import type { ListenQuery } from '../system/node-internals.ts';
import { checkFigures } from './check-figures.ts';
import { checkAppMetrics, checkTraffic } from './check-metrics.ts';
import { type Fields, isAmount, isCount, isFields, isText, maxText } from './check-values.ts';
import { type ErrorReport, unwrap, type WorkerMessage } from './messages.ts';

/** `foreign` is a message of the app's own, which prefork has nothing to do with. */
export type Checked =
  | { readonly kind: 'message'; readonly message: WorkerMessage }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Takes anything that arrived on a worker's channel. */
export function checkWorkerMessage(raw: unknown): Checked {
  const inner = unwrap(raw);
  if (inner === null) return { kind: 'foreign' };
  const message = checkFields(inner as Fields);
  return message === null
    ? { kind: 'malformed', reason: `malformed message of type ${String(inner.type).slice(0, 40)}` }
    : { kind: 'message', message };
}

function checkFields(m: Fields): WorkerMessage | null {
  switch (m.type) {
    case 'listen': {
      const query = checkQuery(m.query);
      if (!isCount(m.seq) || typeof m.bound !== 'boolean' || !isCount(m.ordinal) || query === null) return null;
      return { type: 'listen', seq: m.seq, bound: m.bound, ordinal: m.ordinal, query };
    }
    case 'unlisten':
      return isText(m.listener) ? { type: 'unlisten', listener: m.listener } : null;
    case 'ready':
    case 'termed':
    case 'session-missed':
      return { type: m.type };
    case 'beat': {
      const figures = checkFigures(m.figures);
      return figures === null ? null : { type: 'beat', figures };
    }
    case 'failed': {
      const error = checkError(m.error);
      if (error === null || (m.kind !== 'load' && m.kind !== 'boot')) return null;
      return { type: 'failed', kind: m.kind, error };
    }
    case 'health':
      return checkHealth(m);
    case 'short':
      return isCount(m.connections) ? { type: 'short', connections: m.connections } : null;
    case 'traffic':
      return checkTraffic(m);
    case 'app-metrics':
      return checkAppMetrics(m);
    case 'log-trouble':
      return isCount(m.lines) && typeof m.reason === 'string'
        ? { type: 'log-trouble', lines: m.lines, reason: m.reason.slice(0, 300) }
        : null;
    case 'draining':
      return checkDraining(m);
    case 'drained':
      return isCount(m.cutRequests) && isCount(m.cutConnections)
        ? { type: 'drained', cutRequests: m.cutRequests, cutConnections: m.cutConnections }
        : null;
    default:
      return null;
  }
}

function checkQuery(raw: unknown): ListenQuery | null {
  if (!isFields(raw)) return null;
  const address = raw.address ?? null;
  const port = raw.port ?? null;
  const fd = raw.fd ?? null;
  if (address !== null && !isText(address)) return null;
  if (port !== null && (typeof port !== 'number' || !Number.isInteger(port) || port < -1 || port > 65_535)) return null;
  if (fd !== null && !isCount(fd)) return null;
  if (raw.addressType !== 4 && raw.addressType !== 6 && raw.addressType !== -1) return null;
  return { address, port, fd, addressType: raw.addressType, flags: isCount(raw.flags) ? raw.flags : 0 };
}

function checkError(raw: unknown): ErrorReport | null {
  if (!isFields(raw)) return null;
  const { name, message, stack } = raw;
  if (typeof name !== 'string' || typeof message !== 'string' || typeof stack !== 'string') return null;
  return { name: name.slice(0, 200), message: message.slice(0, 2_000), stack: stack.slice(0, maxText) };
}

function checkDraining(m: Fields): WorkerMessage | null {
  if (!isCount(m.inFlight) || !isCount(m.connections) || !isCount(m.upgraded) || !Array.isArray(m.requests))
    return null;
  const requests = m.requests.slice(0, 20).flatMap((raw: unknown) => {
    if (!isFields(raw) || typeof raw.method !== 'string' || typeof raw.url !== 'string' || !isAmount(raw.age))
      return [];
    return [{ method: raw.method.slice(0, 20), url: raw.url.slice(0, 500), age: raw.age }];
  });
  return { type: 'draining', requests, inFlight: m.inFlight, connections: m.connections, upgraded: m.upgraded };
}

function checkHealth(m: Fields): WorkerMessage | null {
  if (!Array.isArray(m.checks) || m.checks.length > 50) return null;
  const checks = m.checks.flatMap((raw: unknown) => {
    if (!isFields(raw) || typeof raw.name !== 'string') return [];
    if (typeof raw.ok !== 'boolean' || typeof raw.critical !== 'boolean') return [];
    const error = typeof raw.error === 'string' ? raw.error.slice(0, 300) : null;
    return [{ name: raw.name.slice(0, 100), ok: raw.ok, critical: raw.critical, error }];
  });
  return checks.length === m.checks.length ? { type: 'health', checks } : null;
}
