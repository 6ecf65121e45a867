/** The reader of what a worker says: bounded by construction. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Speech } from '../../../../src/master/workers/speech.ts';
import { maxLine, maxLongLine, type WorkerMessage } from '../../../../src/protocol/messages.ts';

function listener(): { speech: Speech; messages: WorkerMessage[]; offences: string[] } {
  const messages: WorkerMessage[] = [];
  const offences: string[] = [];
  const speech = new Speech(
    { onMessage: (message) => messages.push(message), onOffence: (reason) => offences.push(reason) },
    0,
  );
  return { speech, messages, offences };
}

const ready = '{"type":"ready"}\n';
const metrics = (length: number): string => `{"type":"app-metrics","metrics":["${'x'.repeat(length)}"]}\n`;

describe('what a worker says', () => {
  it('is a message a line, in whatever pieces it comes', () => {
    const text = Buffer.from(`${ready}{"type":"log-trouble","lines":1,"reason":"für €"}\n${ready}`);
    for (const size of [1, 2, 3, 7, 50, 1_000]) {
      const { speech, messages, offences } = listener();
      for (let at = 0; at < text.length; at += size) speech.take(text.subarray(at, at + size), at);
      assert.deepEqual(offences, []);
      assert.deepEqual(
        messages.map((message) => (message.type === 'log-trouble' ? message.reason : message.type)),
        ['ready', 'für €', 'ready'],
      );
    }
  });

  it('may be long only if it is what may be long', () => {
    for (const [text, isFine] of [
      [metrics(maxLine * 2), true],
      [metrics(maxLongLine), false],
      [`{"type":"ready","x":"${'x'.repeat(maxLine)}"}\n`, false],
      [` {"type":"app-metrics","metrics":["${'x'.repeat(maxLine)}"]}\n`, false],
      ['\n', false],
    ] as const) {
      const { speech, messages, offences } = listener();
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; at += 65_536) speech.take(bytes.subarray(at, at + 65_536), 0);
      assert.equal(messages.length, isFine ? 1 : 0, text.slice(0, 40));
      assert.equal(offences.length, isFine ? 0 : 1, text.slice(0, 40));
    }
  });

  it('is not waited for without end: a line that does not end is an offence before its end', () => {
    for (const start of ['', '{"type":"traffic",']) {
      const { speech, offences } = listener();
      speech.take(Buffer.from(start), 0);
      const more = Buffer.alloc(65_536, 'x');
      let taken = 0;
      for (; offences.length === 0 && taken < 100; taken++) speech.take(more, 0);
      assert.deepEqual(offences, ['a message that is too long']);
      assert.ok(taken <= 40, String(taken));
    }
  });

  it('is limited in messages, bytes and reads; what is within the limits goes on for ever', () => {
    const flood = (chunk: Buffer, every: number, rounds: number): string[] => {
      const { speech, offences } = listener();
      for (let round = 0; round < rounds && offences.length === 0; round++) speech.take(chunk, round * every);
      return offences;
    };
    const long = Buffer.from(metrics(60_000));
    assert.deepEqual(flood(Buffer.from(ready), 0, 10_000), ['too many messages']);
    assert.deepEqual(flood(Buffer.from(ready.repeat(3_000)), 0, 1), ['too many messages']);
    assert.deepEqual(flood(long, 0, 1_000), ['it says too much']);
    assert.deepEqual(flood(Buffer.from(' '), 0, 10_000), ['it says too much']);
    assert.deepEqual(flood(Buffer.from(ready), 3, 20_000), []);
    assert.deepEqual(flood(long, 20, 20_000), []);
  });

  it('ends at the first offence: nothing after it counts, in the same read or later', () => {
    const { speech, messages, offences } = listener();
    speech.take(Buffer.from(`${ready}nonsense\n${ready}`), 0);
    speech.take(Buffer.from(`${ready}nonsense\n`), 10_000);
    assert.deepEqual([messages.length, offences], [1, ['what it says is no JSON']]);
  });

  it('is text', () => {
    for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0x22, 0xf8, 0x88, 0x80, 0x80, 0x80, 0x22]]) {
      const { speech, offences } = listener();
      speech.take(Buffer.from([...bytes, 10]), 0);
      assert.deepEqual(offences, ['what it says is no text']);
    }
    const { speech, offences } = listener();
    speech.take(Buffer.from(`${'[1e999,'.repeat(5)}\n`), 0);
    assert.deepEqual(offences, ['what it says is no JSON']);
  });

  it('is not parsed if it is too deep or has too many values, also in fields that nobody reads', () => {
    for (const ballast of [
      `${'['.repeat(20)}${']'.repeat(20)}`,
      `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
      `${'['.repeat(250_000)}`,
    ]) {
      const { speech, messages, offences } = listener();
      speech.take(Buffer.from(`{"type":"ready","x":${ballast}}\n`), 0);
      assert.deepEqual([messages.length, offences], [0, ['its messages are too complex']], ballast.slice(0, 30));
    }
    const { speech, messages, offences } = listener();
    const many = Buffer.from(`{"type":"ready","x":[${'[],'.repeat(80_000)}0]}\n`);
    for (let count = 0; count < 10; count++) speech.take(many, 0);
    assert.deepEqual([messages.length, offences], [4, ['its messages are too complex']]);
  });

  it('of texts only the length counts', () => {
    const { speech, messages, offences } = listener();
    speech.take(Buffer.from(`{"type":"ready","x":"${'\\"[{,:'.repeat(10_000)}","y":"${'['.repeat(50_000)}"}\n`), 0);
    assert.deepEqual([messages.length, offences], [1, []]);
  });

  it('may stop to be listened to by a message that it says itself', () => {
    const offences: string[] = [];
    let count = 0;
    const speech: Speech = new Speech(
      {
        onMessage: () => {
          count += 1;
          speech.stop();
        },
        onOffence: (reason) => offences.push(reason),
      },
      0,
    );
    speech.take(Buffer.from(ready.repeat(3)), 0);
    assert.deepEqual([count, offences], [1, []]);
  });
});
