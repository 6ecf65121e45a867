/** A terminal to look at: a shell in a tmux of its own, which is gone at the end of the test. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { childrenOf } from './proc.ts';
import { until } from './until.ts';

/** Why terminals cannot be tested here; `false` where they can. */
export function withoutTmux(): string | false {
  return spawnSync('tmux', ['-V']).status === 0 ? false : 'tmux is not installed';
}

export const prompt = 'PROMPT>';

export class Tmux {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async run(...args: readonly string[]): Promise<string> {
    const command = ['-S', this.#socket, '-f', '/dev/null', ...args];
    return (await promisify(execFile)('tmux', command, { timeout: 20_000 })).stdout;
  }

  /** What is on the screen. */
  async screen(): Promise<string> {
    return await this.run('capture-pane', '-p');
  }

  async lines(): Promise<string[]> {
    return (await this.screen()).split('\n');
  }

  /** By tmux's names: `j`, `Down`, `C-c`. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.run('send-keys', ...keys);
  }

  /** A line for the shell. */
  async type(line: string): Promise<void> {
    await this.run('send-keys', '-l', line);
    await this.press('Enter');
  }

  async sees(what: RegExp, within = 20_000): Promise<string> {
    let last = '';
    return await until(
      `${String(what)} on the screen`,
      async () => {
        last = await this.screen();
        return what.test(last) ? last : null;
      },
      { within, every: 50 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${last}`, { cause: error });
    });
  }

  /** Of the terminal: `alternate`, `cursor` and `wrap` are on or off. */
  async modes(): Promise<{ readonly alternate: boolean; readonly cursor: boolean; readonly wrap: boolean }> {
    const text = await this.run('display-message', '-p', '#{alternate_on} #{cursor_flag} #{wrap_flag}');
    const [alternate, cursor, wrap] = text.trim().split(' ');
    return { alternate: alternate === '1', cursor: cursor === '1', wrap: wrap === '1' };
  }

  /** Pid of what the shell runs. */
  async running(): Promise<number> {
    const shell = Number(await this.run('display-message', '-p', '#{pane_pid}'));
    return await until('a child of the shell', () => childrenOf(shell)[0]?.pid);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.run('resize-window', '-x', String(columns), '-y', String(rows));
  }

  async kill(): Promise<void> {
    await this.run('kill-server').catch(() => undefined);
  }
}

/** A shell that waits for its first line. */
export async function startTmux(
  t: TestContext,
  cwd: string,
  options: { readonly env?: Readonly<Record<string, string>>; readonly columns?: number; readonly rows?: number } = {},
): Promise<Tmux> {
  const { env = {}, columns = 120, rows = 30 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'prefork-tmux-'));
  const tmux = new Tmux(join(folder, 'tmux'));
  t.after(async () => {
    await tmux.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  const size = ['-x', String(columns), '-y', String(rows)];
  const own = Object.entries({ PS1: `${prompt} `, ENV: '', ...env }).map(([name, value]) => `${name}=${value}`);
  await tmux.run('new-session', '-d', ...size, '-c', cwd, 'env', '-u', 'NODE_TEST_CONTEXT', ...own, '/bin/sh', '-i');
  await tmux.sees(new RegExp(prompt));
  return tmux;
}
