/** Talks to a master's control socket. */
import { request } from 'node:http';
import { ControlError } from '../errors.ts';

/** Milliseconds. */
const patience = 10_000;

/**
 * One call. `T` is what the route answers with; see docs/control.md.
 *
 * @param signal gives it up
 * @throws ControlError; its cause is the system's error where the service could not be reached
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

/** Whether a prefork is there. */
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
