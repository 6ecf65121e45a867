/** The admin address: read-only, for monitors and people. Changes are made through the control socket. */
import type { ListenOptions } from 'node:net';
import type { Address } from '../../config/address.ts';
import { BindError, messageOf } from '../../errors.ts';
import type { HealthReport } from '../../protocol/messages.ts';
import type { Status } from '../../protocol/status.ts';
import { descriptorOf } from '../../system/node-internals.ts';
import { inodeOf, removeIfOurs } from '../../system/paths.ts';
import type { Logger } from '../log/logger.ts';
import type { Events } from '../operator/events.ts';
import { ControlHttp, type Reply, type Route } from '../operator/http.ts';
import { pageRoutes } from '../operator/page.ts';
import { type MetricsPage, viewsOf } from '../operator/views.ts';
import { tcpLabel } from '../sockets/bind.ts';
import { clearStaleSocket } from '../sockets/unix-socket.ts';

export interface AdminSources {
  readonly status: () => Status;
  readonly events: Events;
  readonly metrics: MetricsPage;
  readonly health: () => { readonly report: HealthReport; readonly components: Readonly<Record<string, unknown>> };
  /** Names by which it may be asked; see `adminHosts`. */
  readonly names: () => readonly string[];
  readonly logger: () => Logger;
}

export class Admin {
  readonly #sources: AdminSources;
  #http: ControlHttp | null = null;
  #address: string | null = null;
  #path: string | null = null;
  #inode: bigint | null = null;

  constructor(sources: AdminSources) {
    this.#sources = sources;
  }

  /** As JSON. */
  get address(): string | null {
    return this.#address;
  }

  /** Its socket, for the master after us; `null` where there is none, or where it has a path to be found by. */
  handOver(): { readonly address: string; readonly fd: number } | null {
    const fd = this.#http === null || this.#path !== null ? null : descriptorOf(this.#http.server);
    return fd === null || this.#address === null ? null : { address: this.#address, fd };
  }

  /** The new master serves it: whoever is connected is served to the end. @returns what it was */
  retire(): void {
    this.#http?.retire();
    this.#forget();
  }

  /**
   * Listens there, or goes on to.
   *
   * @param handed the socket of the master before us
   * @param replaces takes the place of that one's path
   * @throws BindError
   */
  async ensure(address: Address | null, handed: number | null = null, replaces = false): Promise<void> {
    const wanted = address === null ? null : JSON.stringify(address);
    if (wanted === this.#address) return;
    const http = address === null ? null : await this.#open(address, handed, replaces);
    this.close();
    this.#http = http;
    this.#address = wanted;
    this.#path = address?.kind === 'unix' ? address.path : null;
    this.#inode = this.#path === null ? null : inodeOf(this.#path);
  }

  close(): void {
    this.#http?.close();
    removeIfOurs(this.#path, this.#inode);
    this.#forget();
  }

  #forget(): void {
    this.#http = null;
    this.#address = null;
    this.#path = null;
    this.#inode = null;
  }

  async #open(address: Address, handed: number | null, replaces: boolean): Promise<ControlHttp> {
    const label =
      address.kind === 'tcp'
        ? tcpLabel(address.host, address.port)
        : address.kind === 'unix'
          ? `unix:${address.path}`
          : 'fd';
    if (address.kind === 'fd')
      throw new BindError(`fd://${address.fd}`, 'EINVAL', 'admin: expected host:port or unix:/path');
    if (address.kind === 'unix' && !replaces) await clearStaleSocket(address.path);
    const http = new ControlHttp({
      routes: routesFor(this.#sources),
      reach: address.kind === 'unix' ? 'local' : 'network',
      replaces,
      names: this.#sources.names,
      onError: (error) => this.#sources.logger().error({ err: error }, 'admin: a request failed, this is a bug'),
    });
    await http.listen(whereOf(address, handed)).catch((error: unknown) => {
      http.close();
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      throw new BindError(label, code, `admin: cannot listen on ${label}: ${messageOf(error)}`);
    });
    return http;
  }
}

function whereOf(address: Exclude<Address, { kind: 'fd' }>, handed: number | null): ListenOptions & { fd?: number } {
  if (handed !== null) return { fd: handed };
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port, exclusive: true };
}

function routesFor({ status, events, metrics, health }: AdminSources): Route[] {
  const ok = (body: unknown): Reply => ({ status: 200, body });
  return [
    ...pageRoutes(),
    ...viewsOf(status, events, metrics),
    {
      method: 'GET',
      path: '/health/live',
      handle: () => ok({ status: 'alive', version: health().report.version, uptime: Math.round(process.uptime()) }),
    },
    {
      method: 'GET',
      path: '/health/ready',
      handle: () => {
        const { report, components } = health();
        const { status: state, ready, wanted, version } = report;
        const body = {
          status: state,
          components,
          workers: { ready, wanted },
          version,
          uptime: Math.round(process.uptime()),
        };
        return { status: state === 'healthy' || state === 'degraded' ? 200 : 503, body };
      },
    },
  ];
}
