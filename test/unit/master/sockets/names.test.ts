/** Host names: looked up when they are bound, and never again. */
import assert from 'node:assert/strict';
import { promises as dns } from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import { BindError } from '../../../../src/errors.ts';
import { Listeners } from '../../../../src/master/sockets/listeners.ts';

const options = { queues: 1, socketMode: 0o660, socketOwner: null };
const at = (port: number, host = 'app.test') => ({ kind: 'tcp', host, port }) as const;

/** Name servers that say this of every name, `null` is nothing. @returns what was asked, and a way to change the answer */
function nameServers(t: TestContext, first: string | null) {
  const state = { answer: first, asked: [] as string[] };
  const real = dns.lookup;
  t.after(() => {
    dns.lookup = real;
    syncBuiltinESMExports();
  });
  dns.lookup = (async (name: string) => {
    state.asked.push(name);
    if (state.answer === null) throw Object.assign(new Error(`getaddrinfo EAI_AGAIN ${name}`), { code: 'EAI_AGAIN' });
    return { address: state.answer, family: 4 };
  }) as unknown as typeof dns.lookup;
  syncBuiltinESMExports();
  return state;
}

test('BIND-08 listeners: what is bound is bound: name servers that are out of reach, or say something else, change nothing', async (t) => {
  const servers = nameServers(t, '127.0.0.1');
  const listeners = new Listeners(options);
  t.after(() => listeners.closeAll());
  const [first] = (await listeners.openAll([at(0)], 10)).listeners;
  for (const answer of [null, '127.0.0.2']) {
    servers.answer = answer;
    const { added, listeners: again } = await listeners.openAll([at(0)], 10);
    assert.deepEqual(added, []);
    assert.equal(again[0], first);
  }
  assert.deepEqual(servers.asked, ['app.test']);
});

test('BIND-08 listeners: a name that is new is looked up; if that fails it is refused, and what was there stays', async (t) => {
  const servers = nameServers(t, '127.0.0.1');
  const listeners = new Listeners(options);
  t.after(() => listeners.closeAll());
  const [first] = (await listeners.openAll([at(0)], 10)).listeners;
  servers.answer = null;
  await assert.rejects(
    listeners.openAll([at(0), at(0, 'other.test')], 10),
    (error) => error instanceof BindError && /other\.test.*host name not found/.test(error.message),
  );
  assert.deepEqual(listeners.all(), [first]);
  // What was closed is looked up again.
  listeners.close(first?.key ?? '');
  await assert.rejects(listeners.openAll([at(0)], 10), BindError);
  servers.answer = '127.0.0.1';
  assert.equal((await listeners.openAll([at(0)], 10)).added.length, 1);
});

test('BIND-08 listeners: the next master has the names with the sockets', async (t) => {
  const servers = nameServers(t, '127.0.0.1');
  const old = new Listeners(options);
  t.after(() => old.closeAll());
  await old.openAll([at(0)], 10);
  servers.answer = null;
  const given = JSON.parse(JSON.stringify(old.bequest())) as ReturnType<Listeners['bequest']>;
  assert.deepEqual(given[0]?.names, ['app.test:0']);
  const next = new Listeners(options, given);
  t.after(() => next.closeAll());
  const { listeners } = await next.openAll([at(0)], 10);
  assert.equal(listeners.length, 1);
  assert.deepEqual(servers.asked, ['app.test']);
});
