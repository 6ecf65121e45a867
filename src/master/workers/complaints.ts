/** Reports what workers say of themselves: the app's errors, each once, and drains that last. */

import type { Worker } from '../../core/model.ts';
import { framesOf, thrownText } from '../../protocol/error-text.ts';
import type { ErrorReport, WorkerMessage } from '../../protocol/messages.ts';
import { requestsText, requestText } from '../../protocol/unanswered-text.ts';
import { monotonic } from '../../system/monotonic.ts';
import { workerFields } from '../log/line.ts';
import type { Logger } from '../log/logger.ts';
import type { Timeline } from '../log/timeline.ts';

type Draining = Extract<WorkerMessage, { type: 'draining' }>;
type LogTrouble = Extract<WorkerMessage, { type: 'log-trouble' }>;
type Short = Extract<WorkerMessage, { type: 'short' }>;
type Drained = Extract<WorkerMessage, { type: 'drained' }>;

/** Milliseconds before the same error is printed in full again. */
const repeatAfter = 60_000;
const remembered = 50;

const missedSession =
  'a Socket.IO client polls, and its session is in another worker: with several workers such clients fail; ' +
  "let clients use transports: ['websocket'], or set workers: 1 (docs/compatibility.md, Socket.IO)";

export class Complaints {
  readonly #logger: () => Logger;
  readonly #timeline: Timeline;
  readonly #printed = new Map<string, number>();
  #lostLines = 0;
  #saidUnheard = false;
  #saidSession = false;

  constructor(logger: () => Logger, timeline: Timeline) {
    this.#logger = logger;
    this.#timeline = timeline;
  }

  /** The app threw. N workers throw the same: its text is printed once, then referred to. */
  report(worker: Worker, error: ErrorReport): void {
    const fields = workerFields(worker);
    const first = thrownText(error);
    const stack = framesOf(error.stack);
    const during = worker.phase.name === 'booting' ? ' while it was loaded' : '';
    // It has thrown nothing: what it exports cannot be served.
    const isExport = error.name === 'ExportError';
    const text = isExport ? error.message : `the app threw${during}: ${first}`;
    this.#timeline.add({ kind: 'crash', level: 'error', text, worker, stack });
    if (worker.phase.name !== 'booting') {
      // Node has printed it on the worker's own stderr.
      this.#logger().error({ ...fields, error: first }, `the app threw: ${first}`);
      return;
    }
    const isRepeated = this.#isRepeated(error.stack);
    if (isExport) {
      this.#logger()[isRepeated ? 'debug' : 'error']({ ...fields, error: first }, text);
      return;
    }
    if (isRepeated) {
      this.#logger().error({ ...fields, error: first }, `the app threw the same error again: ${first}`);
      return;
    }
    // pino names the type of an error after its constructor; without one, by its name.
    const err = Object.assign(Object.create(null) as object, error);
    this.#logger().error({ ...fields, err }, `the app threw while it was loaded: ${first}`);
  }

  reportDraining(worker: Worker, message: Draining): void {
    const { requests, inFlight, connections, upgraded } = message;
    this.#logger().debug(
      { ...workerFields(worker), requests, inFlight, connections, upgraded },
      `worker drains: ${inFlight} requests and ${connections} connections left`,
    );
  }

  /** Once in a while: it lasts, and it is the same for all workers. */
  reportShortage(worker: Worker, { connections }: Short): void {
    if (this.#isRepeated('short of file descriptors')) return;
    this.#logger().warn(
      { ...workerFields(worker), connections },
      `worker runs out of file descriptors, with ${connections} connections: further connections are closed; raise ulimit -n (LimitNOFILE= in systemd)`,
    );
  }

  /** Once for the whole service: it concerns how the app is run, not a worker. */
  reportMissedSession(worker: Worker): void {
    if (this.#saidSession) return;
    this.#saidSession = true;
    this.#logger().warn(workerFields(worker), missedSession);
  }

  /** Lines of the access log that could not be written, ever. */
  get lostLines(): number {
    return this.#lostLines;
  }

  /** The same for all workers, most likely. */
  reportLogTrouble(worker: Worker, { lines, reason }: LogTrouble): void {
    this.#lostLines += lines;
    if (this.#isRepeated(`access log: ${reason}`)) return;
    this.#logger().warn(
      { ...workerFields(worker), lostLines: this.#lostLines, reason },
      `the access log cannot be written: ${reason}; ${this.#lostLines} of its lines were lost so far, the service goes on`,
    );
  }

  reportDrained(worker: Worker, { cutRequests, cutConnections, requests = [] }: Drained): void {
    if (cutRequests === 0 && cutConnections === 0) return;
    const named = requestsText(requests, cutRequests);
    const text =
      `worker's drain ended at its limit: ${cutRequests} requests and ${cutConnections} connections were cut` +
      (named === '' ? '' : `: ${named}`);
    this.#logger().warn({ ...workerFields(worker), cutRequests, cutConnections, requests }, text);
    const details = requests.map((request) => `cut: ${requestText(request)}`);
    this.#timeline.add({ kind: 'kill', level: 'warn', text, worker, details });
  }

  /** Once: it is the same for all workers, and it lasts. */
  reportUnheard(worker: Worker): void {
    if (this.#saidUnheard) return;
    this.#saidUnheard = true;
    this.#logger().warn(
      workerFields(worker),
      'the app sends messages to its parent process (process.send), and nobody reads them: what it does by itself as a ' +
        'single process, it has to do here as well; for log4js set disableClustering: true, leave out adapters for ' +
        "node:cluster; process.send('ready') and the like do no harm (said once)",
    );
  }

  #isRepeated(stack: string): boolean {
    const now = monotonic();
    const last = this.#printed.get(stack);
    if (last !== undefined && now - last < repeatAfter) return true;
    if (this.#printed.size >= remembered) this.#printed.clear();
    this.#printed.set(stack, now);
    return false;
  }
}
