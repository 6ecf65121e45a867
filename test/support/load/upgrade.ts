/** The client of upgraded connections, as WebSockets are. */
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { addressOf } from '../request.ts';
import { whenLate } from '../slowness.ts';
import { Client, classify } from './client.ts';
import type { Ticket } from './tally.ts';

/**
 * Lines over an upgraded connection, each of which must come back; after `count` of them the client opens another one. A
 * close between two lines is no failure.
 */
export class UpgradeClient extends Client {
  #socket: Duplex | null = null;
  #lines = 0;
  #left = 0;

  protected async once(): Promise<boolean> {
    if (this.#socket === null || this.#socket.destroyed || !this.#socket.writable) {
      const opened = await this.#open();
      if (!opened) return false;
    }
    const socket = this.#socket;
    if (socket === null) return false;
    const good = await this.#echo(socket, this.tally.begin());
    this.#left--;
    if (this.#left <= 0) socket.destroy();
    return good;
  }

  protected override async close(): Promise<void> {
    this.#socket?.destroy();
  }

  #open(): Promise<boolean> {
    const { tally } = this;
    const ticket = tally.begin();
    return new Promise((resolve) => {
      const headers = { connection: 'Upgrade', upgrade: 'echo' };
      const path = this.options.path ?? '/ws';
      const req = http.request({ ...addressOf(this.target), path, headers, agent: false });
      const noUpgrade = whenLate(this.timeout, () =>
        req.destroy(Object.assign(new Error('no upgrade'), { code: 'ETIMEDOUT' })),
      );
      const fail = (error: NodeJS.ErrnoException): void => {
        noUpgrade();
        tally.fail(ticket, classify(error, false), `${path}: ${error.code ?? ''} ${error.message}`);
        resolve(false);
      };
      req.on('error', fail);
      req.on('response', (res) => fail(new Error(`answered ${res.statusCode} to an upgrade`)));
      req.on('upgrade', (res, socket) => {
        noUpgrade();
        tally.connections++;
        const pid = Number(res.headers['x-pid']);
        tally.answer(ticket, Number.isInteger(pid) ? { pid } : {});
        socket.on('error', () => undefined);
        socket.on('end', () => socket.destroy());
        this.#socket = socket;
        this.#left = this.options.count ?? Number.POSITIVE_INFINITY;
        resolve(true);
      });
      req.end();
    });
  }

  #echo(socket: Duplex, ticket: Ticket): Promise<boolean> {
    const { tally } = this;
    const line = `line ${this.#lines++}\n`;
    return new Promise((resolve) => {
      let got = '';
      const done = (good: boolean): void => {
        cancel();
        socket.off('data', data).off('close', cut);
        if (good) tally.answer(ticket);
        else this.#socket = null;
        resolve(good);
      };
      const cut = (): void => {
        tally.fail(ticket, 'reset-mid-body', 'the upgraded connection ended before the echo');
        done(false);
      };
      const data = (chunk: Buffer): void => {
        got += chunk.toString();
        if (got.length < line.length) return;
        if (got !== line) tally.fail(ticket, 'wrong-body', `sent ${line} got ${got}`);
        done(got === line);
      };
      const cancel = whenLate(this.timeout, () => {
        tally.fail(ticket, 'client-timeout', 'no echo');
        socket.destroy();
        done(false);
      });
      socket.on('data', data).on('close', cut);
      socket.write(line);
    });
  }
}
