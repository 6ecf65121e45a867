/** Talks to a master's control socket. */
import { request } from 'node:http';
import { ControlError } from '../errors.ts';

/** Milliseconds that a master may take to answer. */
const patience = 10_000;

/**
 * One request. `T` is what the route answers with; see docs/control.md.
 *
 * @param signal gives it up
 * @throws ControlError if it is refused or fails; its cause is the system's error if the service cannot be reached
 */
export async function call<T>(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body?: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): Promise<T> {
  const { status, text } = await send(socketPath, method, path, body, signal);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ControlError(`${socketPath} answers, but not as prefork does`);
  }
  if (status < 400) return value as T;
  const { error } = value as { error?: { message?: unknown } };
  throw new ControlError(typeof error?.message === 'string' ? error.message : `refused with status ${status}`);
}

/** A running service, as commands ask it. */
export class Service {
  readonly #socket: string;

  /** @param socket path of its control socket */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** @throws ControlError as {@link call} does */
  get<T>(path: string): Promise<T> {
    return call<T>(this.#socket, 'GET', path);
  }

  /** @throws ControlError as {@link call} does */
  post<T>(path: string, body?: Readonly<Record<string, unknown>>): Promise<T> {
    return call<T>(this.#socket, 'POST', path, body);
  }
}

/** Whether a prefork answers there. */
export async function answers(socketPath: string): Promise<boolean> {
  return await call(socketPath, 'GET', '/status').then(
    () => true,
    () => false,
  );
}

function send(
  socketPath: string,
  method: string,
  path: string,
  body: Readonly<Record<string, unknown>> | undefined,
  signal: AbortSignal | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const asked = request({ socketPath, method, path, headers, agent: false, signal });
    asked.on('error', (error: NodeJS.ErrnoException) =>
      reject(new ControlError(reasonOf(error, socketPath), { cause: error })),
    );
    // A master that is stopped or hangs accepts, and says nothing. Only a reload may take its time.
    if (body?.wait !== true)
      asked.setTimeout(patience, () => asked.destroy(new Error(`no answer within ${patience / 1_000} s`)));
    asked.on('response', (response) => {
      let answer = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        answer += chunk;
      });
      response.on('error', (error: NodeJS.ErrnoException) =>
        reject(new ControlError(reasonOf(error, socketPath), { cause: error })),
      );
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: answer }));
    });
    asked.end(text);
  });
}

function reasonOf({ code, message }: NodeJS.ErrnoException, path: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `no prefork listens on ${path}`;
    case 'EACCES':
    case 'EPERM':
      return `${path} belongs to another user`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `the master went away before it answered`;
    default:
      return `cannot reach ${path}: ${message}`;
  }
}
