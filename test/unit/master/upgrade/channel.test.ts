/** What two masters say to each other, and where the new one finds its descriptors. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { UpgradeError } from '../../../../src/errors.ts';
import {
  type Bequest,
  UpgradeChannel,
  type UpgradeMessage,
  upgradeVariable,
} from '../../../../src/master/upgrade/channel.ts';
import { Predecessor } from '../../../../src/master/upgrade/predecessor.ts';
import { layOut } from '../../../../src/master/upgrade/successor.ts';
import { until } from '../../../support/until.ts';

const nothing: Omit<Bequest, 'channel'> = {
  version: 1,
  pid: 99,
  listeners: [],
  inherited: [],
  passed: [],
  admin: null,
  adminAddress: null,
  control: null,
};

describe('descriptors of the new master', () => {
  it('the channel is the first, and there are no gaps', () => {
    const { stdio, bequest } = layOut({
      ...nothing,
      listeners: [
        { key: 'a', path: null, fds: [20, 21] },
        { key: 'b', path: '/b', fds: [25] },
      ],
      admin: { address: 'x', fd: 30 },
    });
    assert.deepEqual(stdio, ['inherit', 'inherit', 'inherit', 'pipe', 20, 21, 25, 30]);
    assert.equal(bequest.channel, 3);
    assert.deepEqual(
      bequest.listeners.map(({ fds }) => fds),
      [[4, 5], [6]],
    );
    assert.equal(bequest.admin?.fd, 7);
  });

  it('what a service manager passed keeps its number, and the rest goes around it', () => {
    const { stdio, bequest } = layOut({
      ...nothing,
      inherited: [3, 4, 8],
      listeners: [{ key: 'a', path: null, fds: [4, 20, 21, 22] }],
    });
    assert.deepEqual(stdio, ['inherit', 'inherit', 'inherit', 3, 4, 'pipe', 20, 21, 8, 22]);
    assert.equal(bequest.channel, 5);
    assert.deepEqual(bequest.listeners[0]?.fds, [4, 6, 7, 9]);
  });

  it('a gap is left open, and nobody else is in it', () => {
    const { stdio } = layOut({ ...nothing, inherited: [6] });
    assert.deepEqual(stdio, ['inherit', 'inherit', 'inherit', 'pipe', 'ignore', 'ignore', 6]);
  });
});

describe('the bequest in the environment', () => {
  it('is nothing at a start like any other', () => {
    assert.equal(Predecessor.take({}), null);
  });

  it('is taken out of it; what is no such thing is refused in one line', () => {
    for (const text of ['', 'no JSON', 'null', '{"version":1}', '{"version":1,"channel":999}']) {
      const env = { [upgradeVariable]: text };
      assert.throws(
        () => Predecessor.take(env),
        (error) => error instanceof UpgradeError && !error.message.includes('\n') && /unset it/.test(error.message),
        text,
      );
      assert.deepEqual(env, {});
    }
  });

  it('of another version it is refused, with a way out', () => {
    assert.throws(
      () => Predecessor.take({ [upgradeVariable]: '{"version":2}' }),
      /its bequest has version 2, understood is 1\); stop that one and start this one/,
    );
  });
});

describe('the channel', () => {
  async function pair(t: TestContext): Promise<[Socket, Socket]> {
    const path = join(tmpdir(), `prefork-${randomUUID()}.sock`);
    const server = createServer().listen(path);
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const one = connect(path);
    const other = await accepted;
    server.close();
    t.after(() => {
      one.destroy();
      other.destroy();
    });
    return [one, other];
  }

  it('tells what came before anybody listened, in order; and the end', async (t) => {
    const [one, other] = await pair(t);
    const channel = new UpgradeChannel(one);
    other.end('{"type":"ready"}\n{"type":"taken"}\n');
    await until('the end', () => channel.ended);
    const heard: string[] = [];
    channel.listen(
      ({ type }) => heard.push(type),
      () => heard.push('end'),
    );
    assert.deepEqual(heard, ['ready', 'taken', 'end']);
    channel.send({ type: 'ready' });
  });

  it('hears only what it understands, however it is cut', async (t) => {
    const [one, other] = await pair(t);
    const channel = new UpgradeChannel(one);
    const heard: UpgradeMessage[] = [];
    channel.listen(
      (message) => heard.push(message),
      () => {},
    );
    for (const part of ['no JSON\n{"type":"later"}\nnull\n7\n{"ty', 'pe":"yours","rel', 'oad":true}\n']) {
      other.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the message', () => heard.length > 0);
    assert.deepEqual(heard, [{ type: 'yours', reload: true }]);
    assert.ok(!channel.ended);
  });

  it('a line without an end is not listened to for ever', async (t) => {
    const [one, other] = await pair(t);
    const channel = new UpgradeChannel(one);
    let isOver = false;
    channel.listen(
      () => {},
      () => {
        isOver = true;
      },
    );
    other.on('error', () => {});
    other.write('x'.repeat(9 * 1024 * 1024));
    await until('the end', () => isOver);
  });
});
