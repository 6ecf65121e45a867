/** The file to which the apps of test/fixtures/leader write while they lead. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

/** The processes that have led, in order; one that leads twice in a row is there twice if it says `begin` twice. */
export class LeaderFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  lines(): readonly { readonly what: string; readonly pid: number }[] {
    if (!existsSync(this.path)) return [];
    // The last line may be half of one.
    const text = readFileSync(this.path, 'utf8');
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [what = '', pid] = line.split(' ');
        return { what, pid: Number(pid) };
      });
  }

  /** The pids of those that have begun. */
  begun(): readonly number[] {
    return this.lines()
      .filter(({ what }) => what === 'begin')
      .map(({ pid }) => pid);
  }

  /** Who has written last. */
  last(): number | null {
    return this.lines().at(-1)?.pid ?? null;
  }

  /** Nobody has written a line after another one has begun. @returns how many have led, one after the other */
  assertOneAtATime(): number {
    const over = new Set<number>();
    let current: number | null = null;
    let terms = 0;
    for (const [index, { what, pid }] of this.lines().entries()) {
      if (pid !== current) {
        assert.equal(what, 'begin', `line ${index + 1}: ${pid} goes on while ${current} leads`);
        assert.ok(!over.has(pid), `line ${index + 1}: ${pid} leads again, after ${current}`);
        if (current !== null) over.add(current);
        current = pid;
        terms += 1;
      }
    }
    return terms;
  }
}
