/** The messages between the master and the child that runs config code. */
export type ProbeOrder = {
  readonly path: string;
  /** The process that waits for the report: `process.ppid` could already be the one that inherited the child. */
  readonly parent: number;
} & ({ readonly type: 'settings' } | { readonly type: 'hook'; readonly name: string; readonly argument: unknown });

export type ProbeReport =
  | { readonly type: 'settings'; readonly settings: Record<string, unknown> }
  | { readonly type: 'called' }
  | { readonly type: 'failed'; readonly reason: string };

/**
 * The child's end of the pipe over which it gets its order and gives its report: a line of JSON each way. It is none of
 * Node's IPC channels, which only take what a process says that is trusted.
 */
export const probeDescriptor = 3;
