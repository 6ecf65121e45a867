/** Says so if an app serves without Node's own sockets: prefork can then neither share its port nor drain it. */

import { readdirSync } from 'node:fs';
import { listeningRows } from '../../system/proc-net.ts';
import { socketInode } from '../../system/socket-inode.ts';

/** Milliseconds after the main module has run. */
const looks = [1_000, 4_000, 15_000];

/**
 * To be called when the main module has run.
 *
 * @param listens whether the app has listened in the usual way meanwhile
 */
export function watchForNativeServer(listens: () => boolean): void {
  const timers = looks.map((after) =>
    setTimeout(() => {
      if (listens()) return;
      const port = ownListeningPort();
      if (port === null) return;
      for (const timer of timers) clearTimeout(timer);
      process.emitWarning(
        `the app listens on port ${port}, but not through Node's net: a native server (uWebSockets.js, for example), or one in a worker thread. prefork cannot share its port between workers nor drain it, and takes the worker for one that does not listen. Use a server of node:http, node:http2 or node:net in the main thread, or run this app without prefork`,
        { type: 'PreforkWarning', code: 'PREFORK_NATIVE_SERVER' },
      );
    }, after).unref(),
  );
}

/** The port of a socket of this process that listens; `null` if there is none, or if the system does not say. */
function ownListeningPort(): number | null {
  const debuggers = new URL(process.getBuiltinModule('node:inspector').url() ?? 'ws://localhost:0').port;
  const inodes = new Set(ownDescriptors().flatMap((fd) => socketInode(fd) ?? []));
  for (const table of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    for (const [, local = '', , , , , , , , inode = ''] of listeningRows(table)) {
      const port = Number.parseInt(local.split(':')[1] ?? '', 16);
      if (inodes.has(inode) && String(port) !== debuggers) return port;
    }
  }
  return null;
}

function ownDescriptors(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return [];
  }
}
