/** From the configuration to what the core needs of it, and the dice that are thrown at a worker's birth. */
import type { Settings } from '../config/resolved.ts';
import type { Limits, Policy } from '../core/model.ts';
import { heartbeat } from './workers/pool.ts';

export function policyFrom(settings: Settings): Policy {
  return {
    workers: settings.workers,
    maxWorkers: settings.maxWorkers,
    maxSurge: settings.maxSurge,
    maxBooting: settings.cores,
    bootTimeout: settings.bootTimeout,
    timeout: settings.timeout,
    // The last heartbeat may be as old as the time between two when the loop blocks.
    blockedWarning: settings.blockedWarning > 0 ? settings.blockedWarning + heartbeat : 0,
    gracefulTimeout: settings.gracefulTimeout,
    drainDelay: settings.drainDelay,
    minReady: settings.minReadySeconds,
    progressDeadline: settings.progressDeadline,
    rollbackWindow: settings.rollbackWindow,
    maxMemory: settings.maxMemory,
    maxBootFailures: settings.maxBootFailures,
    upgradeTimeout: settings.upgradeTimeout,
    upgradeByHand: settings.upgradeByHand,
  };
}

/** Draws when a worker will be spent: uniform in [max, max + jitter], anew for each life. */
export function drawLimits(settings: Settings, random: () => number = Math.random): Limits {
  const { maxRequests, maxRequestsJitter, maxLifetime, maxLifetimeJitter } = settings;
  return {
    requests: maxRequests > 0 ? maxRequests + Math.floor(random() * (maxRequestsJitter + 1)) : null,
    lifetime: maxLifetime > 0 ? maxLifetime + Math.floor(random() * (maxLifetimeJitter + 1)) : null,
  };
}
