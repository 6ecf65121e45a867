/**
 * The limits of requests: too long, and too many. What is off is not there: no observer, no timer, no question at a request.
 * docs/limits.md says what clients and apps see of it.
 */
import type { WorkerSettings } from '../../config/resolved.ts';
import type { Channel } from '../channel.ts';
import type { Traffic } from '../traffic/traffic.ts';
import { Overload } from './admission.ts';
import { LimitCounts } from './counts.ts';
import { RequestWatch } from './watch.ts';

export type LimitSettings = Pick<WorkerSettings, 'slowRequest' | 'requestTimeout' | 'maxInFlight' | 'maxLoopDelay'>;

export class Limits {
  readonly #overload: Overload | null;

  private constructor(traffic: Traffic, channel: Channel, settings: LimitSettings) {
    const counts = new LimitCounts();
    traffic.limits = counts;
    const { slowRequest, requestTimeout, maxInFlight, maxLoopDelay } = settings;
    this.#overload = maxInFlight > 0 || maxLoopDelay > 0 ? new Overload(traffic, counts, settings) : null;
    if (slowRequest > 0 || requestTimeout > 0) new RequestWatch(channel, traffic, counts, settings);
  }

  /** @returns `null` if nothing is limited */
  static join(traffic: Traffic, channel: Channel, settings: LimitSettings): Limits | null {
    const { slowRequest, requestTimeout, maxInFlight, maxLoopDelay } = settings;
    const isLimited = slowRequest > 0 || requestTimeout > 0 || maxInFlight > 0 || maxLoopDelay > 0;
    return isLimited ? new Limits(traffic, channel, settings) : null;
  }

  /** The worker serves. */
  start(): void {
    this.#overload?.start();
  }

  /** Whether this worker turns requests away, or did a moment ago. */
  get isOverloaded(): boolean {
    return this.#overload?.isOverloaded === true;
  }
}
