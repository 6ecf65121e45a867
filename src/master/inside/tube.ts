/**
 * A tube: a unix socket for one look into one worker, over which what is found comes past the pipe on which the worker
 * speaks. It may be hundreds of megabytes long, and it goes on to the operator as fast as that one takes it.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { maxHead, maxHeadText, type TubeHead } from '../../protocol/tube.ts';
import { plain } from '../../system/plain.ts';
import { randomName } from '../../system/random-name.ts';

/** Digits of a secret, and its line break. */
const secretLength = 64 + 1;

/** The worker, or who was to get it, is gone before the end. */
export class TubeBroken extends Error {}

export class Tube {
  readonly path: string;
  readonly secret: string;
  /** Settles when the worker is at the other end. */
  readonly connected: Promise<void>;
  /** What the worker says first. @throws TubeBroken */
  readonly head: Promise<TubeHead>;
  readonly #server: Server;
  #socket: Socket | null = null;
  #break: (error: TubeBroken) => void = () => {};
  #isClosed = false;

  private constructor(server: Server, path: string, secret: string) {
    this.#server = server;
    this.path = path;
    this.secret = secret;
    let connected: () => void = () => {};
    this.connected = new Promise((resolve) => {
      connected = resolve;
    });
    this.head = new Promise((resolve, reject) => {
      this.#break = reject;
      server.on('connection', (socket) => this.#welcome(socket, connected, resolve));
    });
    // Who waits for it hears of it.
    this.head.catch(() => {});
  }

  /** @throws Error if there is no descriptor left, for example */
  static async open(): Promise<Tube> {
    // On Linux its name is in no folder, so that no rights to one are in the way of the workers' user.
    const path =
      process.platform === 'linux'
        ? `\0prefork-${randomName(16)}`
        : join(mkdtempSync(join(tmpdir(), 'prefork-')), 'tube');
    const server = net.createServer();
    // Whoever finds the name connects: the secret tells the worker from others.
    server.maxConnections = 8;
    const tube = new Tube(server, path, randomName(32));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // The workers may have another user; a name in no folder has no rights.
      const rights = path.startsWith('\0') ? {} : { readableAll: true, writableAll: true };
      server.listen({ path, ...rights }, resolve);
    });
    server.on('error', () => {});
    if (!path.startsWith('\0')) chmodSync(dirname(path), 0o711);
    return tube;
  }

  /**
   * What comes after the head: exactly so many bytes.
   *
   * @throws TubeBroken while it is read, if there are fewer
   */
  content(size: number): Readable {
    const socket = this.#socket;
    if (socket === null) throw new TubeBroken('nobody is at the other end');
    return Readable.from(this.#bytes(socket, size), { objectMode: false });
  }

  /** @param reason why, if it is before the end */
  close(reason = 'it was given up'): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#break(new TubeBroken(reason));
    this.#socket?.destroy();
    this.#retire();
  }

  /** The worker is gone: if it never came, it never will. */
  closeIfAlone(): void {
    if (this.#socket === null) this.close('the worker went away before it was done');
  }

  async *#bytes(socket: Socket, size: number): AsyncGenerator<Buffer> {
    let left = size;
    try {
      if (left === 0) return;
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        // More than was said is not the operator's to have.
        const piece = chunk.length > left ? chunk.subarray(0, left) : chunk;
        left -= piece.length;
        yield piece;
        if (left === 0) return;
      }
      throw new TubeBroken(`the worker went away ${left} bytes before the end`);
    } finally {
      this.close();
    }
  }

  #welcome(socket: Socket, connected: () => void, done: (head: TubeHead) => void): void {
    socket.on('error', () => {});
    let text = Buffer.alloc(0);
    let isKnown = false;
    const take = (chunk: Buffer): void => {
      text = Buffer.concat([text, chunk]);
      if (!isKnown) {
        if (text.length < secretLength && !text.includes(0x0a)) return;
        const [line, rest] = lineOf(text, secretLength);
        if (line !== this.secret || this.#socket !== null || this.#isClosed) {
          socket.destroy();
          return;
        }
        isKnown = true;
        text = Buffer.from(rest);
        this.#socket = socket;
        this.#retire();
        connected();
      }
      const [line, rest] = lineOf(text, maxHead);
      const head = line === null ? null : headIn(line);
      if (head === null && text.length < maxHead && line === null) return;
      socket.off('data', take);
      socket.pause();
      if (head === null) {
        this.close('the worker does not keep to what was agreed');
        return;
      }
      if (rest.length > 0) socket.unshift(rest);
      done(head);
    };
    socket.on('data', take);
    socket.on('close', () => {
      if (this.#socket === socket) this.#break(new TubeBroken('the worker went away before it was done'));
    });
  }

  /** Nobody else is to come. */
  #retire(): void {
    if (this.#server.listening) this.#server.close();
    if (!this.path.startsWith('\0')) rmSync(dirname(this.path), { recursive: true, force: true });
  }
}

/** The first line, and what follows it; `null` if there is none within so many bytes. */
function lineOf(text: Buffer, most: number): readonly [string | null, Buffer] {
  const end = text.subarray(0, most).indexOf(0x0a);
  return end < 0 ? [null, text] : [text.subarray(0, end).toString(), text.subarray(end + 1)];
}

/** A worker is not trusted: nothing is used that was not looked at. */
function headIn(line: string): TubeHead | null {
  let head: unknown;
  try {
    head = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof head !== 'object' || head === null) return null;
  const { size, note = null, error } = head as { size?: unknown; note?: unknown; error?: unknown };
  if (typeof error === 'string') return { error: plain(error.slice(0, maxHeadText)) };
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return null;
  return { size, note: typeof note === 'string' ? plain(note.slice(0, maxHeadText)) : null };
}
