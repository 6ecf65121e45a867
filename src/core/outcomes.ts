/** How reloads and upgrades end: the one place where their outcomes are made. */
import type { Fleet, Reload, ReloadOutcome, UpgradeOutcome } from './model.ts';

type Undecided = Extract<Reload, { state: 'preparing' | 'canary' }>;

/** The outcome of the reload under way, which ends now. The generation in force by then is the one that serves. */
export function reloadOutcome(
  fleet: Fleet,
  { reload, since }: Exclude<Reload, { state: 'idle' }>,
  end: Pick<ReloadOutcome, 'verdict' | 'reason'>,
  now: number,
): ReloadOutcome {
  const traffic = fleet.judged?.reload === reload ? { traffic: fleet.judged.text } : {};
  return {
    verdict: end.verdict,
    reload,
    generation: fleet.generation,
    reason: end.reason,
    duration: now - since,
    ...traffic,
  };
}

/** The reload, which has changed nothing yet, as it is to be rejected. */
export function refused({ reload, since, rollback, order }: Undecided, reason: string): Reload {
  return { state: 'refused', reload, since, rollback, order, reason };
}

/** The latest upgrade has failed. @param pid of the new master; `null` if there never was one */
export function upgradeFailed(fleet: Fleet, reason: string, duration: number, pid: number | null): Fleet {
  return { ...fleet, lastUpgrade: { verdict: 'failed', upgrade: fleet.upgrades, pid, reason, duration } };
}

/** The upgrade under way has completed; an upgrade that has its outcome keeps it. */
export function upgradeCompleted(fleet: Fleet, now: number): Fleet {
  const { upgrade, upgrades, successor, lastUpgrade } = fleet;
  if (upgrade.state !== 'ready' || lastUpgrade?.upgrade === upgrades) return fleet;
  const outcome: UpgradeOutcome = {
    verdict: 'completed',
    upgrade: upgrades,
    pid: successor,
    reason: null,
    duration: now - upgrade.since,
  };
  return { ...fleet, lastUpgrade: outcome };
}
