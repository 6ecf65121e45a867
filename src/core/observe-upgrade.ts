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
      return upgrade.state === 'ready' ? { ...fleet, upgrade: { ...upgrade, taken: true } } : fleet;
    case 'successorStopping':
      return upgrade.state === 'ready' && !upgrade.byHand ? stopToo(fleet, now) : fleet;
    case 'successorGone':
      return observeGone(fleet, event.reason, now);
    case 'predecessorYielded':
      return { ...fleet, predecessor: 'leaves' };
    case 'predecessorStayed':
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
  const awake = { ...gone, dormant: fleet.dormant && upgrade.wasDormant };
  return upgrade.taken || upgrade.byHand ? awake : upgradeFailed(awake, reason, now - upgrade.since, fleet.successor);
}

/** The service was stopped at the new master, where its operators find it: what still drains here does so, and no more. */
function stopToo(fleet: Fleet, now: number): Fleet {
  return { ...fleet, stopping: fleet.stopping ?? stopFrom(now, fleet.policy.gracefulTimeout) };
}

/**
 * WINCH. In the middle of an upgrade it means that an operator does the rest by hand, as with Gunicorn; our workers
 * still stay until there are others.
 */
export function observeDismissed(fleet: Fleet): Fleet {
  const { upgrade } = fleet;
  return upgrade.state === 'asked' || upgrade.state === 'starting'
    ? { ...fleet, upgrade: { ...upgrade, byHand: true, dismissed: true } }
    : { ...byHand(fleet), dormant: true };
}

/** An operator gives orders to this master although a new one serves: it no longer leaves by itself. */
export function byHand(fleet: Fleet): Fleet {
  const { upgrade } = fleet;
  return upgrade.state === 'ready' ? { ...fleet, upgrade: { ...upgrade, byHand: true } } : fleet;
}
