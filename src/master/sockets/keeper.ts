/** Unix sockets whose paths are removed while the service runs. */
import { messageOf } from '../../errors.ts';
import type { Logger } from '../log/logger.ts';
import type { Listeners } from './listeners.ts';

export interface SocketKeeperOptions {
  readonly listeners: Listeners;
  readonly logger: () => Logger;
  /** Whether no other master has the same sockets. */
  readonly isAlone: () => boolean;
  /** There are new sockets, on which workers do not listen yet. */
  readonly onRestored: () => void;
}

export class SocketKeeper {
  readonly #options: SocketKeeperOptions;
  /** What was logged and lasts. */
  #problems: ReadonlySet<string> = new Set();
  #last: Promise<void> = Promise.resolve();

  constructor(options: SocketKeeperOptions) {
    this.#options = options;
  }

  /** Brings their paths back. What keeps one from it is logged, once as long as it lasts. */
  keep(): Promise<void> {
    this.#last = this.#last.then(() => this.#keep());
    return this.#last;
  }

  async #keep(): Promise<void> {
    const { isAlone, listeners, logger, onRestored } = this.#options;
    if (!isAlone()) return;
    try {
      const { restored, problems } = await listeners.restore();
      for (const label of restored)
        logger().warn(`${label} was removed by somebody; it is there again, and workers are replaced to listen there`);
      const messages = new Set(problems.map(({ message }) => message));
      for (const message of messages) if (!this.#problems.has(message)) logger().error(message);
      this.#problems = messages;
      if (restored.length > 0) onRestored();
    } catch (error) {
      logger().error(messageOf(error));
    }
  }
}
