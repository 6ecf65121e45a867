/** Why a command of the configuration cannot be run, found without running it. */
import { spawnSync } from 'node:child_process';
import type { Settings } from '../../config/resolved.ts';
import { shorten } from '../../config/show.ts';

/** Milliseconds that a shell may take to look at a command. */
const lookupTime = 5_000;

/**
 * @param name of the setting
 * @param failing what would come of it
 * @returns one line; `null` if nothing is wrong that can be seen from outside, or if there is no command
 */
export function commandNote(
  name: string,
  command: string | null,
  { chdir, env }: Pick<Settings, 'chdir' | 'env'>,
  failing = 'a reload would fail',
): string | null {
  if (command === null) return null;
  const shell = (args: readonly string[]) =>
    spawnSync('/bin/sh', [...args], { cwd: chdir, env: { ...env }, encoding: 'utf8', timeout: lookupTime });
  const { status, stderr } = shell(['-n', '-c', command]);
  if (status !== 0) return `${name}: ${failing}, /bin/sh cannot read it: ${shorten(stderr.trim(), 200)}`;
  // Anything but a plain word the shell alone understands.
  const [, word] = /^([\w./-]+)(?:\s|$)/.exec(command) ?? [];
  if (word === undefined || shell(['-c', 'command -v "$0"', word]).status === 0) return null;
  return `${name}: ${failing}, there is no command ${word}`;
}
