/** Commands that go out: imperatives. None is awaited: what comes of it returns as an event. */
import type { KillReason, Moves, PlaceReason, RetireReason } from './model.ts';

export type Action =
  /** Without a slot it is a spare. `held`: it accepts nobody from the service's sockets until it is admitted. */
  | {
      readonly type: 'spawn';
      readonly id: number;
      readonly slot: number | null;
      readonly generation: number;
      readonly held?: boolean;
    }
  /** The spare takes this slot: it is told so, and gets the sockets that it has asked for. */
  | { readonly type: 'place'; readonly id: number; readonly slot: number; readonly reason: PlaceReason }
  | {
      readonly type: 'drain';
      readonly id: number;
      readonly reason: RetireReason;
      readonly quick: boolean;
      /** Milliseconds from now. */
      readonly within: number;
    }
  /** It drains already; from now on somebody waits for its end. */
  | {
      readonly type: 'hasten';
      readonly id: number;
      /** Milliseconds from now. */
      readonly within: number;
    }
  | {
      readonly type: 'kill';
      readonly id: number;
      readonly reason: KillReason;
      readonly signal: 'SIGABRT' | 'SIGKILL';
    }
  /** Find out where the worker is stuck, log it, answer `stackCaptured`. `fatal`: it is killed next. */
  | { readonly type: 'capture'; readonly id: number; readonly fatal: boolean }
  /** Accept from exactly these queues. */
  | { readonly type: 'assign'; readonly id: number; readonly queues: readonly number[] }
  /** Give connections away, or take them; see {@link Moves}. */
  | ({ readonly type: 'migrate'; readonly id: number } & Moves)
  /** Ask for the right to name a leader, which one master has at a time; answer `leadClaimed` once it is there. */
  | { readonly type: 'claimLead'; readonly claim: number }
  /** Let go of that right, or of asking for it. */
  | { readonly type: 'releaseLead' }
  /** The worker does what only one worker of the service may do. It ends that by itself when it is told to leave. */
  | { readonly type: 'lead'; readonly id: number }
  /**
   * Load the config, bind what is new, run the release command; answer `reloadPrepared` or
   * `reloadPrepareFailed`. If `rollback` says why, bring back the settings of the generation before the one in force.
   */
  | { readonly type: 'prepare'; readonly reload: number; readonly generation: number; readonly rollback: string | null }
  /** The canary serves its share: for so many milliseconds its traffic is compared with the old generation's. */
  | { readonly type: 'try'; readonly reload: number; readonly generation: number; readonly within: number }
  /** The canary's trial is over, and it is not worse. */
  | {
      readonly type: 'judge';
      readonly reload: number;
      readonly verdict: 'passed' | 'undecided';
      /** The figures. */
      readonly text: string;
      /** What follows. */
      readonly next: 'promote' | 'reject' | 'hold';
    }
  /** Run the command that tries the canary; answer `canaryVerified`. */
  | { readonly type: 'verify'; readonly id: number; readonly reload: number; readonly generation: number }
  /** The canary was held, and gets clients from now on. */
  | { readonly type: 'admit'; readonly id: number }
  /** The canary is good, and stays the only one until somebody decides. */
  | { readonly type: 'hold'; readonly reload: number; readonly generation: number }
  /** The canary is good: its generation is in force. */
  | { readonly type: 'promote'; readonly reload: number; readonly generation: number }
  /** Forget the generation that was prepared, and close what was bound for it. */
  | { readonly type: 'reject'; readonly reload: number; readonly reason: string; readonly duration: number }
  /** Every worker is of the new generation: close what only older workers used. */
  | { readonly type: 'complete'; readonly reload: number; readonly generation: number; readonly duration: number }
  | { readonly type: 'halt'; readonly reload: number; readonly reason: string; readonly duration: number }
  /** The first worker is ready: write the pidfile. */
  | { readonly type: 'declareReady' }
  /** All workers of the first start are ready. */
  | { readonly type: 'declareStarted'; readonly workers: number }
  /** The pool follows its load. What is to be done for it follows from the number. */
  | { readonly type: 'resize'; readonly from: number; readonly to: number; readonly reason: string }
  /** It would grow, and there is no memory for it: bytes that a worker needs, and that there are. */
  | {
      readonly type: 'holdSize';
      readonly workers: number;
      readonly reason: string;
      readonly needed: number;
      readonly available: number;
    }
  | { readonly type: 'reopen' }
  /** Start a new master and give it the sockets; answer `successorSpawned`, and `successorGone` at its end. */
  | { readonly type: 'upgrade'; readonly upgrade: number }
  /** The new master is to take the pidfile, the control socket and the admin address; answer `successorTook`. */
  | {
      readonly type: 'yield';
      readonly upgrade: number;
      /** A reload was asked for meanwhile: the new master does it. */
      readonly reload: boolean;
    }
  /** The new master is to do what was asked of this one: a reload, once it has taken over. */
  | { readonly type: 'handOn'; readonly upgrade: number; readonly what: 'reload' | 'quickStop' }
  /** End the new master. `quick`: requests in flight have a second. */
  | { readonly type: 'abandon'; readonly upgrade: number; readonly reason: string; readonly quick: boolean }
  /** The master lets go of its listening sockets: the service is stopping. */
  | { readonly type: 'unlisten' }
  | { readonly type: 'exit'; readonly status: number; readonly reason: string | null };

/** The action of a type, or of several. */
export type ActionOf<T extends Action['type']> = Extract<Action, { type: T }>;
