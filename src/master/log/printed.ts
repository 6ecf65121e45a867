/** What the config file's code prints, in the log. */
import type { Logger } from './logger.ts';

/** @returns what logs each line of it, which is plain text and short */
export function logPrinted(logger: Logger): (line: string) => void {
  return (line) => logger.info(`config: ${line}`);
}
