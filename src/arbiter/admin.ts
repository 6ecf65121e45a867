/** The admin address: read-only, for monitors and people. Changes are made through the control socket. */
import { unlinkSync } from 'node:fs';
import type { Address } from '../config/address.ts';
import type { Events } from '../control/events.ts';
import { ControlHttp, type Reply, type Route } from '../control/http.ts';
import type { Status } from '../control/status.ts';
import { type MetricsPage, viewsOf } from '../control/views.ts';
import { BindError, messageOf } from '../errors.ts';
import type { HealthReport } from '../ipc/messages.ts';
import { tcpLabel } from '../master/bind.ts';
import { clearStaleSocket } from '../master/unix-socket.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface AdminSources {
  readonly status: () => Status;
  readonly events: Events;
  readonly metrics: MetricsPage;
  readonly health: () => { readonly report: HealthReport; readonly components: Readonly<Record<string, unknown>> };
  readonly logger: () => Logger;
}

export class Admin {
  readonly #sources: AdminSources;
  #http: ControlHttp | null = null;
  #address: string | null = null;
  #path: string | null = null;

  constructor(sources: AdminSources) {
    this.#sources = sources;
  }

  /**
   * Listens there, or goes on to.
   *
   * @throws BindError
   */
  async ensure(address: Address | null): Promise<void> {
    const wanted = address === null ? null : JSON.stringify(address);
    if (wanted === this.#address) return;
    const http = address === null ? null : await this.#open(address);
    this.close();
    this.#http = http;
    this.#address = wanted;
    this.#path = address?.kind === 'unix' ? address.path : null;
  }

  close(): void {
    this.#http?.close();
    if (this.#path !== null) {
      try {
        unlinkSync(this.#path);
      } catch {
        // Node removes it where it closes in time.
      }
    }
    this.#http = null;
    this.#address = null;
    this.#path = null;
  }

  async #open(address: Address): Promise<ControlHttp> {
    const label =
      address.kind === 'tcp'
        ? tcpLabel(address.host, address.port)
        : address.kind === 'unix'
          ? `unix:${address.path}`
          : 'fd';
    if (address.kind === 'fd')
      throw new BindError(`fd://${address.fd}`, 'EINVAL', 'admin: expected host:port or unix:/path');
    if (address.kind === 'unix') await clearStaleSocket(address.path);
    const http = new ControlHttp({
      routes: routesFor(this.#sources),
      reach: address.kind === 'unix' ? 'local' : 'network',
      onError: (error) => this.#sources.logger().error({ err: error }, 'admin: a request failed, this is a bug'),
    });
    const where =
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port, exclusive: true };
    await http.listen(where).catch((error: unknown) => {
      http.close();
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      throw new BindError(label, code, `admin: cannot listen on ${label}: ${messageOf(error)}`);
    });
    return http;
  }
}

function routesFor({ status, events, metrics, health }: AdminSources): Route[] {
  const ok = (body: unknown): Reply => ({ status: 200, body });
  return [
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
