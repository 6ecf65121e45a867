/** The command that tries a canary, alone, before it meets a client. */
import type { Settings } from '../../config/resolved.ts';
import { withoutSecrets } from '../../config/show.ts';
import type { Event } from '../../core/events.ts';
import type { PrivateAddress } from '../../protocol/messages.ts';
import { runCommand } from '../command/run.ts';
import type { Logger } from '../log/logger.ts';

export interface VerificationOptions {
  readonly logger: () => Logger;
  /** What an address of the service is called. */
  readonly labelOf: (listener: string) => string | null;
  readonly post: (event: Event) => void;
}

export class Verification {
  readonly #options: VerificationOptions;
  /** Where each worker that is held can be asked, as it says itself. */
  readonly #addresses = new Map<number, readonly PrivateAddress[]>();
  #abort = new AbortController();

  constructor(options: VerificationOptions) {
    this.#options = options;
  }

  /** A worker is ready. Only of one that is held it is used. */
  onReady(id: number, addresses: readonly PrivateAddress[]): void {
    if (addresses.length > 0) this.#addresses.set(id, addresses);
  }

  /** Runs the command against a worker; what it finds is the event `canaryVerified`. */
  begin(id: number, reload: number, settings: Settings): void {
    const { logger, post } = this.#options;
    const { verify: command, verifyTimeout: timeout } = settings;
    const done = (reason: string | null) => post({ type: 'canaryVerified', reload, reason });
    const env = this.#environment(id);
    if (command === null || env === null) {
      done(command === null ? null : 'there is nothing to verify: the app has no address at which it can be asked');
      return;
    }
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    logger().info({ worker: id, reload }, `verify: ${withoutSecrets(command)}, against ${env.PREFORK_VERIFY_URL}`);
    void runCommand({
      name: 'verify',
      command,
      settings,
      env,
      timeout,
      timeoutName: 'verifyTimeout',
      logger: logger(),
      signal,
      endsAll: true,
    }).then(({ failure, said }) => {
      if (failure === null) done(null);
      else done(`verify command "${withoutSecrets(command)}" ${failure}${said === '' ? '' : `: ${said}`}`);
    });
  }

  /** The reload is over: a command that still runs is ended, with all that it has started. */
  end(): void {
    this.#abort.abort();
  }

  forget(id: number): void {
    this.#addresses.delete(id);
  }

  /** @returns what the command finds the worker by; `null` if it can be found nowhere */
  #environment(id: number): ({ readonly PREFORK_VERIFY_URL: string } & Record<string, string>) | null {
    const { labelOf } = this.#options;
    // A worker may say what it likes: only what stands for an address of the service counts.
    const all = (this.#addresses.get(id) ?? []).filter(({ listener }) => labelOf(listener) !== null);
    const [first] = all;
    if (first === undefined) return null;
    return {
      PREFORK_VERIFY_URL: `${first.secure ? 'https' : 'http'}://${at(first)}`,
      PREFORK_VERIFY_ADDRESS: at(first),
      PREFORK_VERIFY_ADDRESSES: all.map((each) => `${labelOf(each.listener)}=${at(each)}`).join(' '),
    };
  }
}

function at({ host, port }: PrivateAddress): string {
  return `${host === '::1' ? '[::1]' : host}:${port}`;
}
