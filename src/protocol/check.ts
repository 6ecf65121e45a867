/** Checks what a worker sends. Workers are not trusted: nothing is used that was not looked at here. */
import { isIP } from 'node:net';
import {
  type DatagramQuery,
  type ListenQuery,
  UV_READABLE,
  UV_TCP_IPV6ONLY,
  UV_UDP_IPV6ONLY,
  UV_UDP_REUSEADDR,
  UV_WRITABLE,
} from '../system/node-internals.ts';
import { plain } from '../system/plain.ts';
import { becauseIn, checkDying, checkSnapshot, frameIn } from './check-dying.ts';
import { checkFigures } from './check-figures.ts';
import { checkAppMetrics, checkTraffic } from './check-metrics.ts';
import { requestsIn } from './check-requests.ts';
import {
  clip,
  type Fields,
  isAmount,
  isCount,
  isFields,
  isText,
  maxCheckError,
  maxCheckName,
  maxErrorMessage,
  maxErrorName,
  maxText,
} from './check-values.ts';
import { type ErrorReport, type PrivateAddress, type SlowRequest, slowStates, type WorkerMessage } from './messages.ts';
import { type KeptReason, keptReasons } from './migration.ts';
import { isTraceId } from './request.ts';
import { maxUrl, mostRequests } from './requests.ts';

export type Checked =
  | { readonly kind: 'message'; readonly message: WorkerMessage }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Requests that a heartbeat tells of: it comes twice a second. */
const maxBeatRequests = 10;

/** Longest address, characters: a path, at most (PATH_MAX in limits.h of Linux). */
const maxAddress = 4_096;

/** Private addresses of a worker that is held. */
const maxAddresses = 20;

/**
 * Flags of libuv that a worker may ask for. SO_REUSEPORT is not among them: the kernel demands that all sockets that share
 * a port that way have the same user, and the master may be root.
 */
const flagsOfTcp = UV_TCP_IPV6ONLY;
const flagsOfUdp = UV_UDP_IPV6ONLY | UV_UDP_REUSEADDR;
const flagsOfUnix = UV_READABLE | UV_WRITABLE;

/** Takes anything that JSON can be. */
export function checkWorkerMessage(raw: unknown): Checked {
  const message = isFields(raw) ? checkFields(raw) : null;
  if (message !== null) return { kind: 'message', message };
  const { type } = isFields(raw) ? raw : {};
  // It is logged.
  const isName = typeof type === 'string' && /^[\w-]{1,40}$/.test(type);
  return { kind: 'malformed', reason: `malformed message of type ${isName ? type : 'unknown'}` };
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
    case 'bind': {
      const query = checkDatagramQuery(m.query);
      return isCount(m.seq) && isCount(m.ordinal) && query !== null
        ? { type: 'bind', seq: m.seq, ordinal: m.ordinal, query }
        : null;
    }
    case 'unbind':
      return isCount(m.seq) ? { type: 'unbind', seq: m.seq } : null;
    case 'ready': {
      if (m.addresses === undefined) return { type: 'ready' };
      const addresses = checkAddresses(m.addresses);
      return addresses === null ? null : { type: 'ready', addresses };
    }
    case 'booted':
    case 'candidate':
    case 'termed':
    case 'unheard':
    case 'mute':
    case 'session-missed':
      return { type: m.type };
    case 'beat': {
      const figures = checkFigures(m.figures);
      const requests = requestsIn(m.requests, maxBeatRequests);
      return figures === null
        ? null
        : {
            type: 'beat',
            figures,
            ...(requests.length > 0 ? { requests } : {}),
            ...(isCount(m.heapLimit) ? { heapLimit: m.heapLimit } : {}),
          };
    }
    case 'failed': {
      const error = checkError(m.error);
      if (error === null || (m.kind !== 'load' && m.kind !== 'boot')) return null;
      return { type: 'failed', kind: m.kind, error };
    }
    case 'resigned':
      if (m.reason === null) return { type: 'resigned', reason: null };
      return typeof m.reason === 'string' ? { type: 'resigned', reason: clip(m.reason, maxErrorMessage) } : null;
    case 'health':
      return checkHealth(m);
    case 'migrated':
      return checkMigrated(m.delta);
    case 'short':
      return isCount(m.connections) ? { type: 'short', connections: m.connections } : null;
    case 'traffic':
      return checkTraffic(m);
    case 'app-metrics':
      return checkAppMetrics(m);
    case 'log-trouble':
      return isCount(m.lines) && typeof m.reason === 'string'
        ? { type: 'log-trouble', lines: m.lines, reason: clip(m.reason, 300) }
        : null;
    case 'draining':
      return checkDraining(m);
    case 'stack':
      return checkStack(m);
    case 'slow':
      return checkSlow(m);
    case 'requests':
      return isCount(m.seq) && isCount(m.total) && Array.isArray(m.requests)
        ? { type: 'requests', seq: m.seq, total: m.total, requests: requestsIn(m.requests, mostRequests) }
        : null;
    case 'drained':
      return checkDrained(m);
    case 'dying':
      return checkDying(m);
    case 'snapshot':
      return checkSnapshot(m);
    default:
      return null;
  }
}

/** Only loopback: what the command is told to ask is on this machine, whatever a worker says. */
function checkAddresses(raw: unknown): readonly PrivateAddress[] | null {
  if (!Array.isArray(raw)) return null;
  return raw.slice(0, maxAddresses).flatMap((each: unknown): PrivateAddress[] => {
    if (!isFields(each) || !isText(each.listener) || (each.host !== '127.0.0.1' && each.host !== '::1')) return [];
    if (!isCount(each.port) || each.port < 1 || each.port > 65_535 || typeof each.secure !== 'boolean') return [];
    return [{ listener: each.listener, host: each.host, port: each.port, secure: each.secure }];
  });
}

function checkQuery(raw: unknown): ListenQuery | null {
  if (!isFields(raw)) return null;
  const address = raw.address ?? null;
  const port = raw.port ?? null;
  const fd = raw.fd ?? null;
  if (address !== null && (typeof address !== 'string' || address.length > maxAddress)) return null;
  if (port !== null && (typeof port !== 'number' || !Number.isInteger(port) || port < -1 || port > 65_535)) return null;
  if (fd !== null && !isCount(fd)) return null;
  if (raw.addressType !== 4 && raw.addressType !== 6 && raw.addressType !== -1) return null;
  const { addressType } = raw;
  const allowed = addressType === -1 ? flagsOfUnix : flagsOfTcp;
  return { address, port, fd, addressType, flags: flagsOf(raw.flags) & allowed };
}

function checkDatagramQuery(raw: unknown): DatagramQuery | null {
  if (!isFields(raw)) return null;
  const { port, family, flags } = raw;
  const address = raw.address ?? null;
  const fd = raw.fd ?? null;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535) return null;
  if (family !== 4 && family !== 6) return null;
  if (fd !== null && !isCount(fd)) return null;
  // Of names there is no need: node:dgram has looked them up.
  if (address === null ? fd === null : typeof address !== 'string' || isIP(withoutZone(address)) !== family)
    return null;
  return { address: address as string | null, port, family, fd, flags: flagsOf(flags) & flagsOfUdp };
}

/** As in `fe80::1%eth0`. */
function withoutZone(address: string): string {
  return address.length <= 100 ? address.replace(/%[\w.-]+$/, '') : '';
}

function flagsOf(value: unknown): number {
  return isCount(value) && value < 16 ? value : 0;
}

function checkError(raw: unknown): ErrorReport | null {
  if (!isFields(raw)) return null;
  const { name, message, stack } = raw;
  if (typeof name !== 'string' || typeof message !== 'string' || typeof stack !== 'string') return null;
  return {
    name: clip(name, maxErrorName),
    message: clip(message, maxErrorMessage),
    stack: clip(stack, maxText),
    frame: frameIn(raw.frame),
    isRejection: raw.isRejection === true,
    because: becauseIn(raw.because),
  };
}

function checkDrained({ cutRequests, cutConnections, requests: given }: Fields): WorkerMessage | null {
  if (!isCount(cutRequests) || !isCount(cutConnections)) return null;
  const requests = requestsIn(given);
  return { type: 'drained', cutRequests, cutConnections, ...(requests.length > 0 ? { requests } : {}) };
}

function checkDraining(m: Fields): WorkerMessage | null {
  if (!isCount(m.inFlight) || !isCount(m.connections) || !isCount(m.upgraded) || !Array.isArray(m.requests))
    return null;
  const requests = requestsIn(m.requests);
  return { type: 'draining', requests, inFlight: m.inFlight, connections: m.connections, upgraded: m.upgraded };
}

function checkSlow({ requests: given, more, within }: Fields): WorkerMessage | null {
  if (!Array.isArray(given) || !isCount(more) || !isCount(within)) return null;
  const textOf = (value: unknown): string | null => (typeof value === 'string' ? plain(clip(value, 200)) : null);
  const requests = given.slice(0, 10).flatMap((raw: unknown): SlowRequest[] => {
    if (!isFields(raw)) return [];
    const { method, url, age, status } = raw;
    const state = slowStates.find((known) => known === raw.state);
    if (typeof method !== 'string' || typeof url !== 'string' || !isAmount(age) || state === undefined) return [];
    return [
      {
        method: plain(clip(method, 20)),
        url: plain(clip(url, maxUrl)),
        route: textOf(raw.route),
        id: textOf(raw.id),
        trace: isTraceId(raw.trace) ? raw.trace : null,
        age,
        state,
        status: isCount(status) && status < 1_000 ? status : null,
      },
    ];
  });
  return { type: 'slow', requests, more, within };
}

function checkStack({ frames, requests, isOwn, resources }: Fields): WorkerMessage | null {
  if (!Array.isArray(frames) || !Array.isArray(requests) || !Array.isArray(resources)) return null;
  const texts = (list: readonly unknown[], count: number, length: number): string[] =>
    list.slice(0, count).flatMap((text) => (typeof text === 'string' ? [plain(text.slice(0, length))] : []));
  return {
    type: 'stack',
    frames: texts(frames, 30, 500),
    isOwn: isOwn === true,
    requests: requestsIn(requests),
    resources: texts(resources, 40, 40),
  };
}

function checkMigrated(raw: unknown): WorkerMessage | null {
  if (!isFields(raw)) return null;
  const { given, taken, returned, lost } = raw;
  if (!isCount(given) || !isCount(taken) || !isCount(returned) || !isCount(lost) || !Array.isArray(raw.kept))
    return null;
  const kept = raw.kept.slice(0, keptReasons.length).flatMap((pair: unknown): [KeptReason, number][] => {
    const [name, count] = Array.isArray(pair) ? (pair as unknown[]) : [];
    const reason = keptReasons.find((known) => known === name);
    return reason === undefined || !isCount(count) ? [] : [[reason, count]];
  });
  return { type: 'migrated', delta: { given, taken, returned, lost, kept } };
}

function checkHealth(m: Fields): WorkerMessage | null {
  if (!Array.isArray(m.checks) || m.checks.length > 50) return null;
  const checks = m.checks.flatMap((raw: unknown) => {
    if (!isFields(raw) || typeof raw.name !== 'string') return [];
    if (typeof raw.ok !== 'boolean' || typeof raw.critical !== 'boolean') return [];
    const error = typeof raw.error === 'string' ? clip(raw.error, maxCheckError) : null;
    return [{ name: clip(raw.name, maxCheckName), ok: raw.ok, critical: raw.critical, error }];
  });
  return checks.length === m.checks.length ? { type: 'health', checks } : null;
}
