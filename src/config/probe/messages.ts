/** What is said between the master and the child that runs config code. */
export type ProbeOrder = {
  readonly path: string;
  /** Who waits for the report: a child that asked for its parent could be told of the one that inherited it. */
  readonly parent: number;
} & ({ readonly type: 'settings' } | { readonly type: 'hook'; readonly name: string; readonly argument: unknown });

export type ProbeReport =
  | { readonly type: 'settings'; readonly settings: Record<string, unknown> }
  | { readonly type: 'called' }
  | { readonly type: 'failed'; readonly reason: string };
