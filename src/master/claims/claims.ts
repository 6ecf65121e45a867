/** All claims of this master, in the order in which they are taken. */
import { messageOf } from '../../errors.ts';
import type { Logger } from '../log/logger.ts';
import type { Claim, ClaimsBequest } from './claim.ts';

export class Claims {
  readonly #claims: readonly Claim[];
  readonly #logger: () => Logger;
  /** Problems that were logged and last. */
  readonly #problems = new Map<Claim, string>();
  #last: Promise<void> = Promise.resolve();
  #isReleased = false;

  /** @param claims being the main process is the last: it is said once everything else is there */
  constructor(claims: readonly Claim[], logger: () => Logger) {
    this.#claims = claims;
    this.#logger = logger;
  }

  /**
   * Has all of them as the settings say.
   *
   * @throws PreforkError of the first one that cannot be had
   */
  ensure(): Promise<void> {
    return this.#inTurn(async () => {
      for (const claim of this.#claims) await claim.ensure();
    });
  }

  /** Does the same while the service runs: a problem is logged, once as long as it lasts, and the service goes on. */
  keep(): Promise<void> {
    return this.#inTurn(() => this.#attempt((claim) => claim.ensure()));
  }

  /** Takes the place of the other master's. A problem is logged, and the service goes on. */
  takeOver(): Promise<void> {
    this.#problems.clear();
    return this.#inTurn(() => this.#attempt((claim) => claim.takeOver()));
  }

  /** @param pid of the master that has taken over */
  yield(pid: number): void {
    for (const claim of this.#claims) claim.yield(pid);
  }

  /** Leaves nothing behind. Files and sockets are gone when the call returns. */
  async release(): Promise<void> {
    this.#isReleased = true;
    await Promise.all(this.#claims.map((claim) => claim.release()));
  }

  /** What the next master is given. */
  bequest(): ClaimsBequest {
    let all: ClaimsBequest = { admin: null, adminAddress: null, control: null };
    for (const claim of this.#claims) all = { ...all, ...claim.bequest() };
    return all;
  }

  async #attempt(run: (claim: Claim) => void | Promise<void>): Promise<void> {
    for (const claim of this.#claims) {
      try {
        await run(claim);
        this.#problems.delete(claim);
      } catch (error) {
        const problem = messageOf(error);
        if (this.#problems.get(claim) !== problem) this.#logger().error(problem);
        this.#problems.set(claim, problem);
      }
    }
  }

  /** One after the other: two that open the same address at once would be in each other's way. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const done = this.#last.then(() => (this.#isReleased ? undefined : run()));
    this.#last = done.catch(() => {});
    return done;
  }
}
