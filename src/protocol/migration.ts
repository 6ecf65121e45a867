/** Words for connections that move between workers. */

/** Why a connection is not given to another worker, and ends with its own. */
export const keptReasons = ['tls', 'http2', 'upgraded', 'other', 'app', 'address', 'busy'] as const;

/**
 * `upgraded`: a WebSocket and the like; `other`: no HTTP; `app`: the app has put something on it; `address`: nobody else
 * listens there; `busy`: a request was under way to the end.
 */
export type KeptReason = (typeof keptReasons)[number];

/** What a worker has done with connections since it said so last. */
export interface MigrationDelta {
  /** Connections that it gave to others, and that it took. */
  readonly given: number;
  readonly taken: number;
  /** Connections that came back, for nobody could take them, and those that were lost on their way. */
  readonly returned: number;
  readonly lost: number;
  /** Connections that were to go and could not. */
  readonly kept: readonly (readonly [KeptReason, number])[];
}

/** The same over all workers, and all of their lives. */
export interface MigrationStatus {
  /** Whether connections outlive their workers here. */
  readonly on: boolean;
  readonly moved: number;
  readonly lost: number;
  readonly kept: Readonly<Partial<Record<KeptReason, number>>>;
}

/** Descriptors of the two ends of the queue between workers. */
export interface QueueDescriptors {
  readonly give: number;
  readonly take: number;
}
