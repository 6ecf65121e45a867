/** The file of `envFile`: NAME=value lines, as dotenv and systemd's EnvironmentFile have them. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { messageOf } from '../errors.ts';
import { shorten } from './show.ts';

/** Nobody's environment is this large; execve(2) would refuse it. */
const maxSize = 1024 * 1024;

/**
 * @param complain is told what is wrong, in one line, where it cannot be used
 * @returns what it sets; of names and values as Node's own `--env-file` reads them
 */
export function readEnvFile(path: string, complain: (message: string) => void): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    complain(`cannot read ${shorten(path, 300)}: ${messageOf(error)}`);
    return {};
  }
  if (text.length > maxSize || text.includes('\0')) {
    complain(`expected NAME=value lines, got ${text.length > maxSize ? 'a file of more than 1 MiB' : 'binary data'}`);
    return {};
  }
  const wrong = text.split('\n').findIndex((line) => isStray(line, text));
  if (wrong >= 0) {
    complain(`${shorten(path, 300)}:${wrong + 1}: expected NAME=value`);
    return {};
  }
  return Object.fromEntries(
    Object.entries(parseEnv(text)).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Node skips what it cannot read, and a misspelled line would be missed by nobody but the app. */
function isStray(line: string, text: string): boolean {
  // Values in quotes may go over several lines: then a line says nothing of itself.
  if (/=\s*(["'`])(?:(?!\1)[\s\S])*\n/.test(text)) return false;
  return !/^\s*(?:#.*|(?:export\s+)?[A-Za-z_][\w.-]*\s*=.*)?$/.test(line.replace(/\r$/, ''));
}
