/** Takes in what happens between two masters. */
import type { UpgradeEvent } from './events.ts';
import { upgradeRefusal } from './fleet.ts';
import type { Fleet } from './model.ts';
import { upgradeFailed } from './outcomes.ts';
import { stopFrom } from './stop.ts';

export function observeUpgrade(fleet: Fleet, event: UpgradeEvent, now: number): Fleet {
  const { upgrade } = fleet;
  switch (event.type) {
    case 'upgradeRequested':
      return upgradeRefusal(fleet) === null
        ? {
            ...fleet,
            upgrades: fleet.upgrades + 1,
            upgrade: { state: 'asked', since: now, byHand: fleet.policy.upgradeByHand, dismissed: false },
          }
        : fleet;
    case 'successorSpawned':
      return { ...fleet, successor: event.pid };
    case 'successorReadied':
      return upgrade.state === 'starting' ? { ...fleet, upgrade: { ...upgrade, readySince: now } } : fleet;
    case 'successorTook':
      return upgrade.state === 'ready' && !upgrade.taken
        ? { ...fleet, upgrade: { ...upgrade, taken: true, takenSince: now } }
        : fleet;
    case 'successorStopping':
      return upgrade.state === 'ready' && !upgrade.byHand ? stopToo(fleet, now) : fleet;
    case 'successorReloading':
      return upgrade.state === 'ready' ? { ...fleet, upgrade: { ...upgrade, reloads: true } } : fleet;
    case 'successorGone':
      return observeGone(fleet, event.reason, now);
    case 'predecessorYielded':
      return { ...fleet, predecessor: 'leaves' };
    case 'predecessorStayed':
    case 'predecessorWaits':
      return fleet.predecessor === 'none' ? fleet : { ...fleet, predecessor: 'serves' };
    case 'predecessorGone':
      return { ...fleet, predecessor: 'none' };
  }
}

/** After a failed upgrade the master goes on as if nothing had happened; workers that left for it come back. */
function observeGone(fleet: Fleet, reason: string, now: number): Fleet {
  const { upgrade } = fleet;
  const gone: Fleet = { ...fleet, upgrade: { state: 'none' }, successor: null };
  if (upgrade.state === 'starting') return upgradeFailed(gone, reason, now - upgrade.since, fleet.successor);
  if (upgrade.state !== 'ready') return gone;
  // What the new one was to do is ours to do again: whether it has done so is not known.
  const reloadPending = fleet.stopping === null && (fleet.reloadPending || upgrade.reloads);
  const awake = { ...gone, reloadPending, dormant: fleet.dormant && upgrade.wasDormant };
  return upgrade.taken || upgrade.byHand ? awake : upgradeFailed(awake, reason, now - upgrade.since, fleet.successor);
}

/** The service was stopped at the new master, where its operators find it: what still drains here does so, and no more. */
function stopToo(fleet: Fleet, now: number): Fleet {
  const { policy, stopping, upgrade } = fleet;
  const told: Fleet = upgrade.state === 'ready' ? { ...fleet, upgrade: { ...upgrade, stops: true } } : fleet;
  if (stopping !== null) return told;
  return { ...told, reloadPending: false, stopping: stopFrom(now, policy.gracefulTimeout), stopAskedAt: now };
}

/**
 * WINCH. In the middle of an upgrade it means that an operator does the rest by hand, as with Gunicorn; our workers
 * still stay until there are others.
 */
export function observeDismissed(fleet: Fleet): Fleet {
  const { upgrade } = fleet;
  return upgrade.state === 'asked' || upgrade.state === 'starting'
    ? { ...fleet, upgrade: { ...upgrade, byHand: true, dismissed: true } }
    : { ...fleet, dormant: true, upgrade: upgrade.state === 'ready' ? { ...upgrade, byHand: true } : upgrade };
}
