/**
 * Talks to the inspector of a worker whose event loop is blocked. SIGUSR1 opens it (node:process, "Signal events"); it
 * runs on a thread of its own and answers while JavaScript spins.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { listeningRows } from '../../system/proc-net.ts';

/** Where the inspectors are that were opened before. */
const knownPorts = new Map<number, number>();
const maxKnown = 100;

/** A session of the Chrome DevTools Protocol. */
export interface Session {
  send(method: string, params?: object): Promise<Readonly<Record<string, unknown>>>;
  /** @returns the parameters of the next event of that name */
  next(event: string): Promise<Readonly<Record<string, unknown>>>;
  on(event: string, listener: (params: Readonly<Record<string, unknown>>) => void): void;
  close(): void;
}

/**
 * @param pid a child of ours
 * @param open makes the worker open its inspector
 * @throws Error if it does not answer before `signal` aborts
 */
export async function connectInspector(pid: number, open: () => void, signal: AbortSignal): Promise<Session> {
  const before = listeningPorts(pid);
  const known = knownPorts.get(pid);
  const isOpen = known !== undefined && before.has(known);
  if (!isOpen) open();
  // A worker closes its inspector when its loop turns again; until then it is not opened a second time.
  const port = isOpen ? known : await findNewPort(pid, before, signal);
  if (knownPorts.size >= maxKnown) knownPorts.clear();
  knownPorts.set(pid, port);
  const url = await debuggerUrl(port, signal);
  const { WebSocket } = await import('ws');
  const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: 1_000 });
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => socket.terminate(), { once: true });
    socket.once('open', () => resolve(session(socket)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the inspector closed')));
  });
}

function session(socket: WebSocket): Session {
  let lastId = 0;
  type Settle = { resolve: (value: Readonly<Record<string, unknown>>) => void; reject: (error: Error) => void };
  const pending = new Map<number, Settle>();
  const listeners = new Map<string, ((params: Readonly<Record<string, unknown>>) => void)[]>();
  const waiting: Settle[] = [];
  socket.on('error', () => {});
  socket.on('close', () => {
    for (const { reject } of [...pending.values(), ...waiting]) reject(new Error('the inspector closed'));
  });
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as { id?: number; method?: string; result?: object; params?: object };
    if (message.id !== undefined) {
      pending.get(message.id)?.resolve((message.result ?? {}) as Readonly<Record<string, unknown>>);
      pending.delete(message.id);
    } else if (message.method !== undefined) {
      for (const listener of listeners.get(message.method) ?? []) {
        listener((message.params ?? {}) as Readonly<Record<string, unknown>>);
      }
    }
  });
  const on: Session['on'] = (event, listener) => {
    listeners.set(event, [...(listeners.get(event) ?? []), listener]);
  };
  return {
    on,
    send(method, params = {}) {
      lastId += 1;
      const id = lastId;
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, method, params }), (error) => error && reject(error));
      });
    },
    next(event) {
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        on(event, resolve);
      });
    },
    close: () => socket.terminate(),
  };
}

async function findNewPort(pid: number, before: ReadonlySet<number>, signal: AbortSignal): Promise<number> {
  for (;;) {
    for (const port of listeningPorts(pid)) if (!before.has(port)) return port;
    await delay(5, undefined, { signal });
  }
}

/** TCP ports on 127.0.0.1 that the process listens on, from /proc: the port is the kernel's choice, and told to no one. */
function listeningPorts(pid: number): Set<number> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed meanwhile.
    }
  }
  const ports = new Set<number>();
  for (const [, local, , , , , , , , inode] of listeningRows(`/proc/${pid}/net/tcp`)) {
    const [host, port] = local?.split(':') ?? [];
    // 0100007F is 127.0.0.1.
    if (host === '0100007F' && port !== undefined && inodes.has(inode ?? '')) ports.add(Number.parseInt(port, 16));
  }
  return ports;
}

function debuggerUrl(port: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: '/json/list', signal }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => {
        const target = (JSON.parse(body) as { webSocketDebuggerUrl?: string }[])[0];
        if (target?.webSocketDebuggerUrl === undefined) reject(new Error('the inspector has no target'));
        else resolve(target.webSocketDebuggerUrl);
      });
    });
    request.on('error', reject);
  });
}
