/**
 * The worker as the one of the service that leads: it runs what the app has given to `onLeader`, and says when all of it
 * has ended. Until then it holds a socket that goes with the process, so that it is known whether anybody leads.
 */
import { type LeaderWork, registry } from '../app/registry.ts';
import { closeHandle, type Handle } from '../system/node-internals.ts';
import type { Channel } from './channel.ts';

/** Milliseconds until work is begun anew that nobody else may begin. */
const againAfter = { least: 1_000, most: 30_000 };
/** Milliseconds in which other work is to end where one has failed. */
const patience = 10_000;
/** Characters of a reason that are sent. */
const maxReason = 2_000;

interface Term {
  /** Another one once work has failed and other work has not ended at its signal. */
  controller: AbortController;
  readonly token: Handle | null;
  /** What each work that has not ended is, by the promise that it will. */
  readonly running: Map<Promise<void>, LeaderWork>;
  /** Why work of it failed. */
  reason: string | null;
  /** Work was begun that does not take the signal: nobody knows when it ends. */
  isDeaf: boolean;
  /** Milliseconds until work that has failed is begun anew. */
  wait: number;
}

export class Leading {
  readonly #channel: Pick<Channel, 'send'>;
  #term: Term | null = null;
  #isLeaving = false;
  #isCandidate = false;

  constructor(channel: Pick<Channel, 'send'>) {
    this.#channel = channel;
  }

  /** Nothing is done, and nothing said, before the app calls `onLeader`. */
  start(): void {
    registry().onLeaderWork = (work) => this.#added(work);
  }

  /** @param token comes from the master, and is to be closed once this worker leads no more */
  lead(token: Handle | null): void {
    if (this.#term !== null || this.#isLeaving) {
      if (token !== null) closeHandle(token);
      if (this.#isLeaving) this.#channel.send({ type: 'resigned', reason: null });
      return;
    }
    const term: Term = {
      controller: new AbortController(),
      token,
      running: new Map<Promise<void>, LeaderWork>(),
      reason: null,
      isDeaf: false,
      wait: againAfter.least,
    };
    this.#term = term;
    for (const work of registry().leaderWork ?? []) this.#run(work, term);
  }

  /** This worker leaves: what it does as the leader is to end. */
  leave(): void {
    this.#isLeaving = true;
    if (this.#term !== null) this.#end(this.#term);
  }

  #added(work: LeaderWork): void {
    if (!this.#isCandidate) {
      this.#isCandidate = true;
      this.#channel.send({ type: 'candidate' });
    }
    // One that ends already is not for work that begins.
    if (this.#term?.controller.signal.aborted === false) this.#run(work, this.#term);
  }

  #run(work: LeaderWork, term: Term): void {
    if (work.length === 0) term.isDeaf = true;
    const { signal } = term.controller;
    const begunAt = performance.now();
    // A turn of microtasks later: even work that throws at once cannot disturb its caller.
    const done = Promise.resolve()
      .then(() => work(signal))
      .then(
        () => {},
        (error: unknown) => this.#failed(term, error, () => this.#runAgain(work, term, performance.now() - begunAt)),
      )
      .then(() => {
        term.running.delete(done);
        registry().pending.delete(done);
        if (signal.aborted && term === this.#term && !term.controller.signal.aborted) this.#run(work, term);
        else this.#ended(term);
      });
    term.running.set(done, work);
    // A drain waits for it.
    registry().pending.add(done);
  }

  /** @param again begins the work anew here */
  #failed(term: Term, error: unknown, again: () => void): void {
    const isAborted = term.controller.signal.aborted;
    // It is how most of what takes a signal says that it has ended.
    if (isAborted && (error === term.controller.signal.reason || nameOf(error) === 'AbortError')) return;
    console.error(error);
    if (isAborted) return;
    // What it has begun may go on here, so it is for nobody else.
    if (term.isDeaf) again();
    else {
      term.reason ??= textOf(error);
      this.#end(term);
      setTimeout(() => this.#goOn(term), patience).unref();
    }
  }

  /** Work has failed, and other work does not end: nobody else may begin it, so what has ended is begun anew here. */
  #goOn(term: Term): void {
    if (term !== this.#term || this.#isLeaving || !term.controller.signal.aborted) return;
    process.emitWarning(
      `onLeader: work has failed (${term.reason ?? ''}), and other work has not ended ${patience / 1_000} s after its signal ` +
        'was aborted: what failed is begun anew in this worker, which leads to its end',
      { code: 'PREFORK_LEADER_STAYS' },
    );
    term.isDeaf = true;
    term.reason = null;
    term.controller = new AbortController();
    const running = new Set(term.running.values());
    for (const work of registry().leaderWork ?? []) if (!running.has(work)) this.#run(work, term);
  }

  #runAgain(work: LeaderWork, term: Term, lasted: number): void {
    term.wait = lasted > againAfter.most ? againAfter.least : Math.min(againAfter.most, term.wait * 1.5);
    setTimeout(() => {
      if (term === this.#term && !term.controller.signal.aborted) this.#run(work, term);
    }, term.wait).unref();
  }

  #end(term: Term): void {
    if (!term.controller.signal.aborted) term.controller.abort();
    this.#ended(term);
  }

  /** Says so once all work has ended. */
  #ended(term: Term): void {
    if (term !== this.#term || !term.controller.signal.aborted || term.running.size > 0) return;
    // What it has begun may go on: only the end of the process ends it for certain.
    if (term.isDeaf && this.#isLeaving) return;
    this.#term = null;
    this.#channel.send({ type: 'resigned', reason: this.#isLeaving ? null : term.reason });
    if (term.token !== null) closeHandle(term.token);
  }
}

function nameOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'name' in error ? error.name : null;
}

function textOf(error: unknown): string {
  return (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, maxReason);
}
