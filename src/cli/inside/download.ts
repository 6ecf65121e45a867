/** Asks a service for something long, and has it as it comes: nothing of it is kept in memory. */
import { closeSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { ControlError } from '../../errors.ts';
import { plainText, reasonOf } from '../client.ts';
import { openTrusted } from '../trust.ts';

/** What comes. */
export interface Download {
  /** Bytes. */
  readonly size: number;
  /** Why it is less than what was asked for. */
  readonly note: string | null;
  /** @throws ControlError if it ends too early */
  readonly content: AsyncIterable<Buffer>;
}

/** Bytes of a refusal. */
const maxRefusal = 64 * 1024;

/**
 * @param signal gives it up
 * @throws ControlError if it is refused, or if the service cannot be reached
 */
export async function download(
  socketPath: string,
  path: string,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Download> {
  const response = await send(socketPath, path, JSON.stringify(body), signal);
  const { statusCode = 0, headers } = response;
  if (statusCode !== 200) throw new ControlError(await refusalIn(response, statusCode));
  const size = Number(headers['content-length']);
  if (!Number.isSafeInteger(size) || size < 0)
    throw new ControlError(`${socketPath} answers, but not as prefork does: it does not say how much comes`);
  const note = headers['prefork-note'];
  return { size, note: typeof note === 'string' ? plainText(note) : null, content: contentOf(response) };
}

function send(socketPath: string, path: string, text: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const socket = openTrusted(socketPath);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const asked = request({ socketPath: socket.path, method: 'POST', path, headers, agent: false, signal });
    // It is connected to by now, or never will be.
    if (socket.fd !== null) closeSync(socket.fd);
    asked.on('error', (error) => reject(new ControlError(reasonOf(error, socketPath), { cause: error })));
    asked.on('response', resolve);
    asked.end(text);
  });
}

async function* contentOf(response: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw new ControlError('the worker, or the master, went away before the end', { cause: error });
  }
}

async function refusalIn(response: IncomingMessage, status: number): Promise<string> {
  let text = '';
  for await (const chunk of response as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.length > maxRefusal) break;
  }
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown; code?: unknown } | null };
    if (error?.code === 'not_found') return 'the master of this service is of an older version: it cannot do that';
    if (typeof error?.message === 'string') return plainText(error.message);
  } catch {
    // No JSON: not prefork.
  }
  return `refused with status ${status}`;
}
