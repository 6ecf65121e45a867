/**
 * Checks what a worker sends to node:cluster's own code in the master. Workers are not trusted, and that code trusts
 * them: it binds what they name, and throws at an `act` that happens to be a property of every object.
 */
import net from 'node:net';
import { constants } from 'node:os';

/** UDP sockets a worker may have the master bind for it at a time. */
const maxDatagramSockets = 64;

/**
 * @param datagramSockets how often each is open
 * @param mayBind whether the worker could bind a port by itself
 * @returns what may pass of the message; libuv's error number where it is to be refused
 */
export function checkClusterMessage(
  raw: unknown,
  datagramSockets: Map<string, number>,
  mayBind: (port: number) => boolean,
): object | number | null {
  if (typeof raw !== 'object' || raw === null) return null;
  const message = raw as Readonly<Record<string, unknown>>;
  if (message.cmd !== 'NODE_CLUSTER' || !Number.isSafeInteger(message.seq)) return null;
  const base = { cmd: message.cmd, seq: message.seq, act: message.act };
  switch (message.act) {
    case 'online':
    case 'exitedAfterDisconnect':
      return base;
    case 'queryServer': {
      const { address, port, addressType, index, flags } = message;
      if (addressType !== 'udp4' && addressType !== 'udp6') return null;
      // Node makes no socket for an address that is none, and fails at sending it.
      if (typeof address !== 'string' || net.isIP(address) === 0) return null;
      if (!isPort(port) || !Number.isSafeInteger(index)) return null;
      if (!mayBind(port)) return -constants.errno.EACCES;
      const open = [...datagramSockets.values()].reduce((sum, count) => sum + count, 0);
      if (open >= maxDatagramSockets) return -constants.errno.EMFILE;
      const key = `${address}:${port}:${addressType}:undefined`;
      datagramSockets.set(key, (datagramSockets.get(key) ?? 0) + 1);
      // Without `fd`: it would name one of the master's own.
      return { ...base, address, port, addressType, index, flags: Number.isSafeInteger(flags) ? flags : 0, data: null };
    }
    case 'close': {
      if (typeof message.key !== 'string') return null;
      // node:cluster adds an index to the keys of sockets on port 0, and on Node 20 to all.
      const key = [...datagramSockets.keys()].find((known) => String(message.key).startsWith(known));
      if (key === undefined) return null;
      const count = (datagramSockets.get(key) ?? 1) - 1;
      if (count === 0) datagramSockets.delete(key);
      else datagramSockets.set(key, count);
      return { ...base, key: message.key };
    }
    default:
      return null;
  }
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 65_536;
}
