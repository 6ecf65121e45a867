/** Fixed times, milliseconds, and limits that need no setting. */
export const fixed = {
  /** From SIGABRT to SIGKILL. */
  killGrace: 1_000,
  /** From the end of a worker's drain to SIGKILL: the worker keeps the deadline itself, this is the backstop. */
  drainMargin: 1_500,
  /** How long requests in flight may take in a quick stop. */
  quickStop: 1_000,
  /**
   * From a TERM to another that is the same one: what forwards signals to a process group (`timeout`, `npm`, a container's
   * init) and the group itself both bring it.
   */
  sameStop: 1_000,
  /**
   * From the moment at which a new master has the pidfile: an order to stop that comes to the old one was meant for the
   * service, by somebody who had read the pidfile just before.
   */
  lateOrder: 250,
  /** A spare that has not been heard of for this long takes no place. */
  spareSilence: 2_000,
  /** A worker ready for less than this long counts as one that failed to boot. */
  stableAfter: 2_000,
  /**
   * From a TERM sent to a worker to its retirement. A service manager signals the whole group, and the worker may be
   * faster to say so than the master's own TERM.
   */
  askedGrace: 500,
  /** From the order to drain to the last connection that is accepted; a stuck worker does not report it, and accepts none. */
  acceptLimit: 1_000,
  /** How long an inspector may take to answer with a stuck worker's stack. */
  captureLimit: 3_000,
  /** Between two warnings about the same worker. */
  warnEvery: 60_000,
  /** Consecutive failed boots that halt a rollout. */
  rolloutFailures: 3,
  /** Crashes that never count as a crash loop of a new generation, however few workers there are. */
  rollbackCrashes: 3,
  /**
   * How sure a verdict on traffic is, in standard deviations: 3 is wrong once in 740 times where there is no difference at
   * all to what is allowed, and it is looked at again and again.
   */
  sureness: 3,
  /** A longer 99th percentile is none if it is not longer by this: a millisecond more may be twice as long. */
  leastSlowness: 10,
  /** Half-seconds in which requests were slow before a generation is: in one of them it may have collected garbage. */
  slowSpells: 3,
  /** The same where nobody serves beside it: whatever slows the machine for a moment cannot be told from it there. */
  slowSpellsAlone: 12,
  /** Milliseconds between two looks at the part of the requests that a canary gets, and the least that it is to get of its share. */
  partEvery: 1_000,
  leastPart: 0.5,
  /** Requests that a canary must have left unanswered to be taken for one that answers nothing. */
  leastWaiting: 10,
  /** Heartbeats in a row over `maxMemory`, and the age below which a worker's memory is not judged. */
  memorySamples: 3,
  memoryMinAge: 10_000,
  /** Generations that may drain at a time; a further reload waits for the oldest to leave. */
  drainingGenerations: 5,
  /** Workers of one slot that may be on their way out at a time; a further replacement waits for the oldest to leave. */
  leavingPerSlot: 5,
  /** Event loops this busy ask for more workers, of which each is to be about as busy as the target. */
  scaleUpAt: 0.75,
  scaleTarget: 0.6,
  /** Loops that would not be busier than this without one of the workers can do without it. */
  scaleDownAt: 0.5,
  /** For how long it must be so; and from one worker that goes to the next. */
  scaleUpAfter: 3_000,
  scaleDownAfter: 30_000,
  scaleDownStep: 10_000,
  /** How long a worker must have been ready until its figures count: connections come to it meanwhile. */
  scaleSettle: 5_000,
  /** A worker whose last heartbeat is older than this is blocked, and so busy. */
  scaleSilence: 2_000,
  /** Weight of the latest heartbeat in the average. */
  scaleSmoothing: 0.25,
  /** What a new master that is ready may take to take over. */
  takeOverLimit: 30_000,
} as const;
