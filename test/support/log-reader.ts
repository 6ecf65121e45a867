/** Collects a stream of a supervisor, line by line, and reads the lines that are log records. */
import type { Readable } from 'node:stream';

/** A record of the log. */
export interface LogLine {
  /** pino's numbers: 30 info, 40 warn, 50 error, 60 fatal. */
  readonly level: number;
  readonly msg: string;
  readonly time: number;
  readonly [field: string]: unknown;
}

const levels: Readonly<Record<string, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 };

export class LogReader {
  text = '';
  /** The lines that are log records, in order. */
  readonly lines: LogLine[] = [];
  /** The lines that are not: output of the app, or of Node itself. */
  readonly stray: string[] = [];
  #partial = '';

  constructor(stream: Readable | null) {
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => this.append(chunk));
  }

  append(chunk: string): void {
    this.text += chunk;
    const pieces = (this.#partial + chunk).split('\n');
    this.#partial = pieces.pop() ?? '';
    for (const piece of pieces) if (piece !== '') this.#take(piece);
  }

  /** What came after the last newline. */
  get partial(): string {
    return this.#partial;
  }

  #take(text: string): void {
    const line = parseLine(text);
    if (line === null) this.stray.push(text);
    else this.lines.push(line);
  }
}

/** A JSON log record, or `null`. */
export function parseLine(text: string): LogLine | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('level' in value)) return null;
  const fields = value as Record<string, unknown>;
  const level = typeof fields.level === 'number' ? fields.level : levels[String(fields.level)];
  if (level === undefined) return null;
  return { ...fields, level, msg: String(fields.msg ?? ''), time: Number(new Date(String(fields.time))) };
}
