/** A route for something that takes a while: it answers at once, or with `{"wait": true}` when it is over. */

import { isLeaving } from '../../core/fleet.ts';
import type { Fleet, ReloadHeld, ReloadOutcome, UpgradeOutcome } from '../../core/model.ts';
import { type Call, ok, type Reply, type Route, refuse } from './route.ts';

type Outcome = ReloadOutcome | ReloadHeld | UpgradeOutcome;

export interface Lasting {
  /** Begins it. @returns its outcome; `null` if there will be none */
  readonly ask: (call: Call) => Promise<Outcome | null>;
  /** Why it cannot be begun, or `null`. */
  readonly refusal: (call: Call) => Reply | null;
}

/** The answer to an order that is carried out from now on. */
export function taken(body: object = {}): Reply {
  return { status: 202, body: { accepted: true, ...body } };
}

export function stopping(): Reply {
  return refuse(409, 'stopping', 'the service is stopping');
}

export function lasting(path: string, fleet: () => Fleet, { ask, refusal }: Lasting): Route {
  return {
    method: 'POST',
    path,
    handle: async (call) => {
      const { wait = false } = call.body;
      if (typeof wait !== 'boolean') return refuse(400, 'bad_request', 'wait: expected true or false');
      const refused = refusal(call);
      if (refused !== null) return refused;
      const outcome = ask(call);
      if (!wait) return taken();
      const result = await outcome;
      if (result === null && isLeaving(fleet())) return handedOn();
      return result === null ? stopping() : ok({ ...result, duration: result.duration / 1_000 });
    },
  };
}

function handedOn(): Reply {
  return refuse(
    409,
    'upgrading',
    'an upgrade is under way: the new master does the reload, and its log says how it ends',
  );
}
