/**
 * What a worker says over a tube: the socket that the master opens for one look into it. The secret first, then a head,
 * each a line; then as many bytes as the head says.
 */

/** What comes next: so many bytes; or why there is nothing. */
export type TubeHead =
  | {
      readonly size: number;
      /** Why it is less than what was asked for. */
      readonly note: string | null;
    }
  | { readonly error: string };

/** Bytes of a head. */
export const maxHead = 4_096;

/** Characters of a note or an error in it. */
export const maxHeadText = 500;

/** Milliseconds that a heap snapshot may take before the worker counts as stuck after all. */
export const heapLimit = 300_000;

/** Milliseconds that a profile or a trace may be long, at least and at most. */
export const shortestLook = 100;
export const longestLook = 600_000;
