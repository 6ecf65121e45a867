/** What the log says of two masters. */
import type { UpgradeEvent } from '../../core/events.ts';
import { upgradeRefusal } from '../../core/fleet.ts';
import type { Fleet } from '../../core/model.ts';
import { type ActionLines, type EventLines, type Line, line } from './line.ts';

export const upgradeEvents: EventLines<UpgradeEvent['type']> = {
  upgradeRequested: (_, before) => {
    const refusal = upgradeRefusal(before);
    if (refusal !== null) return about(before, 'warn', `upgrade refused: ${refusal}`);
    return before.reload.state === 'idle'
      ? null
      : about(before, 'info', 'upgrade queued: it runs after the reload under way');
  },
  successorSpawned: ({ pid }, before) =>
    about(before, 'info', `upgrade ${before.upgrades} started: the new master has pid ${pid}`, { pid }),
  successorReadied: (_, before) =>
    before.upgrade.state === 'starting'
      ? aboutNew(before, 'info', `upgrade ${before.upgrades}: the new master is ready${nextByHand(before.upgrade)}`)
      : null,
  successorTook: (_, before) =>
    aboutNew(before, 'info', `upgrade ${before.upgrades} done: the new master serves, this one leaves`),
  successorStopping: (_, before) =>
    before.upgrade.state === 'ready' && !before.upgrade.byHand
      ? aboutNew(before, 'info', 'the new master was told to stop, so the service stops')
      : null,
  // The new one's own lines say so.
  successorReloading: null,
  successorGone: ({ reason }, before) => {
    const { upgrade, upgrades, stopping, dormant } = before;
    if (upgrade.state === 'starting')
      return aboutNew(before, 'error', `upgrade ${upgrades} failed, nothing was changed: ${reason}`);
    if (upgrade.state !== 'ready' || stopping !== null) return aboutNew(before, 'info', 'the new master is gone');
    return dormant
      ? aboutNew(before, 'error', `the new master is gone, this one serves again: ${reason}`)
      : aboutNew(before, 'info', `the new master is gone, this one serves on: ${reason}`);
  },
  predecessorYielded: (_, before) => about(before, 'info', 'this master has taken over, the one before it leaves'),
  predecessorStayed: (_, before) => about(before, 'info', 'the master before this one stays: an operator decided so'),
  // The stop that follows says so.
  predecessorWaits: null,
  predecessorGone: (_, before) => about(before, 'info', 'the master before this one is gone'),
};

export const upgradeActions: ActionLines<'upgrade' | 'yield' | 'handOn' | 'abandon'> = {
  // The events that follow say so.
  upgrade: null,
  yield: null,
  handOn: ({ upgrade, what }, fleet) =>
    what === 'reload' ? line('info', 'reload handed on to the new master', { upgrade, pid: fleet.successor }) : null,
  abandon: ({ upgrade, reason }, { lastUpgrade, successor }) =>
    lastUpgrade?.upgrade === upgrade && lastUpgrade.verdict === 'completed'
      ? line('info', `the new master stops as well: ${reason}`, { upgrade, pid: successor })
      : failure(upgrade, reason),
};

function failure(upgrade: number, reason: string): Line {
  return line('error', `upgrade ${upgrade} failed, nothing was changed: ${reason}; the new master is ended`, {
    upgrade,
  });
}

/** WINCH, which means something else in the middle of an upgrade. */
export function dismissal({ upgrade }: Fleet): string {
  switch (upgrade.state) {
    case 'asked':
    case 'starting':
      return 'the upgrade goes on by hand: our workers leave when the new master is ready';
    case 'ready':
      return 'the upgrade goes on by hand: our workers leave, and this master stays until it is told to stop';
    default:
      return 'all workers retire, the sockets stay open (HUP brings workers back)';
  }
}

function about({ upgrades }: Fleet, level: Line['level'], message: string, fields: Line['fields'] = {}): Line {
  return line(level, message, { upgrade: upgrades, ...fields });
}

/** With the new master's pid. */
function aboutNew(before: Fleet, level: Line['level'], message: string): Line {
  return about(before, level, message, { pid: before.successor });
}

/** What is left to the operator. */
function nextByHand({ byHand, dismissed }: Extract<Fleet['upgrade'], { state: 'starting' }>): string {
  if (!byHand) return '';
  const ours = dismissed ? 'our workers leave' : 'both serve; WINCH this one for its workers to leave';
  return `; ${ours}, and the rest is up to you: TERM this one, or HUP this one and TERM the new one`;
}
