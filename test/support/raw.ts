/** A client that sends exactly the bytes it is told, and tells how the connection ended. */
import net from 'node:net';
import { socketAddressOf, type Target } from './request.ts';
import { pause, until } from './until.ts';

/** How a connection ended: orderly, by a reset, or not (yet). */
export type Ending = 'fin' | 'reset' | 'refused' | 'open';

export class RawSocket {
  readonly #socket: net.Socket;
  readonly #openedAt = performance.now();
  #received = Buffer.alloc(0);
  #ending: Ending = 'open';
  #endedAt: number | null = null;

  private constructor(target: Target) {
    this.#socket = net.connect({ ...socketAddressOf(target), allowHalfOpen: true });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    this.#socket.on('end', () => this.#end('fin'));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#end(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'refused' : 'reset');
    });
    this.#socket.on('close', () => this.#end('fin'));
  }

  /** Opens a connection; does not wait for it. */
  static open(target: Target): RawSocket {
    return new RawSocket(target);
  }

  /** Opens a connection and waits until the kernel has accepted it. */
  static async connected(target: Target): Promise<RawSocket> {
    const raw = new RawSocket(target);
    await until('a connection', () => !raw.#socket.connecting || raw.#ending !== 'open');
    return raw;
  }

  get text(): string {
    return this.#received.toString('latin1');
  }

  get bytes(): number {
    return this.#received.length;
  }

  get ending(): Ending {
    return this.#ending;
  }

  /** Milliseconds from the opening to the end, or to now. */
  get ms(): number {
    return (this.#endedAt ?? performance.now()) - this.#openedAt;
  }

  write(bytes: string | Buffer): this {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
    return this;
  }

  /** One byte at a time. Stops where the connection ends. */
  async trickle(bytes: string, every: number): Promise<void> {
    for (const byte of bytes) {
      if (this.#ending !== 'open') return;
      this.write(byte);
      await pause(every);
    }
  }

  /** Waits for text in what came back. */
  async waitFor(pattern: RegExp, within = 10_000): Promise<RegExpExecArray> {
    return await until(`${String(pattern)} on the socket`, () => pattern.exec(this.text), {
      within,
      abort: () =>
        this.#ending === 'open' || pattern.test(this.text) ? null : `it ended (${this.#ending}): ${this.text}`,
    });
  }

  /** Waits for the end; `open` where it does not come in time, which a test may well assert. */
  async waitEnd(within = 10_000): Promise<Ending> {
    await until('the end', () => this.#ending !== 'open', { within }).catch(() => undefined);
    return this.#ending;
  }

  /** The number of responses that have begun so far, by their status lines. */
  get responses(): number {
    return this.text.match(/HTTP\/1\.1 \d{3} /g)?.length ?? 0;
  }

  /** Waits until so many responses have come, each with a body of JSON. */
  async answered(count = 1, within = 10_000): Promise<void> {
    const isThere = (): boolean => this.responses >= count && this.text.trimEnd().endsWith('}');
    await until(`${count} responses`, isThere, {
      within,
      abort: () => (this.#ending === 'open' || isThere() ? null : `it ended (${this.#ending}): ${this.text}`),
    });
  }

  /** Ends the sending side. */
  finish(): void {
    this.#socket.end();
  }

  /** Ends the connection with a reset (SO_LINGER 0). */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  #end(ending: Ending): void {
    if (this.#ending !== 'open') return;
    this.#ending = ending;
    this.#endedAt = performance.now();
  }
}

/** The head of a request. */
export function head(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): string {
  const lines = Object.entries({ Host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
