/** What a master that is replaced tells the next one of its counts. */
import type { AppMetric, TrafficDelta } from '../../protocol/traffic.ts';

/**
 * Counts pass to the new master, for they never go backwards: first all there were (`total`), then what the old one's
 * workers add while they drain.
 */
export type Counted =
  | { readonly kind: 'traffic'; readonly delta: TrafficDelta; readonly total: boolean }
  /** The app's own, of one of the old master's workers; 0 is all of those that are gone. */
  | { readonly kind: 'app'; readonly id: number; readonly metrics: readonly AppMetric[] }
  | { readonly kind: 'gone'; readonly id: number };
