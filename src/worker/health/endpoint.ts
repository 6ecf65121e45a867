/** The answers to the health checks on the app's own port, which the app never sees. */
import type { HealthReport } from '../../protocol/messages.ts';
import type { Answer, HealthAnswers } from '../traffic/intercept.ts';
import type { Readiness } from './readiness.ts';

export interface HealthPaths {
  readonly live: string;
  readonly ready: string;
}

export class HealthEndpoint implements HealthAnswers {
  readonly #paths: HealthPaths;
  readonly #readiness: Readiness;
  readonly #isOverloaded: () => boolean;
  /** What the master says of the whole service. */
  #service: HealthReport = { status: 'healthy', ready: 1, wanted: 1, version: null };

  /** @param isOverloaded whether this worker turns requests away */
  constructor(paths: HealthPaths, readiness: Readiness, isOverloaded: () => boolean = () => false) {
    this.#paths = paths;
    this.#readiness = readiness;
    this.#isOverloaded = isOverloaded;
  }

  onService(report: HealthReport): void {
    this.#service = report;
  }

  answerTo(method: string | undefined, url = ''): Answer | null {
    const { live, ready } = this.#paths;
    // Cheap for the app's own requests.
    if (!url.startsWith(live) && !url.startsWith(ready)) return null;
    const [path] = url.split('?', 1);
    if ((path !== live && path !== ready) || (method !== 'GET' && method !== 'HEAD')) return null;
    const uptime = Math.round(process.uptime());
    const { version } = this.#service;
    if (path === live) return answerOf(200, { status: 'alive', version, uptime });
    const { status, wanted } = this.#service;
    const well = this.#isOverloaded() && (status === 'healthy' || status === 'degraded') ? 'overloaded' : status;
    const own = this.#readiness.isWell || status === 'draining' ? well : 'not_ready';
    const components = Object.fromEntries(
      this.#readiness.results.map(({ name, ok, critical, error }) => [
        name,
        { status: ok ? 'healthy' : 'failing', critical, ...(error === null ? {} : { error }) },
      ]),
    );
    const body = { status: own, components, workers: { ready: this.#service.ready, wanted }, version, uptime };
    return answerOf(own === 'healthy' || own === 'degraded' ? 200 : 503, body);
  }
}

function answerOf(status: number, content: object): Answer {
  const body = JSON.stringify(content);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  };
  return { status, headers, body };
}
