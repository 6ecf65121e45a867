/** Talks to a master's control socket. What answers there may be anything: it is believed as far as it was checked. */
import { closeSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { ControlError } from '../errors.ts';
import type { LastReload, LastUpgrade, Status } from '../protocol/status.ts';
import { escapeJson, plain } from '../system/plain.ts';
import { checkReload, checkStatus, checkUpgrade, scaleText } from './check-answers.ts';
import { openTrusted } from './trust.ts';

/** Milliseconds that a master may take to answer, to the last byte. */
const patience = 10_000;
/** Bytes of an answer. The longest there is, a full timeline, is half as long. */
const maxAnswer = 16 * 1024 * 1024;
/** Characters of one text in an answer that are shown. */
const maxText = 4_096;

/**
 * One request. `T` is what the route answers with; see docs/control.md. Every text in it is made plain.
 *
 * @param signal gives it up
 * @throws ControlError if it is refused or fails, or if the socket is not to be trusted; its cause is the system's error
 * if the service cannot be reached
 */
export async function call<T>(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body?: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): Promise<T> {
  return (await ask(socketPath, method, path, body, signal, plainValue)) as T;
}

/** A running service, as commands ask it. */
export class Service {
  readonly #socket: string;

  /** @param socket path of its control socket */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Path of its control socket. */
  get socket(): string {
    return this.#socket;
  }

  /** @throws ControlError as {@link call} does */
  get<T>(path: string): Promise<T> {
    return call<T>(this.#socket, 'GET', path);
  }

  /** @throws ControlError as {@link call} does */
  async status(): Promise<Status> {
    return checkStatus(await this.get('/status'), this.#socket);
  }

  /** Waits for the outcome of a reload. @throws ControlError as {@link call} does */
  async reload(path: '/reload' | '/promote' | '/rollback', body: object = {}): Promise<LastReload> {
    return checkReload(await this.post(path, { ...body, wait: true }), this.#socket);
  }

  /** Waits for the outcome of an upgrade. @throws ControlError as {@link call} does */
  async upgrade(): Promise<LastUpgrade> {
    return checkUpgrade(await this.post('/upgrade', { wait: true }), this.#socket);
  }

  /** @returns how many workers there are to be, as a line. @throws ControlError as {@link call} does */
  async scale(body: { readonly to: number } | { readonly by: number }): Promise<string> {
    return scaleText(await this.post('/scale', body), this.#socket);
  }

  /**
   * An answer as JSON, for programs: values are what they are, and what is not plain is escaped.
   *
   * @param part what is to be shown of it; without it everything
   * @throws ControlError as {@link call} does
   */
  json(path: string, part: (answer: unknown) => unknown = (answer) => answer): Promise<string> {
    const write = (answer: unknown): string => escapeJson(JSON.stringify(part(answer) ?? null, null, 2));
    return ask(this.#socket, 'GET', path, undefined, undefined, write);
  }

  /** @throws ControlError as {@link call} does */
  post<T>(path: string, body?: Readonly<Record<string, unknown>>): Promise<T> {
    return call<T>(this.#socket, 'POST', path, body);
  }
}

/** Whether a prefork answers there that may be trusted. */
export async function answers(socketPath: string): Promise<boolean> {
  return await call(socketPath, 'GET', '/status').then(
    () => true,
    () => false,
  );
}

async function ask<T>(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body: Readonly<Record<string, unknown>> | undefined,
  signal: AbortSignal | undefined,
  use: (answer: unknown) => T,
): Promise<T> {
  const { status, text } = await send(socketPath, method, path, body, signal);
  let refusal: unknown;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new TypeError('it is no object');
    if (status < 400) return use(value);
    refusal = (value as { error?: { message?: unknown } | null }).error?.message;
  } catch {
    // No JSON, or nested so deeply that it cannot be walked through.
    throw new ControlError(`${socketPath} answers, but not as prefork does`);
  }
  throw new ControlError(typeof refusal === 'string' ? plainText(refusal) : `refused with status ${status}`);
}

/** Every text of it, names included, for a terminal. */
function plainValue(value: unknown): unknown {
  if (typeof value === 'string') return plainText(value);
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [plainText(name), plainValue(each)]));
}

/** A text of an answer, for a terminal. */
export function plainText(text: string): string {
  return plain(text.length > maxText ? `${text.slice(0, maxText)}~` : text);
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
    const socket = openTrusted(socketPath);
    const asked = request({ socketPath: socket.path, method, path, headers, agent: false, signal });
    // It is connected to by now, or never will be.
    if (socket.fd !== null) closeSync(socket.fd);
    let timer: NodeJS.Timeout | undefined;
    const hurry = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => asked.destroy(new Error(`no answer within ${patience / 1_000} s`)), patience);
    };
    const fail = (error: NodeJS.ErrnoException): void => {
      clearTimeout(timer);
      reject(new ControlError(reasonOf(error, socketPath), { cause: error }));
    };
    asked.on('error', fail);
    // A master that is stopped or hangs accepts, and says nothing. Only a reload may take its time, before it answers.
    if (body?.wait !== true) hurry();
    asked.on('response', (response) => {
      if (body?.wait === true) hurry();
      response.on('error', fail);
      read(response, (answer) => {
        clearTimeout(timer);
        if (answer !== null) return resolve({ status: response.statusCode ?? 0, text: answer });
        asked.destroy();
        reject(new ControlError(`${socketPath} answers, but not as prefork does: it does not come to an end`));
      });
    });
    asked.end(text);
  });
}

/** @param done gets the whole body, or `null` if it is too long */
function read(response: IncomingMessage, done: (text: string | null) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxAnswer) done(null);
    else chunks.push(chunk);
  });
  response.on('end', () => done(Buffer.concat(chunks).toString()));
}

/** Why a socket cannot be reached, in words. */
export function reasonOf({ code, message }: NodeJS.ErrnoException, path: string): string {
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
