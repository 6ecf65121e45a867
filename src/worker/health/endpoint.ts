/** Answers the health checks on the app's own port, before the app could see them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { HealthReport } from '../../protocol/messages.ts';
import type { Readiness } from './readiness.ts';

export interface HealthPaths {
  readonly live: string;
  readonly ready: string;
}

export class HealthEndpoint {
  readonly #paths: HealthPaths;
  readonly #readiness: Readiness;
  /** What the master says of the whole service. */
  #service: HealthReport = { status: 'healthy', ready: 1, wanted: 1, version: null };

  constructor(paths: HealthPaths, readiness: Readiness) {
    this.#paths = paths;
    this.#readiness = readiness;
  }

  onService(report: HealthReport): void {
    this.#service = report;
  }

  /** @returns whether the request was one of these, and is answered */
  answer(request: IncomingMessage, response: ServerResponse, begin: () => void): boolean {
    const reply = this.#reply(request.method, request.url);
    if (reply === null) return false;
    begin();
    response.writeHead(reply.status, headersOf(reply.body));
    response.end(request.method === 'HEAD' ? undefined : reply.body);
    request.resume();
    return true;
  }

  answerStream(stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>): boolean {
    const method = String(headers[':method']);
    const reply = this.#reply(method, String(headers[':path']));
    if (reply === null) return false;
    stream.respond({ ':status': reply.status, ...headersOf(reply.body) });
    stream.end(method === 'HEAD' ? undefined : reply.body);
    return true;
  }

  #reply(method: string | undefined, url = ''): { readonly status: number; readonly body: string } | null {
    const { live, ready } = this.#paths;
    // Cheap for everybody else's requests.
    if (!url.startsWith(live) && !url.startsWith(ready)) return null;
    const [path] = url.split('?', 1);
    if ((path !== live && path !== ready) || (method !== 'GET' && method !== 'HEAD')) return null;
    const uptime = Math.round(process.uptime());
    const { version } = this.#service;
    if (path === live) return { status: 200, body: JSON.stringify({ status: 'alive', version, uptime }) };
    const { status, wanted } = this.#service;
    const own = this.#readiness.isWell || status === 'draining' ? status : 'not_ready';
    const components = Object.fromEntries(
      this.#readiness.results.map(({ name, ok, critical, error }) => [
        name,
        { status: ok ? 'healthy' : 'failing', critical, ...(error === null ? {} : { error }) },
      ]),
    );
    const body = { status: own, components, workers: { ready: this.#service.ready, wanted }, version, uptime };
    return { status: own === 'healthy' || own === 'degraded' ? 200 : 503, body: JSON.stringify(body) };
  }
}

function headersOf(body: string): Record<string, string | number> {
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  };
}
