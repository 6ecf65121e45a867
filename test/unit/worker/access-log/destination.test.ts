/** Where the lines of the access log go: each of them, once, whole and in order, or counted as lost. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Destination } from '../../../../src/worker/access-log/destination.ts';
import { until } from '../../../support/until.ts';

const directory = mkdtempSync(join(tmpdir(), 'access-log-'));

after(() => rmSync(directory, { recursive: true, force: true }));

/** Lines of all lengths: around what a piece holds, much longer, and of characters of one to four bytes. */
function lines(count: number): string[] {
  const characters = ['x', 'ü', '店', '👍'];
  const lengths = [0, 1, 60, 120, 1_364, 1_365, 4_094, 4_095, 4_096, 5_000, 21_844, 65_535, 65_536, 70_000];
  return Array.from({ length: count }, (_, index) => {
    const character = characters[index % characters.length] ?? '';
    // Most are short, as they are.
    const length = index % 7 === 0 ? (lengths[(index / 7) % lengths.length] ?? 0) : index % 150;
    return `${index} ${character.repeat(length)}\n`;
  });
}

function fifo(name: string): string {
  const path = join(directory, name);
  execFileSync('mkfifo', [path]);
  return path;
}

/** What is in a pipe now; `null` if that is nothing. */
function readSome(fd: number, buffer: Buffer): Buffer | null {
  try {
    const bytes = readSync(fd, buffer);
    return bytes === 0 ? null : Buffer.from(buffer.subarray(0, bytes));
  } catch {
    return null;
  }
}

describe('a file', () => {
  it('has every line once, in order, and byte for byte', async () => {
    const path = join(directory, 'file');
    const destination = new Destination(path);
    const written = lines(300);
    for (const line of written) destination.write(line);
    await destination.flush();
    assert.ok(readFileSync(path).equals(Buffer.from(written.join(''))));
    assert.equal(destination.takeTrouble(), null);
  });

  it('has what was written a moment ago, without anything more', async () => {
    const path = join(directory, 'soon');
    const destination = new Destination(path);
    destination.write('one\n');
    await until('the line', () => readFileSync(path, 'utf8') === 'one\n');
    destination.write('two\n');
    await until('the other', () => readFileSync(path, 'utf8') === 'one\ntwo\n');
  });
});

describe('a pipe', () => {
  it('gets every line once, in order, and none is longer than a piece unless it is alone', async (t) => {
    const path = fifo('pipe');
    const reader = openSync(path, 0o4000);
    // Without a reader what is left is given up.
    t.after(() => closeSync(reader));
    const destination = new Destination(path);
    const written = lines(300);
    for (const line of written) destination.write(line);
    const expected = Buffer.from(written.join(''));
    const buffer = Buffer.alloc(65_536);
    const got: Buffer[] = [];
    let length = 0;
    await until('all of it', () => {
      for (let some = readSome(reader, buffer); some !== null; some = readSome(reader, buffer)) {
        got.push(some);
        length += some.length;
      }
      return length >= expected.length;
    });
    assert.ok(Buffer.concat(got).equals(expected));
  });

  it('that nobody reads takes what is kept for it; of the rest each line is counted', async (t) => {
    const path = fifo('slow');
    const reader = openSync(path, 0o4000);
    // Without a reader what is left is given up.
    t.after(() => closeSync(reader));
    const destination = new Destination(path);
    const count = 60_000;
    let lost = 0;
    const look = (): void => {
      lost += destination.takeTrouble()?.lines ?? 0;
    };
    for (let index = 0; index < count; index++) destination.write(`${index} ${'y'.repeat(100)}\n`);
    look();
    assert.ok(lost > 0 && lost < count, String(lost));
    const buffer = Buffer.alloc(65_536);
    let text = '';
    await until('the rest', () => {
      for (let some = readSome(reader, buffer); some !== null; some = readSome(reader, buffer)) text += some.toString();
      look();
      return text.split('\n').length - 1 + lost === count;
    });
    const numbers = text
      .split('\n')
      .slice(0, -1)
      .map((line) => /^(\d+) y{100}$/.exec(line)?.[1]);
    assert.ok(
      numbers.every(
        (number, index) => number !== undefined && (index === 0 || Number(number) > Number(numbers[index - 1])),
      ),
    );
  });
});
