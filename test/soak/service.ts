/** The service of a soak, whoever is its master just now, and what can be done to it. */
import type { LogLine } from '../support/log-reader.ts';
import type { Service } from '../support/masters.ts';
import type { Random } from '../support/random.ts';
import { head, RawSocket } from '../support/raw.ts';
import { request } from '../support/request.ts';
import { verdict } from '../support/supervisor.ts';
import { pause, until } from '../support/until.ts';

/** In the configuration: a reload brings it back. */
export const configured = 3;
const least = 2;
export const most = 5;

export class Patient {
  readonly service: Service;
  readonly #random: Random;
  /** Who was killed or stopped by the soak itself. */
  readonly killed = new Set<number>();
  /** Requests that block a worker: whoever took them. */
  readonly blocking: RawSocket[] = [];
  /** What was done, and how often. */
  readonly done = new Map<string, number>();
  /** What the fleet was told to be, as near as it can be known: a reload takes effect some time after its signal. */
  #wanted = configured;

  constructor(service: Service, random: Random) {
    this.service = service;
    this.#random = random;
  }

  get log(): readonly LogLine[] {
    return this.service.s.log;
  }

  count(pattern: RegExp): number {
    return this.log.filter(({ msg }) => pattern.test(msg)).length;
  }

  get reloads(): number {
    return this.count(/^reload \d+ done/);
  }

  workers(): number[] {
    return this.service.masters.workers();
  }

  /** Asks for a reload; does not wait. */
  askReload(): void {
    this.#wanted = configured;
    this.service.masters.signal('SIGHUP');
  }

  /** Reloads, and waits for the outcome. */
  async reload(): Promise<void> {
    const before = this.count(verdict);
    this.askReload();
    await this.service.masters.until('a reload to end', () => this.count(verdict) > before, 60_000);
  }

  async upgrade(): Promise<void> {
    this.#wanted = configured;
    await this.service.masters.upgrade(90_000);
  }

  /** Replaces all workers one by one, or one of them. */
  async recycle(): Promise<void> {
    const control = { socketPath: this.service.masters.pidfile.replace(/pid$/, 'ctl') };
    const slot = this.#random.next() < 0.5 ? {} : { slot: Math.floor(this.#random.between(0, least)) };
    const { status, body } = await request(control, '/recycle', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(slot),
    });
    if (status !== 202) throw new Error(`/recycle answered ${status}: ${body}`);
  }

  scale(by: 1 | -1): void {
    if (this.#wanted + by < least || this.#wanted + by > most) return;
    this.#wanted += by;
    this.service.masters.signal(by > 0 ? 'SIGTTIN' : 'SIGTTOU');
  }

  /** As a person does who wants another one. */
  term(): void {
    this.#send('SIGTERM');
  }

  strike(signal: 'SIGKILL' | 'SIGSTOP'): void {
    const victim = this.#send(signal);
    if (victim !== null) this.killed.add(victim);
  }

  block(): void {
    this.blocking.push(RawSocket.open(this.service.s.target).write(head('/spin-forever')));
  }

  blockFor(milliseconds: number): void {
    RawSocket.open(this.service.s.target).write(head(`/spin?ms=${milliseconds}`, { Connection: 'close' }));
  }

  abort(): void {
    const socket = RawSocket.open(this.service.s.target).write(head('/slow?ms=1000'));
    setTimeout(() => socket.reset(), 200);
  }

  /** Waits until it is as it is configured, and nothing of before is left. */
  async calm(): Promise<void> {
    await this.reload();
    // One that was asked for meanwhile begins as the one before it ends.
    const under = (): boolean => this.count(/^reload \d+ started/) > this.count(verdict);
    do {
      await until('no reload to be under way', () => !under(), { within: 60_000 });
      await pause(200);
    } while (under());
    await until(`${configured} workers and no other`, () => this.workers().length === configured, { within: 60_000 });
  }

  #send(signal: NodeJS.Signals): number | null {
    const victim = this.#random.pick(this.workers());
    if (victim === undefined) return null;
    try {
      process.kill(victim, signal);
      return victim;
    } catch {
      // It left by itself just now.
      return null;
    }
  }
}

/** What is done, how likely, and how. */
export type Deed = readonly [name: string, weight: number, deed: (patient: Patient) => void | Promise<void>];

/** What operators do. Nobody may notice. */
export const orders: readonly Deed[] = [
  ['reload', 12, (p) => p.reload()],
  ['reload, unwaited', 3, (p) => p.askReload()],
  ['one more', 2, (p) => p.scale(1)],
  ['one less', 2, (p) => p.scale(-1)],
  ['recycle', 1, (p) => p.recycle()],
  ['TERM to a worker', 1, (p) => p.term()],
];

/** What goes wrong. Only who is in the middle of it may notice. */
export const mishaps: readonly Deed[] = [
  ['kill', 2, (p) => p.strike('SIGKILL')],
  ['stop', 1, (p) => p.strike('SIGSTOP')],
  ['block for ever', 1, (p) => p.block()],
  ['block for 700 ms', 3, (p) => p.blockFor(700)],
  ['abort a request', 2, (p) => p.abort()],
];

/** Does one of them at random. */
export async function doOne(patient: Patient, deeds: readonly Deed[], random: Random): Promise<void> {
  let left = random.next() * deeds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight, deed] of deeds) {
    left -= weight;
    if (left >= 0) continue;
    await doThis(patient, name, deed);
    return;
  }
}

export async function doThis(patient: Patient, name: string, deed: Deed[2]): Promise<void> {
  patient.done.set(name, (patient.done.get(name) ?? 0) + 1);
  await deed(patient);
}
