/** What is said between the master and the child that runs config code. */
export type ProbeOrder =
  | { readonly type: 'settings'; readonly path: string }
  | { readonly type: 'hook'; readonly path: string; readonly name: string; readonly argument: unknown };

export type ProbeReport =
  | { readonly type: 'settings'; readonly settings: Record<string, unknown> }
  | { readonly type: 'called' }
  | { readonly type: 'failed'; readonly reason: string };
