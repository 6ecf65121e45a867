/** The routes that begin, decide and undo a reload. */
import type { Event } from '../../core/events.ts';
import { decisionRefusal, rollbackRefusal } from '../../core/fleet.ts';
import type { Fleet, ReloadHeld, ReloadOutcome } from '../../core/model.ts';
import { lasting, stopping, taken } from './lasting.ts';
import { type Call, type Reply, type Route, refuse } from './route.ts';

/** What an operator can do about reloads. Each promise gives `null` if the service stopped before there was an outcome. */
export interface ReloadSteering {
  readonly fleet: () => Fleet;
  readonly post: (event: Event) => void;
  /** Asks for a reload. @returns its outcome, `held` once that is so */
  readonly reload: (hold: boolean) => Promise<ReloadOutcome | ReloadHeld | null>;
  /** Lets the reload under way go on. @returns its outcome */
  readonly promote: () => Promise<ReloadOutcome | null>;
  /** Asks for the generation before. @returns the outcome */
  readonly rollback: () => Promise<ReloadOutcome | ReloadHeld | null>;
}

export function reloadRoutes({ fleet, post, reload, promote, rollback }: ReloadSteering): Route[] {
  const undecided = (): Reply | null => refused('no_reload', decisionRefusal(fleet()));
  return [
    lasting('/reload', fleet, {
      ask: ({ body }) => reload(body.hold === true),
      refusal: (call) => reloadRefusal(call, fleet()),
    }),
    lasting('/promote', fleet, { ask: promote, refusal: undecided }),
    lasting('/rollback', fleet, {
      ask: rollback,
      refusal: () => refused('rollback_refused', rollbackRefusal(fleet())),
    }),
    {
      method: 'POST',
      path: '/abort',
      handle: () => {
        const refusal = undecided();
        if (refusal !== null) return refusal;
        post({ type: 'abortRequested' });
        return taken();
      },
    },
  ];
}

function reloadRefusal({ body: { hold = false } }: Call, { stopping: stop, upgrade }: Fleet): Reply | null {
  if (typeof hold !== 'boolean') return refuse(400, 'bad_request', 'hold: expected true or false');
  if (stop !== null) return stopping();
  // Handed on to the new master it would be a reload like any other.
  return hold && upgrade.state !== 'none'
    ? refuse(409, 'upgrading', 'an upgrade is under way: a reload cannot be held meanwhile')
    : null;
}

function refused(code: string, why: string | null): Reply | null {
  return why === null ? null : refuse(409, code, why);
}
