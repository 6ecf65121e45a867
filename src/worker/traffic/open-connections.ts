/** The connections that are open. */
import type { Connection } from './connection.ts';

/**
 * A list in which each connection knows its place, so that it is removed at once. A `Set` that things come into and leave
 * all the time makes itself anew again and again. Its old tables hold what they held until V8 looks at its old objects,
 * and at a connection a request so much is kept alive by them that the young ones cost half as much again to collect.
 */
export class OpenConnections implements Iterable<Connection> {
  /** `null` from {@link size} on: a shorter array would be a new one before long. */
  readonly #list: (Connection | null)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(connection: Connection): boolean {
    return connection.place >= 0 && this.#list[connection.place] === connection;
  }

  /** @param connection is in no list */
  add(connection: Connection): void {
    connection.place = this.#size;
    this.#list[this.#size] = connection;
    this.#size += 1;
  }

  /** @returns whether it was in the list */
  delete(connection: Connection): boolean {
    if (!this.has(connection)) return false;
    const { place } = connection;
    this.#size -= 1;
    const last = this.#list[this.#size] ?? null;
    this.#list[this.#size] = null;
    connection.place = -1;
    if (last === null || last === connection) return true;
    this.#list[place] = last;
    last.place = place;
    return true;
  }

  /** In no order. Whatever is removed meanwhile, no connection that stays is left out; what is added may be. */
  *[Symbol.iterator](): Generator<Connection, void> {
    // From the end: the place of one that is removed goes to one that was visited.
    for (let place = this.#size - 1; place >= 0; place -= 1) {
      const connection = this.#list[place] ?? null;
      if (connection !== null) yield connection;
    }
  }
}
