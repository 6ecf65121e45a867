/** The right to name a leader: one master has it, as long as nobody else has a copy of its socket. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Logger, pino } from 'pino';
import type { Event } from '../../../../src/core/events.ts';
import { Leadership, type LeadershipOptions } from '../../../../src/master/claims/leadership.ts';
import { stays, until } from '../../../support/until.ts';

interface Given {
  readonly folder: string;
  readonly make: (options?: Partial<LeadershipOptions>) => { leadership: Leadership; events: Event[]; said: string[] };
}

function given(t: TestContext): Given {
  const base = mkdtempSync(join(tmpdir(), 'prefork-lead-'));
  const made: Leadership[] = [];
  t.after(() => {
    for (const leadership of made) leadership.release();
    rmSync(base, { recursive: true });
  });
  const folder = join(base, 'prefork');
  mkdirSync(folder, { mode: 0o700 });
  chmodSync(folder, 0o700);
  return {
    folder,
    make: (options = {}) => {
      const events: Event[] = [];
      const said: string[] = [];
      const logger: Logger = pino({ base: null }, { write: (line) => said.push(line) });
      const leadership = new Leadership({
        settings: () => ({ name: 'app' }),
        env: { XDG_RUNTIME_DIR: base },
        // Both are this process: each is the other one's.
        predecessor: process.pid,
        fleet: () => ({ predecessor: 'none', successor: null }),
        post: (event) => events.push(event),
        logger: () => logger,
        ...options,
      });
      made.push(leadership);
      return { leadership, events, said };
    },
  };
}

/** A pid that was a process's. */
function deadPid(): number {
  const { pid } = spawnSync('/bin/true');
  assert.ok(pid > 0);
  return pid;
}

async function listenAt(t: TestContext, path: string): Promise<Server> {
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

test('LEAD-02 of two masters one has the right, and the other one gets it when it is let go of', async (t) => {
  const { make, folder } = given(t);
  const [one, other] = [make(), make()];
  one.leadership.claim(1);
  await until('the right', () => one.events.length === 1);
  assert.deepEqual(one.events, [{ type: 'leadClaimed', claim: 1 }]);
  assert.ok((one.leadership.token?.fd ?? -1) > 2);
  other.leadership.claim(7);
  await stays('without it', () => other.events.length === 0, 400);
  assert.equal(other.leadership.token, null);
  one.leadership.release();
  assert.equal(one.leadership.token, null);
  await until('the right', () => other.events.length === 1);
  assert.deepEqual(other.events, [{ type: 'leadClaimed', claim: 7 }]);
  other.leadership.release();
  assert.deepEqual(readdirSync(folder), []);
});

test('LEAD-02 the new master may have another name', async (t) => {
  const { make } = given(t);
  const [one, other] = [make(), make({ settings: () => ({ name: 'other' }) })];
  one.leadership.claim(1);
  await until('the right', () => one.events.length === 1);
  other.leadership.claim(1);
  await stays('without it', () => other.events.length === 0, 300);
  one.leadership.release();
  await until('the right', () => other.events.length === 1);
});

test('LEAD-02 of two that ask at the same time one gets it, and one that has given up does not', async (t) => {
  const { make } = given(t);
  for (let round = 1; round <= 5; round += 1) {
    const all = [make(), make(), make()];
    for (const { leadership } of all) leadership.claim(round);
    all[2]?.leadership.release();
    await until('one to have it', () => all.some(({ leadership }) => leadership.token !== null));
    await stays('one', () => all.filter(({ leadership }) => leadership.token !== null).length === 1, 150);
    assert.deepEqual(all[2]?.events, []);
    for (const { leadership } of all) leadership.release();
  }
});

test('LEAD-09 a worker of a master that is dead is waited for; what it leaves is removed', async (t) => {
  const { make, folder } = given(t);
  const pid = deadPid();
  const path = join(folder, `app-${pid}-12345-0123abcd.lead`);
  const orphan = await listenAt(t, path);
  const { leadership, events } = make({ predecessor: null });
  leadership.claim(1);
  await stays('without it', () => events.length === 0, 400);
  // As the kernel closes it with its process: the file stays.
  const kept = `${path}.kept`;
  spawnSync('/bin/ln', [path, kept]);
  await new Promise((resolve) => orphan.close(resolve));
  spawnSync('/bin/mv', [kept, path]);
  await until('the right', () => events.length === 1);
  assert.equal(existsSync(path), false);
});

test('LEAD-09 a live master that is no relative is another service, and so is one of another name', async (t) => {
  const { make, folder } = given(t);
  const start = await ownStart(make, folder);
  await listenAt(t, join(folder, `app-${process.pid}-${start}-0123abcd.lead`));
  await listenAt(t, join(folder, `app-2-${deadPid()}-1-0123abcd.lead`));
  await listenAt(t, join(folder, 'app-x.lead'));
  const { leadership, events } = make({ predecessor: null });
  leadership.claim(1);
  await until('the right', () => events.length === 1);
});

/** As files say when this process was started. */
async function ownStart(make: Given['make'], folder: string): Promise<string> {
  const { leadership, events } = make({ predecessor: null });
  leadership.claim(1);
  await until('the right', () => events.length === 1);
  const [file] = readdirSync(folder);
  leadership.release();
  return /-(\d+)-[0-9a-f]{8}\.lead$/.exec(file ?? '')?.[1] ?? '';
}

test('LEAD-09 without a folder of its own it says so once, and waits for the other master to be gone', async (t) => {
  const { make, folder } = given(t);
  chmodSync(folder, 0o777);
  let predecessor: 'leaves' | 'none' = 'leaves';
  const { leadership, events, said } = make({ fleet: () => ({ predecessor, successor: null }) });
  leadership.claim(1);
  await stays('without it', () => events.length === 0, 300);
  predecessor = 'none';
  await until('the right', () => events.length === 1);
  assert.equal(leadership.token, null);
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /is open to others/);
});
