/** What is told of two masters. */
import type { Action } from '../../core/actions.ts';
import type { Event } from '../../core/events.ts';
import { upgradeRefusal } from '../../core/fleet.ts';
import type { Fleet } from '../../core/model.ts';
import type { Line } from './narrate.ts';

/** The line for a fact about an upgrade, told with what was known before it. */
export function narrateUpgrade(event: Event, { upgrade, upgrades, successor, ...before }: Fleet): Line | null {
  const line = (level: Line['level'], message: string, fields: Line['fields'] = {}): Line => ({
    level,
    message,
    fields: { upgrade: upgrades, ...fields },
  });
  switch (event.type) {
    case 'upgradeRequested': {
      const refusal = upgradeRefusal({ upgrade, upgrades, successor, ...before });
      if (refusal !== null) return line('warn', `upgrade refused: ${refusal}`);
      return before.reload.state === 'idle'
        ? null
        : line('info', 'upgrade remembered: it runs after the reload under way');
    }
    case 'successorSpawned':
      return line('info', `upgrade ${upgrades} started: the new master has pid ${event.pid}`, { pid: event.pid });
    case 'successorReadied':
      return upgrade.state === 'starting'
        ? line('info', `upgrade ${upgrades}: the new master is ready${nextByHand(upgrade)}`, {
            pid: successor,
          })
        : null;
    case 'successorTook':
      return line('info', `upgrade ${upgrades} done: the new master serves, this one leaves`, { pid: successor });
    case 'successorStopping':
      return upgrade.state === 'ready' && !upgrade.byHand
        ? line('info', 'the new master was told to stop: nobody serves after it', { pid: successor })
        : null;
    case 'successorGone':
      if (upgrade.state === 'starting')
        return line('error', `upgrade ${upgrades} failed, nothing was changed: ${event.reason}`, { pid: successor });
      if (upgrade.state === 'ready' && before.stopping === null)
        return before.dormant
          ? line('error', `the new master is gone, this one serves again: ${event.reason}`, { pid: successor })
          : line('info', `the new master is gone, this one serves on: ${event.reason}`, { pid: successor });
      return line('info', 'the new master is gone', { pid: successor });
    case 'predecessorYielded':
      return line('info', 'this master has taken over, the one before it leaves');
    case 'predecessorStayed':
      return line('info', 'the master before this one stays: an operator wants it');
    case 'predecessorGone':
      return line('info', 'the master before this one is gone');
    default:
      return null;
  }
}

/** What is left to the operator. */
function nextByHand({ byHand, dismissed }: Extract<Fleet['upgrade'], { state: 'starting' }>): string {
  if (!byHand) return '';
  const ours = dismissed ? 'our workers leave' : 'both serve; WINCH this one for its workers to leave';
  return `; ${ours}, and the rest is up to you: TERM this one, or HUP this one and TERM the new one`;
}

export function narrateAbandon({ upgrade, reason }: Extract<Action, { type: 'abandon' }>): Line {
  const message = `upgrade ${upgrade} failed, nothing was changed: ${reason}; the new master is ended`;
  return { level: 'error', message, fields: { upgrade } };
}

/** WINCH. */
export function dismissal({ upgrade }: Fleet): string {
  switch (upgrade.state) {
    case 'asked':
    case 'starting':
      return 'the upgrade goes on by hand: our workers leave when the new master is ready';
    case 'ready':
      return 'the upgrade goes on by hand: our workers leave, and this master stays until it is told to stop';
    default:
      return 'all workers retire, the sockets stay (HUP brings workers back)';
  }
}
