/** The listening sockets inherited from the master before this one, until they are claimed or turn out to be unwanted. */
import { closeQuietly } from '../../system/descriptors.ts';
import { bindHandle, type Handle } from '../../system/node-internals.ts';
import { inodeOf, removeIfOurs } from '../../system/paths.ts';

/** A listener as one master bequeaths it to the next. */
export interface InheritedListener {
  readonly key: string;
  /** Path of a unix socket. */
  readonly path: string | null;
  /** Of the socket at that path, in decimal; `null` if it has lost it. A master of another version may not say. */
  readonly inode?: string | null;
  /** The host names with ports that led to it. A master of another version may not say. */
  readonly names?: readonly string[];
  /** One for each queue. */
  readonly fds: readonly number[];
}

interface Inherited {
  readonly queues: readonly Handle[];
  readonly path: string | null;
  readonly inode: bigint | null;
}

export class InheritedListeners {
  readonly #unclaimed = new Map<string, Inherited>();
  readonly #claimed = new Map<string, Inherited>();
  #isInCharge = false;
  #isSettled = false;
  /** The master before us is gone. While it is there it may serve again: its paths stay. */
  #isAlone = false;
  readonly #toUnlink: Inherited[] = [];

  constructor(given: readonly InheritedListener[]) {
    for (const { key, path, fds, inode } of given) {
      const queues = fds.flatMap((fd) => {
        const handle = bindHandle(null, -1, -1, fd, 0);
        if (typeof handle !== 'number') return [handle];
        closeQuietly(fd);
        return [];
      });
      if (queues.length > 0) this.#unclaimed.set(key, { queues, path, inode: ownInode(path, inode) });
    }
  }

  /** Of the socket at the path of a listener that was taken. */
  inodeOf(key: string): bigint | null {
    return this.#claimed.get(key)?.inode ?? null;
  }

  has(key: string): boolean {
    return this.#unclaimed.has(key);
  }

  /** @returns the queues, a list of the caller's own */
  take(key: string): Handle[] | null {
    const inherited = this.#unclaimed.get(key);
    if (inherited === undefined) return null;
    this.#unclaimed.delete(key);
    this.#claimed.set(key, inherited);
    return [...inherited.queues];
  }

  /**
   * Keeps the sockets of a listener that is closed before we are in charge, for another try.
   *
   * @returns whether it was one of them
   */
  takeBack({ key, queues }: { readonly key: string; readonly queues: readonly Handle[] }): boolean {
    const inherited = this.#claimed.get(key);
    if (inherited === undefined || this.#isInCharge) return false;
    this.#claimed.delete(key);
    this.#unclaimed.set(key, inherited);
    for (const queue of queues) if (!inherited.queues.includes(queue)) queue.close();
    return true;
  }

  /** Another socket has its path: that one is not to be removed with it. */
  disown(key: string): void {
    this.#claimed.delete(key);
  }

  /** libuv unlinks only what it has bound itself. */
  unlink(key: string): void {
    const inherited = this.#claimed.get(key);
    this.#claimed.delete(key);
    if (inherited !== undefined) this.#unlink(inherited);
  }

  takeCharge(): void {
    this.#isInCharge = true;
    this.#closeUnclaimed();
  }

  /** The master before us is gone. */
  own(): void {
    this.#isAlone = true;
    for (const inherited of this.#toUnlink.splice(0)) unlinkOwn(inherited);
  }

  #unlink(inherited: Inherited): void {
    if (this.#isAlone) unlinkOwn(inherited);
    else this.#toUnlink.push(inherited);
  }

  /** All workers are ready: everything that they listen on is claimed. */
  settle(): void {
    this.#isSettled = true;
    this.#closeUnclaimed();
  }

  #closeUnclaimed(): void {
    if (!this.#isInCharge || !this.#isSettled) return;
    for (const inherited of this.#unclaimed.values()) {
      for (const queue of inherited.queues) queue.close();
      this.#unlink(inherited);
    }
    this.#unclaimed.clear();
  }
}

function ownInode(path: string | null, given: string | null | undefined): bigint | null {
  if (path === null) return null;
  if (given === undefined) return inodeOf(path);
  return given === null ? null : BigInt(given);
}

/** A path that leads to another socket by now is left alone. */
function unlinkOwn({ path, inode }: Inherited): void {
  removeIfOurs(path, inode);
}
