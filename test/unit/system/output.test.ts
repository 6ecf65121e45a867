/** What a worker prints is read line by line, no faster than the master has time for. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { readLines } from '../../../src/system/output.ts';
import { hostileTexts, unplain } from '../../support/hostile-text.ts';
import { until } from '../../support/until.ts';

describe('what a worker prints', () => {
  it('is in lines of plain text, whatever its bytes are', async () => {
    for (const [kind, text] of Object.entries(hostileTexts)) {
      const lines: string[] = [];
      const stream = new PassThrough();
      const done = readLines(stream, (line) => lines.push(line));
      stream.write(`${text}\n`);
      stream.end(Buffer.from([0xff, 0xfe, 0x0a, 0xe2, 0x82]));
      await done;
      assert.ok(lines.length > 1, kind);
      for (const line of lines)
        assert.equal(unplain.exec(line.replaceAll('\t', '')), null, `${kind}: ${JSON.stringify(line)}`);
    }
  });

  it('loses nothing, in whatever pieces it comes', async () => {
    const text = `a\r\n\n${'x'.repeat(40_000)}\n${'😀'.repeat(10_000)}\nlast`;
    for (const size of [1, 7, 1_000, 100_000]) {
      const lines: string[] = [];
      const stream = new PassThrough();
      const done = readLines(stream, (line) => lines.push(line));
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
      stream.end();
      await done;
      assert.equal(lines.join(''), text.replace(/\r|\n/g, ''), `in pieces of ${size}`);
      assert.ok(lines.every((line) => line.length <= 16 * 1024));
    }
  });

  it('waits if it comes too fast, and all of it comes in the end', async () => {
    let count = 0;
    const stream = new PassThrough({ highWaterMark: 1_024 });
    const done = readLines(stream, () => {
      count += 1;
    });
    const startedAt = performance.now();
    const written = 7_000;
    stream.write('\n'.repeat(written));
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(count <= 5_100, `${count} lines in one turn of the event loop`);
    await until('the rest of it', () => count === written, { within: 5_000 });
    assert.ok(performance.now() - startedAt > 200, 'it took its time');
    stream.end('and more\n'.repeat(3));
    await done;
    assert.equal(count, written + 3);
  });

  it('is told at once when the stream ends by force', async () => {
    let count = 0;
    const stream = new PassThrough();
    const done = readLines(stream, () => {
      count += 1;
    });
    stream.write('\n'.repeat(20_000));
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(stream.isPaused());
    stream.destroy();
    await done;
    assert.equal(count, 20_000);
  });
});
