/** Reports to the master why this worker cannot boot; the master prints it once for all workers. */
import type { FailureKind } from '../../core/model.ts';
import { maxErrorMessage, maxErrorName, maxText } from '../../protocol/check-values.ts';
import type { ErrorReport } from '../../protocol/messages.ts';
import type { Channel } from '../channel.ts';
import { frameOf } from '../dying/app-frame.ts';
import type { Caught } from '../dying/last-words.ts';
import { describeThrown } from '../dying/thrown.ts';
import type { EventFilter } from '../process-events.ts';
import { describeError, isFromLoader, isTransformError } from './describe-error.ts';

/** Milliseconds the report is given to leave. */
const flushTime = 1_000;

/** Errors of the module loader: the app's files are not what they should be, and no restart helps. */
const loadCodes = new Set([
  'MODULE_NOT_FOUND',
  'ERR_MODULE_NOT_FOUND',
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_DIR_IMPORT',
  'ERR_UNSUPPORTED_ESM_URL_SCHEME',
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_INVALID_TYPESCRIPT_SYNTAX',
  'ERR_PACKAGE_PATH_NOT_EXPORTED',
  'ERR_PACKAGE_IMPORT_NOT_DEFINED',
  'ERR_INVALID_MODULE_SPECIFIER',
  'ERR_INVALID_PACKAGE_CONFIG',
  'ERR_INVALID_PACKAGE_TARGET',
  'ERR_IMPORT_ATTRIBUTE_MISSING',
  'ERR_REQUIRE_ESM',
  'ERR_REQUIRE_ASYNC_MODULE',
  'ERR_REQUIRE_CYCLE_MODULE',
  'ERR_DLOPEN_FAILED',
]);

/** The app exports nothing that could be served. */
export class ExportError extends Error {
  override readonly name = 'ExportError';
}

/** The app has ended without having listened, and what it exports cannot be served either. It was loaded well. */
export class UnservedError extends ExportError {}

/** `load` for an app that cannot even be loaded, `boot` for one that failed on its way. */
export function kindOf(error: unknown): FailureKind {
  if (error instanceof ExportError) return error instanceof UnservedError ? 'boot' : 'load';
  if (!(error instanceof Error)) return 'boot';
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && loadCodes.has(code)) return 'load';
  if (isTransformError(error)) return 'load';
  return error instanceof SyntaxError && isFromLoader(error) ? 'load' : 'boot';
}

export class FailureWatch {
  readonly #channel: Channel;
  readonly #cwd = process.cwd();
  #isReady = false;
  #reported = false;
  #caught: Caught | null = null;
  /** What a promise was rejected with, if it is no error: Node wraps it in one that does not show what is in it. */
  #rejected: { readonly reason: unknown } | null = null;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * From the app's first line on. No event listener, which the app could count and remove: Node asks by `process.emit`
   * whether an error is handled.
   */
  start(events: EventFilter): void {
    events.intercept('unhandledRejection', ([reason]) => {
      const isEnd = process.listenerCount('unhandledRejection') === 0;
      this.#rejected = isEnd && !(reason instanceof Error) ? { reason } : null;
      return false;
    });
    events.intercept('uncaughtException', ([error, origin]) => {
      const isRejection = origin === 'unhandledRejection';
      const thrown = isRejection && this.#rejected !== null ? this.#rejected.reason : error;
      // An app with a handler of its own decides for itself whether this is the end.
      if (process.listenerCount('uncaughtException') > 0) {
        this.#caught = { error: thrown, at: performance.now() };
        return false;
      }
      if (!this.#isReady) {
        this.fail(thrown);
        return true;
      }
      const report = reportOf(thrown, frameOf(thrown, this.#cwd), isRejection);
      this.#channel.send({ type: 'failed', kind: 'boot', error: report });
      return false;
    });
  }

  /** The worker is ready: from here on Node ends it, and the master gets a report. */
  ready(): void {
    this.#isReady = true;
  }

  /** The last error that a handler of the app has caught, where Node would have ended the process. */
  get caught(): Caught | null {
    return this.#caught;
  }

  /** Whether the end of this worker is decided. */
  get hasFailed(): boolean {
    return this.#reported;
  }

  /**
   * Reports the error and ends the process like an uncaught exception, but prints nothing: the master does.
   *
   * @param status that the process ends with
   */
  fail(error: unknown, status = 1): void {
    if (this.#reported) return;
    this.#reported = true;
    const report = reportOf(error, error instanceof ExportError ? null : frameOf(error, this.#cwd));
    if (!this.#channel.isOpen) {
      process.stderr.write(`${report.stack}\n`, () => process.exit(status));
      return;
    }
    setTimeout(() => process.exit(status), flushTime);
    this.#channel.send({ type: 'failed', kind: kindOf(error), error: report }, () => process.exit(status));
  }
}

/** @param frame the app's own line that threw */
function reportOf(error: unknown, frame: string | null, isRejection = false): ErrorReport {
  // What is wrong with the exports says everything: the stack would be ours.
  const stack = error instanceof ExportError ? error.message : describeError(error);
  const { name, message, because } = describeThrown(error);
  return {
    name: name.slice(0, maxErrorName),
    message: message.slice(0, maxErrorMessage),
    stack: stack.slice(0, maxText),
    frame,
    isRejection,
    because,
  };
}
