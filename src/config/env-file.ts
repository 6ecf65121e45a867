/** The file of `envFile`: NAME=value lines, as dotenv and systemd's EnvironmentFile have them. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { messageOf } from '../errors.ts';
import { shorten } from './show.ts';

/** No environment is this large; execve(2) would refuse it. */
const maxSize = 1024 * 1024;

/**
 * @param complain gets what is wrong, in one line, if the file cannot be used
 * @returns what it sets, with names and values as Node's own `--env-file` reads them
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
  // Some editors mark their files so; Node would take it for a part of the first name.
  const lines = text
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .split('\n');
  const found = new Map<string, string>();
  for (let index = 0; index < lines.length; index += 1) {
    const match = assignment.exec(lines[index] ?? '');
    // Node skips what it cannot read: only the app would miss a misspelled line.
    if (match === null) {
      complain(`${shorten(path, 300)}:${index + 1}: expected NAME=value`);
      return {};
    }
    const [, name, value = ''] = match;
    if (name === undefined) continue;
    const end = index + furtherLines(value, lines, index);
    // One at a time: what Node does with the text behind a value in quotes differs by version, and may cost the next name.
    found.set(name, parseEnv(`V=${[value, ...lines.slice(index + 1, end + 1)].join('\n')}\n`).V ?? '');
    index = end;
  }
  return Object.fromEntries(found);
}

/** A blank line, a comment, or NAME=value. */
const assignment = /^\s*(?:#.*|(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*))?$/;

/** How many more lines a value in quotes takes. One that nothing closes is no quote. */
function furtherLines(value: string, lines: readonly string[], index: number): number {
  const quote = value[0];
  if (quote === undefined || !'"\'`'.includes(quote) || value.includes(quote, 1)) return 0;
  const end = lines.findIndex((each, at) => at > index && each.includes(quote));
  return end < 0 ? 0 : end - index;
}
