/**
 * The master's log: pino, to stderr or a file; pretty on a terminal, JSON lines otherwise. One event is one line in either,
 * whatever is in it. It never stops the service.
 */
import { isatty } from 'node:tty';
import pino from 'pino';
import { messageOf } from '../../errors.ts';
import { escapeJson, escapeText } from '../../system/plain.ts';
import { LogOutput } from './log-output.ts';

export type Logger = pino.Logger;

export interface Log {
  readonly logger: Logger;
  /** Goes on in a new file of the same path, or of another; if that fails it stays where it is, and says so. */
  reopen(path?: string | null): void;
  /** Lines that could not be written, ever. */
  lost(): number;
  /** Waits a moment for the last lines to be written, and ends the log; a reader that does not read is not waited for. */
  flush(): Promise<void>;
}

export interface LogOptions {
  readonly name: string;
  readonly level: string;
  readonly format: 'auto' | 'pretty' | 'json';
  /** An absolute path; `null` is stderr. */
  readonly file: string | null;
  /** Called with each line as well, as JSON. */
  readonly tee?: ((line: string) => void) | null;
}

const stderr = 2;

/** Logs a message of several lines as so many lines of the log: each is an event that a reader of logs can show. */
export function logLines(
  logger: Logger,
  level: 'warn' | 'error' | 'fatal',
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  for (const line of message.split('\n')) logger[level](fields, line);
}

/** @throws FileError if `file` cannot be opened */
export async function openLog(options: LogOptions): Promise<Log> {
  const output = new LogOutput(options.file);
  const pretty = options.format === 'pretty' || (options.format === 'auto' && output.isStderr && isatty(stderr));
  // Only `write`: pino would flush synchronously after a fatal line, past what is still on its way.
  const print = pretty ? await prettyPrinter() : (line: string) => line;
  const { tee = null } = options;
  const write = (raw: string): void => {
    // What is in it may come from an app or a client, and JSON leaves line separators and bidi controls as they are.
    const line = escapeJson(raw);
    tee?.(line);
    output.write(print(line));
  };
  const logger = pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    { write },
  );
  const reopen = (path?: string | null): void => {
    try {
      output.reopen(path);
    } catch (error) {
      logger.warn(`${messageOf(error)}; the log goes on where it was`);
    }
  };
  output.onRecovered = (lost) =>
    logger.warn({ lostLines: lost }, `the log could not be written for a while: ${lost} of its lines were lost`);
  return { logger, reopen, lost: () => output.lost, flush: () => output.end() };
}

/**
 * pino-pretty gives an error, and whatever has line ends, lines of their own. Here each event is one line: the message, and
 * the fields as JSON behind it.
 */
async function prettyPrinter(): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  const print = prettyFactory({
    colorize: isatty(stderr) && process.env.NO_COLOR === undefined,
    translateTime: 'SYS:HH:MM:ss.l',
    hideObject: true,
    messageFormat: (log, messageKey) => String(log[messageKey]),
  });
  // The factory prints one line at a time; pino-pretty's stream would lose the last ones at the exit.
  return (line) => {
    const { level, time, pid, name: _, hostname: __, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const more = Object.keys(fields).length === 0 ? '' : ` ${escapeJson(JSON.stringify(fields))}`;
    const shown = { level, time, ...(typeof pid === 'number' ? { pid } : {}) };
    return print({ ...shown, msg: `${escapeText(String(msg ?? ''))}${more}` });
  };
}
