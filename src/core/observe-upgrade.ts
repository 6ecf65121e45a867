/** Takes in what happens between two masters. */
import type { Event } from './events.ts';
import { upgradeRefusal } from './fleet.ts';
import type { Fleet } from './model.ts';

type UpgradeEvent = Extract<
  Event,
  {
    type:
      | 'upgradeRequested'
      | 'successorSpawned'
      | 'successorReadied'
      | 'successorTook'
      | 'successorStopping'
      | 'successorGone'
      | 'predecessorYielded'
      | 'predecessorStayed'
      | 'predecessorGone';
  }
>;

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

/** From a failed upgrade the master goes on as if nothing had happened; whoever left for it is brought back. */
function observeGone(fleet: Fleet, reason: string, now: number): Fleet {
  const { upgrade } = fleet;
  const gone: Fleet = { ...fleet, upgrade: { state: 'none' }, successor: null };
  if (upgrade.state === 'starting') return failed(gone, reason, now - upgrade.since, fleet.successor);
  if (upgrade.state !== 'ready') return gone;
  const awake = { ...gone, dormant: fleet.dormant && upgrade.wasDormant };
  return upgrade.taken || upgrade.byHand ? awake : failed(awake, reason, now - upgrade.since, fleet.successor);
}

/** The service was stopped where its operators find it, at the new master: what still drains here does so, and no more. */
function stopToo(fleet: Fleet, now: number): Fleet {
  const deadline = now + fleet.policy.gracefulTimeout;
  const stopping = { kind: 'graceful', deadline, listening: true, acceptUntil: now, status: 0 } as const;
  return { ...fleet, stopping: fleet.stopping ?? stopping };
}

export function failed(fleet: Fleet, reason: string, duration: number, pid: number | null): Fleet {
  return { ...fleet, lastUpgrade: { verdict: 'failed', upgrade: fleet.upgrades, pid, reason, duration } };
}

/**
 * WINCH. In the middle of an upgrade it says that an operator takes it from here, as in Gunicorn's dance; our workers
 * still stay until there are others.
 */
export function observeDismissed(fleet: Fleet): Fleet {
  const { upgrade } = fleet;
  return upgrade.state === 'asked' || upgrade.state === 'starting'
    ? { ...fleet, upgrade: { ...upgrade, byHand: true, dismissed: true } }
    : { ...byHand(fleet), dormant: true };
}

/** The operator says what becomes of this master although a new one serves: it does not leave by itself any more. */
export function byHand(fleet: Fleet): Fleet {
  const { upgrade } = fleet;
  return upgrade.state === 'ready' ? { ...fleet, upgrade: { ...upgrade, byHand: true } } : fleet;
}
