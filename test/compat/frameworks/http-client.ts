/** The clients of apps that speak HTTP: kept-alive connections and fresh ones, whose requests are never sent twice. */
import http from 'node:http';
import type { Request } from './table.ts';

/** What a client is, a framework's own `client.js` included. */
export interface Client {
  /** One request, message or call from beginning to end. @throws if it is lost */
  once(): Promise<void>;
  close(): void;
}

/** Milliseconds after which an answer is lost. */
const timeout = 20_000;

/** Opens no connection yet. With `keepAlive` one connection serves all requests for as long as the server wants to. */
export function httpClient(port: number, request: Request, keepAlive: boolean): Client {
  const agent = new http.Agent({ keepAlive, maxSockets: 1 });
  return {
    async once() {
      const answer = await ask(port, request, agent);
      if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body.slice(0, 100)}`);
      if (!answer.body.includes('served')) throw new Error(`wrong body: ${answer.body.slice(0, 100)}`);
    },
    close() {
      agent.destroy();
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export function ask(port: number, { path, body }: Request, agent: http.Agent | false = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const req = http.request({ host: '127.0.0.1', port, path, method, headers, agent, timeout }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk) => (text += String(chunk)));
      res.on('error', reject);
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body: text }));
    });
    req.on('timeout', () => req.destroy(new Error(`no answer within ${timeout / 1_000} s`)));
    req.on('error', reject);
    req.end(body);
  });
}
