/** The claim of the admin address: read-only, for monitors and people. Changes are made through the control socket. */
import type { Address } from '../../config/address.ts';
import { BindError } from '../../errors.ts';
import { closeQuietly } from '../../system/descriptors.ts';
import type { Logger } from '../log/logger.ts';
import type { Route } from '../operator/route.ts';
import type { Claim, ClaimsBequest } from './claim.ts';
import { UnixHttp } from './unix-http.ts';

export interface AdminAddressOptions {
  readonly routes: readonly Route[];
  /** The address that the settings in force name; `null` if they name none. */
  readonly address: () => Address | null;
  /** Names by which it may be asked; see `adminHosts`. */
  readonly names: () => readonly string[];
  /** What the master before this one has; `null` if there is none. */
  readonly predecessor: ClaimsBequest | null;
  readonly logger: () => Logger;
}

export class AdminAddress implements Claim {
  readonly #options: AdminAddressOptions;
  readonly #server: UnixHttp;
  /** What is served, as JSON. */
  #served: string | null = null;
  /** What the other master serves. */
  #theirs: string | null;
  /** The socket of the master before this one, until it is taken over. */
  #inherited: ClaimsBequest['admin'];

  constructor(options: AdminAddressOptions) {
    const { logger, names, predecessor, routes } = options;
    this.#options = options;
    this.#theirs = predecessor?.adminAddress ?? null;
    this.#inherited = predecessor?.admin ?? null;
    this.#server = new UnixHttp({
      setting: 'admin',
      routes,
      names,
      onError: (error) => logger().error({ err: error }, 'admin: a request failed, this is a bug'),
    });
  }

  async ensure(): Promise<void> {
    if (this.#theirs === null || this.#theirs !== this.#wanted()) await this.#open(null, false);
  }

  async takeOver(): Promise<void> {
    const inherited = this.#inherited;
    const isSame = inherited !== null && inherited.address === this.#wanted();
    this.#inherited = null;
    this.#theirs = null;
    if (inherited !== null && !isSame) closeQuietly(inherited.fd);
    // The other master's is in the place of ours.
    if (!this.#server.isThere) this.#server.retire();
    await this.#open(isSame ? inherited.fd : null, true);
  }

  yield(): void {
    this.#theirs = this.#wanted();
    this.#served = null;
    this.#server.retire();
  }

  release(): void {
    this.#served = null;
    this.#server.close();
  }

  bequest(): Partial<ClaimsBequest> {
    const { descriptor: fd } = this.#server;
    const address = this.#served;
    return { adminAddress: address, admin: fd === null || address === null ? null : { address, fd } };
  }

  #wanted(): string | null {
    const address = this.#options.address();
    return address === null ? null : JSON.stringify(address);
  }

  /** @throws BindError if it cannot be served: the one before goes on */
  async #open(fd: number | null, replaces: boolean): Promise<void> {
    const address = this.#options.address();
    const wanted = this.#wanted();
    if (address === null) return this.release();
    if (wanted === this.#served && this.#server.isThere) return;
    if (address.kind === 'fd')
      throw new BindError(`fd://${address.fd}`, 'EINVAL', 'admin: expected host:port or unix:/path');
    if (await this.#server.open(address, { replaces, fd })) this.#served = wanted;
  }
}
