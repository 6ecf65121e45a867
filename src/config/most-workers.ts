/** How many workers there may be at a time without a replacement under way. */
import type { Settings } from './resolved.ts';

/** @returns the upper end of a range, else the number of workers */
export function mostWorkers({ workers, autoscale }: Pick<Settings, 'workers' | 'autoscale'>): number {
  return autoscale?.max ?? workers;
}
