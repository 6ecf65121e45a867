/**
 * Masters of one service in one world: each is a core of its own, an upgrade starts the next one, and what they say to
 * each other takes its time. Orders go to whom the pidfile names, as with `kill -HUP $(cat app.pid)`.
 */
import assert from 'node:assert/strict';
import type { Action } from '../../../src/core/actions.ts';
import type { Event } from '../../../src/core/events.ts';
import { fixed } from '../../../src/core/fixed.ts';
import type { Policy } from '../../../src/core/model.ts';
import type { UpgradeMessage } from '../../../src/master/upgrade/channel.ts';
import { type Behaviour, wellBehaved } from './process.ts';
import { renderAction, renderEvent } from './render.ts';
import { Simulator } from './simulator.ts';

/** What becomes of a new master: it boots; its workers hang; it ends so long after its start if the old one is still there. */
export type Fate = 'boots' | 'hangs' | number;

export interface MastersOptions {
  readonly policy: Partial<Policy>;
  /** Milliseconds of a message from one master to the other; used in turn. */
  readonly delays: readonly number[];
  /** Milliseconds that claims take: control socket, pidfile, the rest. */
  readonly claimTime: number;
  readonly fates: readonly Fate[];
  readonly behaviour: Partial<Behaviour>;
  readonly prepareTime: number;
}

/** Milliseconds between two looks at whether another master, or a worker of one, leads. */
const lookEvery = 60;

export interface Order {
  /** When it reached the master. */
  readonly at: number;
  readonly event: Event;
}

interface Master {
  readonly pid: number;
  readonly bornAt: number;
  readonly sim: Simulator;
  predecessor: Master | null;
  successor: Master | null;
  alive: boolean;
  /** It decides nothing any more. */
  ended: boolean;
  status: number | null;
  /** It may say who leads. */
  hasRight: boolean;
  /** The claim to that right that is being made. */
  claim: number | null;
  isInCharge: boolean;
  isYielded: boolean;
  takenAt: number | null;
  isStaying: boolean;
  saidStopping: boolean;
  saidReloading: boolean;
  /** When the last configuration that it took into account was read. */
  readAt: number;
  /** When its process was gone. */
  goneAt: number | null;
}

export class MastersWorld {
  readonly #options: MastersOptions;
  readonly masters: Master[] = [];
  readonly story: string[] = [];
  /** Orders that reached a live master. */
  readonly orders: Order[] = [];
  /** What happens in the world itself, in order. */
  readonly #agenda: { readonly at: number; readonly run: () => void }[] = [];
  /** No message overtakes another one of the same sender. */
  readonly #lastArrival = new Map<Master, number>();
  #messages = 0;
  now = 0;
  /** Whom the pidfile names. */
  pidfile: number | null = null;

  constructor(options: MastersOptions) {
    this.#options = options;
    this.#start(null);
  }

  get alive(): readonly Master[] {
    return this.masters.filter(({ alive }) => alive);
  }

  at(time: number, run: () => void): void {
    let place = this.#agenda.length;
    while (place > 0 && (this.#agenda[place - 1]?.at ?? 0) > time) place -= 1;
    this.#agenda.splice(place, 0, { at: Math.max(time, this.now), run });
  }

  /** Somebody reads the pidfile, and a moment later the order is there. */
  order(event: Event, flight: number): void {
    const to = this.masters.find(({ pid }) => pid === this.pidfile);
    if (to !== undefined) this.at(this.now + flight, () => this.#deliver(to, event));
  }

  kill(pid: number): void {
    const master = this.masters.find((each) => each.pid === pid);
    if (master !== undefined) this.#gone(master, null);
  }

  runUntil(time: number): void {
    for (;;) {
      const running = this.masters.filter(({ ended }) => !ended);
      const next = Math.min(this.#agenda[0]?.at ?? Number.POSITIVE_INFINITY, ...running.map(({ sim }) => sim.nextAt));
      if (next > time) break;
      this.now = Math.max(this.now, next);
      if ((this.#agenda[0]?.at ?? Number.POSITIVE_INFINITY) <= this.now) this.#agenda.shift()?.run();
      else for (const { sim, ended } of running) if (!ended) sim.runUntil(this.now);
    }
    this.now = time;
  }

  #tell(who: Master, what: string): void {
    this.story.push(`${this.now}  ${who.pid}: ${what}`);
  }

  #start(predecessor: Master | null): Master {
    const { policy, prepareTime, behaviour, fates } = this.#options;
    const pid = this.masters.length + 1;
    const fate = predecessor === null ? 'boots' : (fates[pid - 2] ?? 'boots');
    const bornAt = this.now;
    const sim = new Simulator({
      policy,
      prepareTime,
      ...(predecessor === null ? {} : { bornAt }),
      behaviour: () => ({ ...wellBehaved, ...behaviour, ...(fate === 'hangs' ? { boot: null } : {}) }),
      onTurn: ({ events, actions }) => {
        for (const event of events) {
          const line = renderEvent(event);
          if (line !== null) this.#tell(master, line);
        }
        for (const action of actions) if (action.type !== 'assign') this.#tell(master, `-> ${renderAction(action)}`);
        this.#onTurn(master);
      },
      onAction: (action) => this.#act(master, action),
    });
    const master: Master = {
      pid,
      bornAt,
      sim,
      predecessor,
      successor: null,
      alive: true,
      ended: false,
      status: null,
      hasRight: false,
      claim: null,
      isInCharge: predecessor === null,
      isYielded: false,
      takenAt: null,
      isStaying: false,
      saidStopping: false,
      saidReloading: false,
      readAt: bornAt,
      goneAt: null,
    };
    this.masters.push(master);
    sim.at(bornAt, () => sim.post({ type: 'ticked' }));
    if (typeof fate === 'number')
      this.at(bornAt + fate, () => {
        if (!master.isInCharge || this.#staysAwhile(predecessor)) this.#gone(master, 1);
      });
    return master;
  }

  /** An old master that is about to end is none: its successor is alone already. */
  #staysAwhile(master: Master | null): boolean {
    const drain = this.#options.behaviour.drain ?? 0;
    const soon = this.now + 4 * Math.max(...this.#options.delays);
    return (
      master?.ended === false &&
      master.sim.fleet.workers.some(({ phase }) => phase.name === 'draining' && phase.since + drain > soon)
    );
  }

  #onTurn(master: Master): void {
    const { reloads, stopping, upgrade } = master.sim.fleet;
    if (reloads > 0 && !master.saidReloading) {
      master.saidReloading = true;
      this.#send(master, master.predecessor, { type: 'reloading' });
    }
    if (upgrade.state === 'ready' && upgrade.byHand && master.takenAt !== null && !master.isStaying) {
      master.isStaying = true;
      this.#send(master, master.successor, { type: 'stays' });
    }
    if (stopping === null || stopping.status !== 0 || master.saidStopping || !master.isInCharge) return;
    master.saidStopping = true;
    this.#send(master, master.predecessor, { type: 'stopping' });
  }

  #act(master: Master, action: Action): boolean {
    switch (action.type) {
      case 'declareReady':
        if (master.predecessor === null && this.pidfile === null) this.pidfile = master.pid;
        return true;
      case 'declareStarted':
        this.#send(master, master.predecessor, { type: 'ready' });
        return true;
      case 'claimLead':
        master.claim = action.claim;
        this.#claimLead(master, action.claim);
        return true;
      case 'releaseLead':
        assert.deepEqual(master.sim.leaders(), [], 'the right to lead goes before the leader');
        Object.assign(master, { hasRight: false, claim: null });
        return true;
      case 'lead':
        assert.ok(master.hasRight, 'a leader without the right');
        assert.deepEqual(this.leaders(), [], `worker ${action.id} of ${master.pid} is to lead`);
        return false;
      case 'prepare':
        master.readAt = this.now;
        return false;
      case 'upgrade': {
        Object.assign(master, { isYielded: false, takenAt: null, isStaying: false });
        const successor = this.#start(master);
        master.successor = successor;
        this.at(this.now, () => this.#post(master, { type: 'successorSpawned', pid: successor.pid }));
        return true;
      }
      case 'yield':
        master.isYielded = true;
        this.#send(master, master.successor, { type: 'yours', reload: action.reload });
        return true;
      case 'handOn':
        this.#send(
          master,
          master.successor,
          action.what === 'reload' ? { type: 'yours', reload: true } : { type: 'end', reason: '', quick: true },
        );
        return true;
      case 'abandon':
        this.#send(master, master.successor, { type: 'end', reason: action.reason, quick: action.quick });
        return true;
      case 'exit':
        this.#end(master, action.status);
        return true;
      default:
        return false;
    }
  }

  /** Workers that lead, of all masters, those that are gone included. */
  leaders(): readonly string[] {
    return this.masters.flatMap(({ pid, sim }) => sim.leaders().map((id) => `${pid}:${id}`));
  }

  /** What the kernel knows of the sockets: see `Leadership`. */
  #claimLead(master: Master, claim: number): void {
    if (master.ended || master.claim !== claim) return;
    const isHeld = this.masters.some(
      (other) => other !== master && ((other.alive && other.hasRight) || other.sim.leaders().length > 0),
    );
    if (isHeld) {
      this.at(this.now + lookEvery, () => this.#claimLead(master, claim));
      return;
    }
    master.hasRight = true;
    this.at(this.now, () => this.#post(master, { type: 'leadClaimed', claim }));
  }

  #post(to: Master, event: Event): void {
    if (to.ended) return;
    to.sim.runUntil(this.now);
    to.sim.post(event);
  }

  #deliver(to: Master, event: Event): void {
    if (!to.alive) return;
    this.orders.push({ at: this.now, event });
    if (!to.ended) {
      this.#post(to, event);
      return;
    }
    // What `Succession.handOnLate` does.
    this.#tell(to, `late: ${renderEvent(event)}`);
    if (to.takenAt === null) return;
    if (event.type === 'reloadRequested') this.#send(to, to.successor, { type: 'yours', reload: true });
    if (event.type === 'stopRequested' && this.now - to.takenAt <= fixed.lateOrder)
      this.#send(to, to.successor, { type: 'end', reason: '', quick: event.kind === 'quick' });
  }

  #send(from: Master, to: Master | null, message: UpgradeMessage): void {
    if (to === null) return;
    const { delays } = this.#options;
    const delay = delays[this.#messages % delays.length] ?? 0;
    this.#messages += 1;
    const arrival = Math.max(this.now + delay, this.#lastArrival.get(from) ?? 0);
    this.#lastArrival.set(from, arrival);
    this.at(arrival, () => {
      if (!to.alive || to.ended) return;
      if (to.predecessor === from) this.#fromPredecessor(to, message);
      else if (to.successor === from) this.#fromSuccessor(to, message);
    });
  }

  #fromSuccessor(old: Master, message: UpgradeMessage): void {
    if (message.type === 'ready') this.#post(old, { type: 'successorReadied' });
    if (message.type === 'stopping') this.#post(old, { type: 'successorStopping' });
    if (message.type === 'reloading') this.#post(old, { type: 'successorReloading' });
    if (message.type !== 'taken' || old.takenAt !== null) return;
    old.takenAt = this.now;
    this.#post(old, { type: 'successorTook' });
  }

  #fromPredecessor(master: Master, message: UpgradeMessage): void {
    const { stopping } = master.sim.fleet;
    if (message.type === 'yours' && (master.isInCharge || stopping === null)) {
      this.#post(master, { type: 'predecessorYielded' });
      const takes = master.isInCharge ? 0 : this.#options.claimTime;
      master.isInCharge = true;
      const old = master.predecessor;
      this.at(this.now + takes, () => {
        if (!master.ended) this.pidfile = master.pid;
        this.at(this.now + takes, () => {
          this.#send(master, old, { type: 'taken' });
          if (message.reload) this.#post(master, { type: 'reloadRequested' });
        });
      });
    }
    if (message.type === 'stays') this.#post(master, { type: 'predecessorStayed' });
    if (message.type !== 'end') return;
    this.#post(master, { type: 'predecessorWaits' });
    const kind = message.quick === true ? 'quick' : 'graceful';
    if (kind === 'quick' || stopping === null) this.#post(master, { type: 'stopRequested', kind });
  }

  /** The process goes on for a moment, as `Succession.leave` has it. */
  #end(master: Master, status: number): void {
    master.ended = true;
    assert.deepEqual(master.sim.leaders(), [], 'a master ends before its leader');
    Object.assign(master, { hasRight: false, claim: null });
    const until = master.takenAt === null ? this.now : Math.max(this.now, master.takenAt + fixed.lateOrder);
    this.at(until, () => this.#gone(master, status));
  }

  #gone(master: Master, status: number | null): void {
    if (!master.alive) return;
    this.#tell(master, `is gone with ${status}`);
    // Its workers see that, and go: nobody hears of it.
    for (const process of master.sim.processes.values()) {
      if (!process.alive || !process.leads) continue;
      const { resigns, drain } = { ...wellBehaved, ...this.#options.behaviour };
      this.at(this.now + (resigns ?? drain ?? 0), () => {
        process.leads = false;
      });
    }
    Object.assign(master, { hasRight: false, claim: null });
    Object.assign(master, { alive: false, ended: true, status, goneAt: this.now });
    if (this.pidfile === master.pid) this.pidfile = null;
    const { predecessor: old, successor } = master;
    // Its end of file comes after all that it has said.
    this.at(Math.max(this.now, this.#lastArrival.get(master) ?? 0), () => {
      if (old?.alive === true && old.successor === master) {
        old.successor = null;
        if (old.isYielded && !old.ended) this.pidfile = old.pid;
        Object.assign(old, { isYielded: false, takenAt: null });
        this.#post(old, { type: 'successorGone', reason: `it exited with ${status}` });
      }
      if (successor?.alive === true && successor.predecessor === master) {
        successor.predecessor = null;
        successor.isInCharge = true;
        if (!successor.ended) this.pidfile = successor.pid;
        this.#post(successor, { type: 'predecessorGone' });
      }
    });
  }
}
