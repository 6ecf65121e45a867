/**
 * Node's inspector, spoken to from within the process: no port is opened, and nobody else can speak to it. It is loaded
 * when it is needed for the first time (https://nodejs.org/api/inspector.html#class-inspectorsession).
 */
import type { Session } from 'node:inspector';

export class InspectorSession {
  readonly #session: Session;

  /** @throws Error if this Node has no inspector */
  constructor() {
    const { Session: SessionOfNode } = process.getBuiltinModule('node:inspector');
    this.#session = new SessionOfNode();
    this.#session.connect();
  }

  /** @throws Error if the inspector refuses */
  post(method: string, params: object = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#session.post(method, params, (error: unknown, result: unknown) => {
        if (error === null) resolve(result);
        else
          reject(error instanceof Error ? error : new Error(String((error as { message?: unknown }).message ?? error)));
      });
    });
  }

  on(event: string, listener: (params: unknown) => void): void {
    this.#session.on(event, (message: { readonly params?: unknown }) => listener(message.params));
  }

  close(): void {
    this.#session.disconnect();
  }
}
