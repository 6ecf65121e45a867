/**
 * Real WebSockets, with the client of `ws`: messages that must come back. A close of the service's between two messages is
 * no failure: the client opens another. One that crosses with a message is: RFC 6455, 5.5.1, lets who has sent a Close
 * discard what comes after.
 */
import WebSocket from 'ws';
import { addressOf } from '../request.ts';
import { whenLate } from '../slowness.ts';
import { Client, classify } from './client.ts';
import type { Failure } from './tally.ts';

export class WebSocketClient extends Client {
  #socket: WebSocket | null = null;
  #messages = 0;

  protected async once(): Promise<boolean> {
    if (this.#socket?.readyState !== WebSocket.OPEN && !(await this.#open())) return false;
    const socket = this.#socket;
    return socket !== null && (await this.#echo(socket));
  }

  protected override async close(): Promise<void> {
    this.#socket?.terminate();
  }

  #open(): Promise<boolean> {
    const ticket = this.tally.begin();
    const address = addressOf(this.target);
    const path = this.options.path ?? '/';
    const scheme = this.target.secure === true ? 'wss' : 'ws';
    const url =
      'port' in address
        ? `${scheme}://${address.host}:${address.port}${path}`
        : `${scheme}+unix:${address.socketPath}:${path}`;
    const socket = new WebSocket(url, { rejectUnauthorized: false });
    this.tally.connections++;
    return new Promise((resolve) => {
      const cancel = whenLate(this.timeout, () => {
        fail('client-timeout', `no upgrade in ${this.timeout} ms`);
        socket.terminate();
      });
      let settled = false;
      const fail = (failure: Failure, detail: string): void => {
        if (settled) return;
        settled = true;
        cancel();
        this.tally.fail(ticket, failure, `websocket: ${detail}`);
        resolve(false);
      };
      socket.on('error', (error: NodeJS.ErrnoException) => {
        // As `ws` names an end that comes instead of an upgrade.
        const isCut = error.code === undefined && /hang up/.test(error.message);
        fail(isCut ? 'reset-before-byte' : classify(error, false), `${error.code ?? ''} ${error.message}`);
      });
      socket.on('open', () => {
        settled = true;
        cancel();
        this.tally.answer(ticket);
        this.#socket = socket;
        resolve(true);
      });
    });
  }

  #echo(socket: WebSocket): Promise<boolean> {
    const ticket = this.tally.begin();
    const text = `message ${this.#messages++}`;
    return new Promise((resolve) => {
      const settle = (good: boolean): void => {
        cancel();
        socket.off('message', message).off('close', closed);
        if (!good) socket.terminate();
        resolve(good);
      };
      const message = (data: WebSocket.RawData): void => {
        const { pid, echo } = read(String(data));
        if (echo === text) this.tally.answer(ticket, pid === undefined ? {} : { pid });
        else this.tally.fail(ticket, 'wrong-body', `sent ${text}, got ${String(data).slice(0, 200)}`);
        settle(echo === text);
      };
      const closed = (code: number): void => {
        this.tally.fail(ticket, 'reset-mid-body', `websocket: closed with ${code} before the echo`);
        settle(false);
      };
      const cancel = whenLate(this.timeout, () => {
        this.tally.fail(ticket, 'client-timeout', `websocket: no echo in ${this.timeout} ms`);
        settle(false);
      });
      socket.on('message', message).on('close', closed);
      socket.send(text);
    });
  }
}

function read(text: string): { readonly pid?: number; readonly echo?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return {};
    const { pid, echo } = value as Record<string, unknown>;
    return { echo, ...(typeof pid === 'number' ? { pid } : {}) };
  } catch {
    return {};
  }
}
