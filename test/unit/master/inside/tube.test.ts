/** A tube, and who may speak over it: exactly one, with the secret, and as much as it said. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { Tube, TubeBroken } from '../../../../src/master/inside/tube.ts';

async function open(t: TestContext): Promise<{ tube: Tube; dial: (...words: string[]) => Socket }> {
  const tube = await Tube.open();
  t.after(() => tube.close());
  const dial = (...words: string[]): Socket => {
    const socket = connect(tube.path);
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    for (const word of words) socket.write(word);
    return socket;
  };
  return { tube, dial };
}

async function all(content: Readable): Promise<string> {
  let text = '';
  for await (const chunk of content) text += String(chunk);
  return text;
}

describe('INS-03 a tube', () => {
  it('gives what the worker says, wherever the pieces are cut', async (t) => {
    const { tube, dial } = await open(t);
    const socket = dial();
    for (const letter of `${tube.secret}\n{"size":6,"note":"short"}\nabc`) {
      socket.write(letter);
      await new Promise(setImmediate);
    }
    assert.deepEqual(await tube.head, { size: 6, note: 'short' });
    const content = all(tube.content(6));
    socket.write('def and more that is nobody’s');
    assert.equal(await content, 'abcdef');
  });

  it('lets nobody in without the secret, and nobody after the worker', async (t) => {
    const { tube, dial } = await open(t);
    const stranger = dial(`${'0'.repeat(64)}\n{"size":1}\nx`);
    await once(stranger, 'close');
    const endless = dial('x'.repeat(1_000));
    await once(endless, 'close');
    dial(`${tube.secret}\n{"size":2}\nok`);
    assert.deepEqual(await tube.head, { size: 2, note: null });
    const late = connect(tube.path);
    await assert.rejects(once(late, 'connect'));
    assert.equal(await all(tube.content(2)), 'ok');
  });

  it('fails if the worker goes before the head, or before the end', async (t) => {
    const first = await open(t);
    first.dial(`${first.tube.secret}\n`).end();
    await assert.rejects(first.tube.head, TubeBroken);
    const second = await open(t);
    second.dial(`${second.tube.secret}\n{"size":10}\nabc`).end();
    await second.tube.head;
    await assert.rejects(all(second.tube.content(10)), /7 bytes before the end/);
  });

  for (const line of [
    '',
    'null',
    '7',
    '[]',
    '{}',
    '{"size":-1}',
    '{"size":1e300}',
    '{"size":"1"}',
    `"${'x'.repeat(9_000)}"`,
  ])
    it(`takes no head such as ${line.slice(0, 20)}`, async (t) => {
      const { tube, dial } = await open(t);
      dial(`${tube.secret}\n${line}\n`);
      await assert.rejects(tube.head, /does not keep to what was agreed/);
    });

  it('makes what is said plain, and short', async (t) => {
    const { tube, dial } = await open(t);
    dial(`${tube.secret}\n${JSON.stringify({ error: `\u001b[2J${'e'.repeat(3_000)}` })}\n`);
    const head = await tube.head;
    assert.ok('error' in head);
    assert.ok(!head.error.includes('\u001b'));
    assert.ok(head.error.length < 600);
  });

  it('that is closed leaves nobody waiting', async () => {
    const tube = await Tube.open();
    tube.close('it was given up');
    await assert.rejects(tube.head, /it was given up/);
    await assert.rejects(once(connect(tube.path), 'connect'));
  });
});
