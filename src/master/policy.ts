/** From the configuration to what the core needs of it, and the dice that are thrown at a worker's birth. */
import type { Settings } from '../config/resolved.ts';
import { settingsFor } from '../config/settings.ts';
import type { Limits, Policy } from '../core/model.ts';
import { inspectorOf } from './workers/inspectors.ts';
import { heartbeat } from './workers/pool.ts';

export function policyFrom(settings: Settings): Policy {
  return {
    ...settingsFor('core', settings),
    autoscale: settings.autoscale,
    maxBooting: settings.cores,
    blockedWarning: blockedWarningOf(settings),
    minReady: settings.minReadySeconds,
    // The new master's workers come after it.
    upgradeTimeout: settings.upgradeTimeout + (runsAtUpgrade(settings) ? settings.releaseTimeout : 0),
    snapshots: settings.heapSnapshots !== null,
    verify: settings.verify !== null,
    // A worker may stand at a breakpoint for as long as somebody thinks.
    ...(inspectorOf(settings) === null ? {} : { timeout: 0, blockedWarning: 0, bootTimeout: Number.POSITIVE_INFINITY }),
  };
}

/** A blocked worker cannot report a slow request itself: its stack is taken when one that it works on is slow for certain. */
function blockedWarningOf({ blockedWarning, slowRequest }: Settings): number {
  const soonest = Math.min(...[blockedWarning, slowRequest].filter((time) => time > 0));
  // The last heartbeat may be as old as the time between two when the loop blocks.
  return Number.isFinite(soonest) ? soonest + heartbeat : 0;
}

function runsAtUpgrade({ release, releaseOn }: Settings): boolean {
  return release !== null && releaseOn.includes('upgrade');
}

/** Draws when a worker will be spent: uniform in [max, max + jitter], anew for each life. */
export function drawLimits(settings: Settings, random: () => number = Math.random): Limits {
  const { maxRequests, maxRequestsJitter, maxLifetime, maxLifetimeJitter } = settings;
  return {
    requests: maxRequests > 0 ? maxRequests + Math.floor(random() * (maxRequestsJitter + 1)) : null,
    lifetime: maxLifetime > 0 ? maxLifetime + Math.floor(random() * (maxLifetimeJitter + 1)) : null,
  };
}
