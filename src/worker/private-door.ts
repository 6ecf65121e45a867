/**
 * Where a server of a held worker can be asked: a loopback port that no client knows. The server itself has the service's
 * sockets, and accepts nobody from them; whoever comes in here is served as from there.
 */
import type { Server } from 'node:net';
import type { PrivateAddress } from '../protocol/messages.ts';
import { bindHandle, closeHandle, handleAddress, isReferenced, joinHandle } from '../system/node-internals.ts';

export interface PrivateDoor {
  readonly address: Omit<PrivateAddress, 'listener'>;
  /** Nobody is accepted any more; who is in stays. */
  readonly close: () => void;
}

/** @returns `null` if there is no loopback address to be had */
export function openDoor(server: Server, backlog: number): PrivateDoor | null {
  for (const host of ['127.0.0.1', '::1'] as const) {
    const handle = bindHandle(host, 0, host === '::1' ? 6 : 4, null, 0);
    if (typeof handle === 'number') continue;
    const bound = handleAddress(handle);
    if (bound === null || joinHandle(server, handle, backlog) !== 0) {
      closeHandle(handle);
      continue;
    }
    // A handle that does not accept keeps no process alive, and the server's own does not.
    if (isReferenced(server)) handle.ref();
    return { address: { host, port: bound.port, secure: isSecure(server) }, close: () => closeHandle(handle) };
  }
  return null;
}

/** Of node:tls, node:https and node:http2; loading any of them to ask would cost every worker. */
function isSecure(server: Server): boolean {
  return typeof (server as { readonly setSecureContext?: unknown }).setSecureContext === 'function';
}
