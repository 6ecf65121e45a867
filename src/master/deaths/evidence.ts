/** What is known of a worker when it ends, before anything is made of it. */
import type { UnansweredRequest } from '../../core/death.ts';
import type { Figures, Phase } from '../../core/model.ts';
import type { DyingMessage, ErrorReport } from '../../protocol/messages.ts';
import type { HeapLimit } from './heap-limit.ts';
import type { OomVerdict } from './oom-killer.ts';

export interface Evidence {
  readonly code: number | null;
  readonly signal: string | null;
  readonly phase: Phase;
  /** Its own last words. */
  readonly dying: DyingMessage | null;
  /** The error that nothing caught. */
  readonly failure: ErrorReport | null;
  /** What Node or V8 printed on its way out, if its output is captured. */
  readonly fatal: string | null;
  /** Of its last heartbeat. */
  readonly figures: Figures | null;
  /** Milliseconds since then. */
  readonly silent: number;
  readonly heapLimit: () => HeapLimit;
  readonly oom: () => OomVerdict;
  /** Where it was, if it was asked since the last heartbeat. */
  readonly frames: readonly string[];
  readonly requests: readonly UnansweredRequest[];
  readonly inFlight: number;
}
