/** The old master, as the new one sees it. */
import { messageOf, UpgradeError } from '../../errors.ts';
import { type Bequest, protocolVersion, UpgradeChannel, type UpgradeMessage, upgradeVariable } from './channel.ts';

export class Predecessor {
  readonly bequest: Bequest;
  readonly #channel: UpgradeChannel;

  private constructor(bequest: Bequest) {
    this.bequest = bequest;
    this.#channel = UpgradeChannel.of(bequest.channel);
  }

  /**
   * Takes the bequest out of the environment: no other process is to see it.
   *
   * @returns `null` if this is a start like any other
   * @throws UpgradeError if the old master speaks another version
   */
  static take(env: NodeJS.ProcessEnv): Predecessor | null {
    const text = env[upgradeVariable];
    delete env[upgradeVariable];
    if (text === undefined) return null;
    let version: unknown;
    try {
      const bequest = JSON.parse(text) as Bequest;
      version = bequest.version;
      const isComplete = Number.isInteger(bequest.channel) && Array.isArray(bequest.listeners);
      if (version === protocolVersion && !isComplete) throw new Error('it is incomplete');
      if (version === protocolVersion) return new Predecessor(bequest);
    } catch (error) {
      throw new UpgradeError(
        `the environment variable ${upgradeVariable} is for prefork's own use; unset it (${messageOf(error)})`,
        { cause: error },
      );
    }
    throw new UpgradeError(
      `this prefork cannot take over from the one that runs (its bequest has version ${String(version)}, understood is ${protocolVersion}); stop that one and start this one`,
    );
  }

  listen(onMessage: (message: UpgradeMessage) => void, onGone: () => void): void {
    this.#channel.listen(onMessage, onGone);
  }

  /** Calls back if the old master gives this one up before it listens. */
  onGivenUp(givenUp: () => void): void {
    this.#channel.glance(({ type }) => {
      if (type === 'end') givenUp();
    });
  }

  send(message: UpgradeMessage): void {
    this.#channel.send(message);
  }

  /** Why this one cannot take over. */
  tell(message: string): void {
    this.send({ type: 'error', message });
  }
}
