/**
 * Loads the app in a worker that gets no socket: what is wrong with it is known before a client is served by it. As
 * Gunicorn's `--check-config` does.
 */
import type { Settings } from '../../config/resolved.ts';
import { AppError } from '../../errors.ts';
import type { WorkerMessage } from '../../protocol/messages.ts';
import type { ListenQuery } from '../../system/node-internals.ts';
import { Pool } from './pool.ts';

const id = 1;
/** Node's exit code for an option that it does not know; see the documentation of node:process, "Exit codes". */
const badOption = 9;

export interface Trial {
  /** On what is not as it should be, and may be so only here. */
  readonly notes: readonly string[];
  /** The address that the app would listen on by itself; `null` if it is prefork's choice. */
  readonly query: ListenQuery | null;
}

/**
 * @throws AppError if the app cannot be loaded, or does not come to listen within `bootTimeout`
 */
export async function tryApp(settings: Settings): Promise<Trial> {
  let pool: Pool | null = null;
  let timer: NodeJS.Timeout | undefined;
  let why = '';
  try {
    return await new Promise<Trial>((resolve, reject) => {
      const seconds = settings.bootTimeout / 1_000;
      timer = setTimeout(
        () => reject(new AppError('boot', `the app did not listen within ${seconds} s (bootTimeout)`)),
        settings.bootTimeout,
      );
      pool = new Pool(null);
      pool.connect({
        onMessage: (_, message) => {
          if (message.type === 'dying' && message.how === 'exit' && message.caller !== null)
            why = `: it called process.exit() at ${message.caller}`;
          settle(message, resolve, reject);
        },
        onEvent: (event) => {
          if (event.type === 'workerSpawnFailed')
            reject(new AppError('boot', `no process could be made: ${event.reason}`));
          if (event.type !== 'workerExited') return;
          const how = event.signal ?? `code ${event.code}`;
          const hint = event.code === badOption ? '; node refuses an option of nodeArgs or NODE_OPTIONS' : '';
          reject(new AppError('boot', `the app exited (${how}) before it listened${hint}${why}`));
        },
        onOutput: () => {},
      });
      // Nothing of the service's is touched: no log of its own, no answer to its listen().
      const quiet = { ...settings, accessLog: null, captureOutput: false };
      pool.spawn({ id, slot: 0, generation: 1, settings: quiet, limits: { requests: null, lifetime: null } });
    });
  } finally {
    clearTimeout(timer);
    (pool as Pool | null)?.signal(id, 'SIGKILL');
  }
}

function settle(message: WorkerMessage, resolve: (trial: Trial) => void, reject: (error: AppError) => void): void {
  if (message.type === 'listen') resolve({ notes: [], query: message.bound ? null : message.query });
  if (message.type === 'failed')
    reject(new AppError(message.kind, `the app cannot be loaded:\n${message.error.stack || message.error.message}`));
  // It would listen as soon as it is well; what it needs may be there where it is to run.
  if (message.type !== 'health') return;
  const failing = message.checks.filter(({ ok }) => !ok);
  if (failing.length > 0) {
    const text = failing.map(({ name, error }) => `${name}${error === null ? '' : ` (${error})`}`).join(', ');
    resolve({ notes: [`the app does not listen yet, for its health checks fail here: ${text}`], query: null });
  }
}
