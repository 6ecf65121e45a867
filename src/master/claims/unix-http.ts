/**
 * An HTTP server at an address that only one master may hold: what the control socket and the admin address have in
 * common. Most of it is about a unix socket's path, which has to lead to a live server at every moment.
 */
import { linkSync, renameSync, rmSync } from 'node:fs';
import type { ListenOptions } from 'node:net';
import { dirname, join } from 'node:path';
import type { Address } from '../../config/address.ts';
import { BindError, messageOf } from '../../errors.ts';
import { descriptorOf } from '../../system/node-internals.ts';
import { inodeOf, maxUnixPath, removeIfOurs } from '../../system/paths.ts';
import { randomName } from '../../system/random-name.ts';
import { ControlHttp, type ControlHttpOptions } from '../operator/http.ts';
import { tcpLabel } from '../sockets/bind.ts';
import { inUse } from '../sockets/in-use.ts';
import { clearStaleSocket } from '../sockets/unix-socket.ts';

export interface UnixHttpOptions extends Omit<ControlHttpOptions, 'reach'> {
  /** The setting that names the address, for error messages. */
  readonly setting: string;
}

/** An address that this master can serve by itself. */
export type HttpAddress = Exclude<Address, { kind: 'fd' }>;

/** How an address is taken. */
export interface Taking {
  /** Takes the place of the socket that is at the path, instead of refusing to. */
  readonly replaces: boolean;
  /** The socket of the master before this one, which is served instead of a new one. */
  readonly fd?: number | null;
}

export class UnixHttp {
  readonly #options: UnixHttpOptions;
  #http: ControlHttp | null = null;
  #path: string | null = null;
  #inode: bigint | null = null;
  /** How often it was closed, which may happen while another one is being opened. */
  #closings = 0;

  constructor(options: UnixHttpOptions) {
    this.#options = options;
  }

  /** The path of its unix socket; `null` if it has none. */
  get path(): string | null {
    return this.#path;
  }

  /** Whether it listens, and its path, if it has one, leads to it. */
  get isThere(): boolean {
    return this.#http !== null && (this.#path === null || inodeOf(this.#path) === this.#inode);
  }

  /** The descriptor of a socket without a path, to be inherited by the next master; else `null`. */
  get descriptor(): number | null {
    return this.#http === null || this.#path !== null ? null : descriptorOf(this.#http.server);
  }

  /**
   * Listens at an address; the one before is closed once this one is open.
   *
   * @returns `false` if it was closed in the meantime
   * @throws BindError if it cannot listen there: the one before goes on
   */
  async open(address: HttpAddress, { replaces, fd = null }: Taking): Promise<boolean> {
    const closings = this.#closings;
    const { setting } = this.#options;
    const label = labelOf(address);
    const path = address.kind === 'unix' ? address.path : null;
    if (path !== null && Buffer.byteLength(path) > maxUnixPath)
      throw new BindError(
        label,
        'ENAMETOOLONG',
        `${setting}: ${path} is longer than the ${maxUnixPath} bytes of a unix socket`,
      );
    if (path !== null && !replaces) await clearStaleSocket(path, `${setting}: cannot listen on`);
    const http = new ControlHttp({ ...this.#options, reach: path === null ? 'network' : 'local' });
    let inode: bigint | null = null;
    try {
      if (path !== null) inode = await listenAt(http, path, replaces);
      else await http.listen(fd !== null ? { fd } : whereOf(address));
    } catch (error) {
      http.close();
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      const what = `${setting}: cannot listen on`;
      const isInUse = code === 'EADDRINUSE' || code === 'EEXIST';
      throw new BindError(label, code, isInUse ? inUse(what, label) : `${what} ${label}: ${messageOf(error)}`);
    }
    const isWanted = this.#closings === closings;
    this.close();
    this.#http = http;
    this.#path = path;
    this.#inode = inode;
    if (!isWanted) this.close();
    return isWanted;
  }

  /** Accepts no more; clients that are connected are served to the end. */
  retire(): void {
    this.#http?.retire();
    this.#forget();
  }

  /** Accepts no more, and lets clients go. */
  close(): void {
    this.#http?.close();
    this.#forget();
  }

  /** A path that leads to another master's socket by now is left alone. */
  #forget(): void {
    this.#closings += 1;
    removeIfOurs(this.#path, this.#inode);
    this.#http = null;
    this.#path = null;
    this.#inode = null;
  }
}

function labelOf(address: HttpAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : tcpLabel(address.host, address.port);
}

function whereOf(address: HttpAddress): ListenOptions {
  if (address.kind === 'unix') return { path: address.path };
  return { host: address.host, port: address.port, exclusive: true };
}

/**
 * Listens at a path, and gives its inode. The socket gets its name last: libuv unlinks the name it has bound when it closes, even if another
 * socket has that name by then; and a socket that takes another's place does so at once.
 */
async function listenAt(http: ControlHttp, path: string, replaces: boolean): Promise<bigint | null> {
  const temporary = join(dirname(path), `.${randomName(4)}`);
  if (Buffer.byteLength(temporary) > maxUnixPath) {
    await http.listen({ path });
    return inodeOf(path);
  }
  try {
    await http.listen({ path: temporary });
    // Before it has its name, which may be another socket's a moment later.
    const inode = inodeOf(temporary);
    name(temporary, path, replaces);
    return inode;
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(temporary, path);
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** A link fails if the name is taken, so that of two masters that start together one is refused. */
function name(temporary: string, path: string, replaces: boolean): void {
  try {
    if (!replaces) linkSync(temporary, path);
    else renameSync(temporary, path);
  } catch (error) {
    if (replaces || (error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    // There are file systems without hard links.
    renameSync(temporary, path);
  }
}
