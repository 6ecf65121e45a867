/** A service manager's end of NOTIFY_SOCKET, for tests without systemd. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fromRoot } from './paths.ts';
import { until } from './until.ts';

/** Why notification cannot be tested here, or `false`. Node has no datagram sockets of the unix kind: Python receives. */
export function withoutNotify(): string | false {
  for (const program of ['systemd-notify', 'python3']) {
    if (spawnSync(program, ['--version']).error !== undefined) return `${program} is not installed`;
  }
  return false;
}

export interface Notice {
  readonly pid: number;
  readonly text: string;
  /** `performance.now()` when it was seen. */
  readonly at: number;
}

export interface NotifySocket {
  readonly path: string;
  /** What was received, but for barriers. */
  readonly notices: readonly Notice[];
  /** Every assignment, in its order: `READY=1`, ... */
  assignments(since?: number): readonly string[];
  /** Waits for an assignment among the notices from index `since` on. */
  assignment(match: RegExp, since?: number): Promise<string>;
}

export async function openNotifySocket(t: TestContext): Promise<NotifySocket> {
  const dir = mkdtempSync(join(tmpdir(), 'prefork-notify-'));
  const path = join(dir, 'socket');
  const script = fromRoot('test/support/notify-socket.py');
  const child = spawn('python3', [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const notices: Notice[] = [];
  let listening = false;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [pid, text] = JSON.parse(line) as [number, string];
    if (pid === 0) listening = true;
    else if (text !== 'BARRIER=1') notices.push({ pid, text, at: performance.now() });
  });
  await until('the receiver', () => listening);
  const assignments = (since = 0): string[] => notices.slice(since).flatMap(({ text }) => text.split('\n'));
  return {
    path,
    notices,
    assignments,
    assignment: (match, since) =>
      until(`the notice ${String(match)}`, () => assignments(since).find((each) => match.test(each)), {
        within: 30_000,
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; received: ${JSON.stringify(assignments())}`, { cause: error });
      }),
  };
}
