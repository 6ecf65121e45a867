/** The claim of the control socket: where `prefork status` and the like find the service. */
import type { Settings } from '../../config/resolved.ts';
import { BindError, messageOf } from '../../errors.ts';
import type { Logger } from '../log/logger.ts';
import type { Route } from '../operator/route.ts';
import type { Claim, ClaimsBequest } from './claim.ts';
import { claimFolder, runtimeFolder, Signpost, socketPath, sweep } from './places.ts';
import { UnixHttp } from './unix-http.ts';

export interface ControlSocketOptions {
  readonly routes: readonly Route[];
  readonly settings: () => Settings;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the master before this one has; `null` if there is none. */
  readonly predecessor: ClaimsBequest | null;
  readonly logger: () => Logger;
}

export class ControlSocket implements Claim {
  readonly #options: ControlSocketOptions;
  readonly #server: UnixHttp;
  readonly #signpost = new Signpost();
  /** Another master has it for now: the one before this one, or the one after. */
  #isAway: boolean;
  /** Why there is none, as it was logged last. */
  #problem = '';

  constructor(options: ControlSocketOptions) {
    const { logger, predecessor, routes, settings } = options;
    this.#options = options;
    this.#server = new UnixHttp({
      setting: 'controlSocket',
      routes,
      onError: (error) => logger().error({ err: error }, 'control: a request failed, this is a bug'),
    });
    // Of one service only one is to be found; one at a path of its own is no second one.
    const isRuntime = settings().controlSocket.kind === 'runtime';
    this.#isAway = predecessor !== null && (isRuntime || this.#wanted() === predecessor.control);
  }

  async ensure(): Promise<void> {
    if (!this.#isAway) await this.#open(false);
  }

  async takeOver(): Promise<void> {
    this.#isAway = false;
    // The other master's is in the place of ours.
    if (!this.#server.isThere) this.#server.retire();
    await this.#open(true);
  }

  yield(): void {
    this.#isAway = true;
    this.#signpost.remove();
    this.#server.retire();
  }

  release(): void {
    this.#signpost.remove();
    this.#server.close();
  }

  bequest(): Partial<ClaimsBequest> {
    return { control: this.#server.path };
  }

  #wanted(): string | null {
    return socketPath(this.#options.settings(), this.#options.env, process.pid);
  }

  /** @throws BindError if a path that was configured cannot be used */
  async #open(replaces: boolean): Promise<void> {
    const { logger, settings } = this.#options;
    const { controlSocket, name } = settings();
    const path = this.#wanted();
    if (path === null) return this.release();
    const isOurs = path === this.#server.path;
    if (!isOurs || !this.#server.isThere) {
      try {
        if (controlSocket.kind === 'runtime') this.#claimRuntime();
        const isOpen = await this.#server.open({ kind: 'unix', path }, { replaces });
        this.#problem = '';
        if (!isOpen) return;
      } catch (error) {
        if (controlSocket.kind === 'path' && !controlSocket.isDefault) throw error;
        this.#report(messageOf(error), controlSocket.kind === 'runtime' ? 'info' : 'warn');
        return;
      }
      if (isOurs) logger().warn({ path }, 'the control socket was removed by somebody; it is there again');
    }
    if (controlSocket.kind === 'path') this.#signpost.put(path, name, this.#options.env, process.pid);
  }

  #report(problem: string, level: 'info' | 'warn'): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.logger()[level](`no control socket, prefork status and the like will not work: ${problem}`);
  }

  /** A signpost is at the very path that the socket gets. */
  #claimRuntime(): void {
    this.#signpost.remove();
    const folder = runtimeFolder(this.#options.env);
    const problem = claimFolder(folder);
    if (problem !== null) throw new BindError(folder, 'EACCES', problem);
    sweep(folder);
  }
}
