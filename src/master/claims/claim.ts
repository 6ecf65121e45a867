/**
 * What only one master of a service may hold at a time, and how it passes from one master to the next at an upgrade. An
 * upgrade, a reload and the end of the master are loops over the claims; each claim knows only itself.
 */

/** A thing that only one master of a service may hold at a time. */
export interface Claim {
  /**
   * Has it as the settings in force say, and does nothing while the other master has it. Called at the start, when the
   * service is ready, after each reload, and every few seconds, so that what was removed by accident comes back.
   *
   * @throws PreforkError if it cannot be had
   */
  ensure(): void | Promise<void>;

  /**
   * Takes the place of the other master's at once, so that it exists at every moment. Called when the other master has
   * left it to this one, and when the other master is gone.
   *
   * @throws PreforkError if it cannot be had
   */
  takeOver(): void | Promise<void>;

  /**
   * The other master has taken its place. Clients that are connected are served to the end; nothing of the other
   * master's is removed.
   *
   * @param pid of the other master
   */
  yield(pid: number): void;

  /**
   * The process ends: nothing of this master's is left behind. Files and sockets are gone when the call returns; the
   * promise is for what has to be told to others first.
   */
  release(): void | Promise<void>;

  /** What the next master needs in order to take it over. */
  bequest(): Partial<ClaimsBequest>;
}

/** What the claims pass to the next master. It is a part of its environment, see `upgrade/channel.ts`. */
export interface ClaimsBequest {
  /** The admin address as JSON, and its socket; `null` if the address is a path, which is taken by its name. */
  readonly admin: { readonly address: string; readonly fd: number } | null;
  /** The admin address as JSON, also if it is a path. */
  readonly adminAddress: string | null;
  /** The path of the control socket. */
  readonly control: string | null;
}
