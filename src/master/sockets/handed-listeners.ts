/** The listening sockets that the master before us has handed over, until they are claimed or nobody wants them. */
import { bindHandle, type Handle } from '../../system/node-internals.ts';
import { inodeOf, removeIfOurs } from '../../system/paths.ts';
import type { HandedListener } from '../upgrade/channel.ts';
import { closeUnclaimed } from '../upgrade/predecessor.ts';

interface Handed {
  readonly queues: readonly Handle[];
  readonly path: string | null;
  readonly inode: bigint | null;
}

export class HandedListeners {
  readonly #unclaimed = new Map<string, Handed>();
  readonly #claimed = new Map<string, Handed>();
  #isInCharge = false;
  #isSettled = false;
  /** The master before us is gone. While it is there it may serve again: its paths stay. */
  #isAlone = false;
  readonly #toUnlink: Handed[] = [];

  constructor(given: readonly HandedListener[]) {
    for (const { key, path, fds } of given) {
      const queues = fds.flatMap((fd) => {
        const handle = bindHandle(null, -1, -1, fd, 0);
        if (typeof handle !== 'number') return [handle];
        closeUnclaimed(fd);
        return [];
      });
      if (queues.length > 0) this.#unclaimed.set(key, { queues, path, inode: path === null ? null : inodeOf(path) });
    }
  }

  /** @returns the queues, a list of the caller's own */
  take(key: string): Handle[] | null {
    const handed = this.#unclaimed.get(key);
    if (handed === undefined) return null;
    this.#unclaimed.delete(key);
    this.#claimed.set(key, handed);
    return [...handed.queues];
  }

  /**
   * Keeps the sockets of a listener that is closed before we are in charge, for another try.
   *
   * @returns whether it was one of them
   */
  takeBack({ key, queues }: { readonly key: string; readonly queues: readonly Handle[] }): boolean {
    const handed = this.#claimed.get(key);
    if (handed === undefined || this.#isInCharge) return false;
    this.#claimed.delete(key);
    this.#unclaimed.set(key, handed);
    for (const queue of queues) if (!handed.queues.includes(queue)) queue.close();
    return true;
  }

  /** libuv unlinks only what it has bound itself. */
  unlink(key: string): void {
    const handed = this.#claimed.get(key);
    this.#claimed.delete(key);
    if (handed !== undefined) this.#unlink(handed);
  }

  takeCharge(): void {
    this.#isInCharge = true;
    this.#closeUnclaimed();
  }

  /** The master before us is gone. */
  own(): void {
    this.#isAlone = true;
    for (const handed of this.#toUnlink.splice(0)) unlinkOwn(handed);
  }

  #unlink(handed: Handed): void {
    if (this.#isAlone) unlinkOwn(handed);
    else this.#toUnlink.push(handed);
  }

  /** All workers are ready: whatever they listen on is claimed. */
  settle(): void {
    this.#isSettled = true;
    this.#closeUnclaimed();
  }

  #closeUnclaimed(): void {
    if (!this.#isInCharge || !this.#isSettled) return;
    for (const handed of this.#unclaimed.values()) {
      for (const queue of handed.queues) queue.close();
      this.#unlink(handed);
    }
    this.#unclaimed.clear();
  }
}

/** Not where another one has taken its place. */
function unlinkOwn({ path, inode }: Handed): void {
  removeIfOurs(path, inode);
}
