/** The master's log: pino, to stderr; pretty on a terminal, JSON lines otherwise. It never stops the service. */
import { constants, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import pino from 'pino';

export type Logger = pino.Logger;

export interface Log {
  readonly logger: Logger;
  /** Gives what is still buffered a moment to be written, and ends the log; never hangs on a reader that does not read. */
  flush(): Promise<void>;
}

export interface LogOptions {
  readonly name: string;
  readonly level: string;
  readonly format: 'auto' | 'pretty' | 'json';
  /** Is given each line as well, as JSON. */
  readonly tee?: ((line: string) => void) | null;
}

const stderr = 2;
/** Bytes that wait for a slow reader before lines are dropped. */
const maxBuffered = 4 * 1024 * 1024;
const flushDeadline = 1_000;

/**
 * A write to a pipe that nobody reads would block a thread of the pool for ever, and with it the exit of the process. The
 * pipe is opened anew: whether it blocks is then our own business, and not that of all who share it.
 */
function openStderr(): number {
  try {
    const stat = fstatSync(stderr);
    if (stat.isFIFO()) return openSync(`/proc/self/fd/${stderr}`, constants.O_WRONLY | constants.O_NONBLOCK);
    // libuv makes a socket non-blocking when it opens it, and this is how it does.
    if (stat.isSocket()) void process.stderr;
  } catch {
    // It is closed, or somebody else's: what is written there may be lost.
  }
  return stderr;
}

export async function openLog(options: LogOptions): Promise<Log> {
  // minLength 1: with 0 it does not wait in flush(). Asynchronous, so that a reader that does not read blocks a thread of the pool and not the master.
  const destination = pino.destination({ dest: openStderr(), sync: false, minLength: 1, maxLength: maxBuffered });
  // EPIPE, ENOSPC, EIO: the line is lost, the service is not.
  destination.on('error', () => {});
  destination.on('drop', () => {});
  const pretty = options.format === 'pretty' || (options.format === 'auto' && isatty(stderr));
  // Only `write`: pino would flush synchronously after a fatal line, past what is still on its way.
  const sink = pretty ? await prettyPrinter(destination) : { write: (text: string) => void destination.write(text) };
  const { tee = null } = options;
  const write = (line: string) => {
    tee?.(line);
    sink.write(line);
  };
  const stream = tee === null ? sink : { write };
  const logger = pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    stream,
  );
  const flush = async (): Promise<void> => {
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, flushDeadline).unref());
    await Promise.race([new Promise<void>((resolve) => destination.flush(() => resolve())), deadline]);
    // pino writes what is left when the process exits, and tries for ever where it cannot.
    destination.destroy();
  };
  return { logger, flush };
}

async function prettyPrinter(destination: pino.DestinationStream): Promise<pino.DestinationStream> {
  const { prettyFactory } = await import('pino-pretty');
  const print = prettyFactory({
    colorize: isatty(stderr) && process.env.NO_COLOR === undefined,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'name,hostname',
    singleLine: true,
  });
  // The factory prints one line at a time; pino-pretty's stream would lose the last ones at the exit.
  return {
    write: (line) => void destination.write(print(JSON.parse(line) as object)),
  };
}
