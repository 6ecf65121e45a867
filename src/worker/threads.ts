/**
 * Servers in the app's worker threads (node:worker_threads). A thread has no channel to the master: it binds by itself, and
 * the thread of the next worker would find the port in use. Where the kernel lets sockets share a port, they do; elsewhere
 * one line says why it fails, and what helps.
 */
import { type EventEmitter, errorMonitor } from 'node:events';
import { writeSync } from 'node:fs';
import net, { type Server } from 'node:net';
import { supportsReusePort } from '../system/node-internals.ts';

/**
 * Whether this is a thread of a worker, if it is no worker itself: only in threads of workers is the agent preloaded, for a
 * worker leaves no trace of that to what it forks.
 */
export function isThreadOfWorker(): boolean {
  return !process.getBuiltinModule('node:worker_threads').isMainThread;
}

/** Has servers of this thread share their ports with those of other workers' threads. */
export function shareInThread(): void {
  const { prototype } = net.Server;
  const { listen } = prototype;
  function listenShared(this: Server, ...args: unknown[]): Server {
    const options = portOptions(args);
    if (options === null || this.listening) return Reflect.apply(listen, this, args);
    // No event listener that keeps an error from being thrown.
    (this as EventEmitter).once(errorMonitor, explain);
    const callback = args.findLast((arg) => typeof arg === 'function');
    const shared = supportsReusePort() ? [{ ...options, reusePort: true }, callback] : args;
    return Reflect.apply(listen, this, shared);
  }
  Object.defineProperty(prototype, 'listen', { value: listenShared, writable: true, configurable: true });
}

function explain(error: NodeJS.ErrnoException & { readonly port?: number }): void {
  if (error.code !== 'EADDRINUSE') return;
  const text = `prefork: port ${error.port} is in use, maybe by the same thread of another worker: a server in a worker thread is not shared between workers before Node 22.12; listen in the main thread, or on port 0 (PREFORK_THREAD_LISTENS)`;
  try {
    // Not by way of the main thread, which may be about to fail because of this.
    writeSync(2, `${text}\n`);
  } catch {
    // Nobody reads it.
  }
}

/** The options of a `listen()` on a port that is named; `null` for any other. */
function portOptions(args: readonly unknown[]): object | null {
  const [first, second, third] = args;
  if (typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first))) {
    if (Number(first) === 0) return null;
    const host = typeof second === 'string' ? second : undefined;
    const backlog = [second, third].find((arg) => typeof arg === 'number');
    return {
      port: Number(first),
      ...(host === undefined ? {} : { host }),
      ...(backlog === undefined ? {} : { backlog }),
    };
  }
  if (typeof first !== 'object' || first === null) return null;
  const { port, fd, _handle, handle, exclusive } = first as Readonly<Record<string, unknown>>;
  const isElse = fd !== undefined || _handle !== undefined || handle !== undefined || exclusive === true;
  return isElse || port === undefined || port === null || Number(port) === 0 ? null : first;
}
