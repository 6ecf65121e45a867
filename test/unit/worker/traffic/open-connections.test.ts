import assert from 'node:assert/strict';
import { Server } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import type { Connection } from '../../../../src/worker/traffic/connection.ts';
import { OpenConnections } from '../../../../src/worker/traffic/open-connections.ts';

const server = new Server();

function connection(): Connection {
  const raw = new PassThrough();
  return {
    server,
    raw,
    socket: raw,
    session: null,
    streams: null,
    upgraded: null,
    newest: null,
    requestAt: 0,
    place: -1,
  };
}

function filled(count: number): { open: OpenConnections; all: Connection[] } {
  const open = new OpenConnections();
  const all = Array.from({ length: count }, connection);
  for (const each of all) open.add(each);
  return { open, all };
}

describe('the open connections', () => {
  it('are those that were added and not removed, whatever the order', () => {
    const { open } = filled(0);
    const expected = new Set<Connection>();
    let seed = 11;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let round = 0; round < 2_000; round++) {
      const [any] = [...expected].slice(random(Math.max(1, expected.size)));
      if (any === undefined || random(100) < 50) {
        const added = connection();
        open.add(added);
        expected.add(added);
      } else {
        assert.ok(open.delete(any));
        assert.ok(!open.delete(any), 'twice');
        expected.delete(any);
      }
      assert.equal(open.size, expected.size);
    }
    assert.deepEqual(new Set(open), expected);
    for (const each of expected) assert.ok(open.has(each));
  });

  it('hold nothing of those that were removed', () => {
    const { open, all } = filled(3);
    for (const each of all) open.delete(each);
    assert.equal(open.size, 0);
    assert.deepEqual([...open], []);
    assert.ok(all.every((each) => each.place === -1 && !open.has(each)));
  });

  it('are each visited, whichever of them are removed meanwhile', () => {
    // Every pair of a place and of what is removed there.
    for (let at = 0; at < 5; at++) {
      for (let removed = 0; removed < 5; removed++) {
        const { open, all } = filled(5);
        const visited = new Set<Connection>();
        let step = 0;
        for (const each of open) {
          visited.add(each);
          if (step === at) open.delete(all[removed] ?? connection());
          step += 1;
        }
        for (const [place, each] of all.entries()) assert.ok(visited.has(each) || place === removed);
      }
    }
  });

  it('are each visited if everything is removed while it is visited', () => {
    const { open, all } = filled(50);
    const visited: Connection[] = [];
    for (const each of open) {
      visited.push(each);
      open.delete(each);
    }
    assert.deepEqual(new Set(visited), new Set(all));
    assert.equal(visited.length, 50);
  });
});
