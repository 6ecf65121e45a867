/** Where the frames of a WebSocket end. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { FrameTracker } from '../../../../src/worker/traffic/frames.ts';

const answer = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');

function frame(opcode: number, size: number, isMasked = false): Buffer {
  const length =
    size < 126
      ? [size]
      : size < 65_536
        ? [126, size >> 8, size & 255]
        : [127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 255, size & 255];
  length[0] = (length[0] ?? 0) | (isMasked ? 0x80 : 0);
  // Bytes that look like headers and close frames.
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length]), Buffer.alloc((isMasked ? 4 : 0) + size, 0x88)]);
}

function after(...chunks: readonly Buffer[]): FrameTracker {
  const tracker = new FrameTracker();
  for (const chunk of chunks) tracker.push(chunk);
  return tracker;
}

describe('a tracker of frames', () => {
  it('is between frames after the answer to the upgrade and after each frame, of any length', () => {
    assert.equal(after().isBetweenFrames, false);
    assert.equal(after(answer.subarray(0, 20)).isBetweenFrames, false);
    assert.equal(after(answer).isBetweenFrames, true);
    for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]) {
      for (const isMasked of [false, true]) {
        const whole = frame(1, size, isMasked);
        assert.equal(after(answer, whole).isBetweenFrames, true, `${size}`);
        assert.equal(after(answer, whole.subarray(0, -1)).isBetweenFrames, false, `${size}, cut`);
        assert.equal(after(answer, whole, whole.subarray(0, 1)).isBetweenFrames, false);
      }
    }
  });

  it('finds the status of the answer, which may refuse the upgrade', () => {
    const refusal = Buffer.from('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
    assert.equal(after(answer.subarray(0, 20)).status, null);
    assert.equal(after(answer, frame(1, 5)).status, 101);
    assert.deepEqual([after(refusal).status, after(refusal).isBetweenFrames], [401, false]);
    const tunnel = new FrameTracker(false);
    tunnel.push(Buffer.from('HTTP/1.0 200 OK\r\n\r\n'));
    tunnel.push(Buffer.from([0x88, 0]));
    assert.deepEqual([tunnel.status, tunnel.isClosed], [200, false]);
    assert.equal(after(Buffer.alloc(100_000, 'x'), answer).status, null);
  });

  it('sees the same however the bytes are cut', () => {
    const bytes = Buffer.concat([answer, frame(1, 300), frame(2, 0), frame(9, 5), frame(2, 70_000), frame(0, 126)]);
    for (let round = 0; round < 50; round++) {
      const tracker = new FrameTracker();
      for (let at = 0; at < bytes.length; ) {
        const size = randomInt(1, round === 0 ? 2 : 4_000);
        tracker.push(bytes.subarray(at, at + size));
        at += size;
      }
      assert.equal(tracker.isBetweenFrames, true);
      assert.equal(tracker.seen, bytes.length);
      assert.equal(tracker.isClosed, false);
    }
  });

  it('knows a close frame from what looks like one', () => {
    assert.equal(after(answer, frame(1, 200)).isClosed, false);
    assert.equal(after(answer, frame(1, 200), frame(8, 2)).isClosed, true);
  });

  it('never finds a frame where the upgrade was refused', () => {
    const refused = Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    assert.equal(after(refused).isBetweenFrames, false);
    assert.equal(after(refused, frame(8, 0)).isClosed, false);
  });
});
