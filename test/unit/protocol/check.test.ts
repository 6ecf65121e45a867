import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkWorkerMessage } from '../../../src/protocol/check.ts';
import { clip } from '../../../src/protocol/check-values.ts';
import { figures as table } from '../../../src/protocol/figures.ts';

const figures = {
  ...Object.fromEntries(Object.entries(table).flatMap(([name, { from }]) => (from === 'worker' ? [[name, 8]] : []))),
  requests: 1,
  inFlight: 0,
  connections: 2,
  rss: 3,
  heapUsed: 4,
  loopDelayP99: 5,
  loopDelayMax: 6,
  loopUtilisation: 0.5,
  cpu: 0.1,
  latencyP50: null,
  latencyP99: 7,
};

test('SEC-08 messages: what a worker may say passes, field by field', () => {
  const checked = checkWorkerMessage({ type: 'beat', figures: { ...figures, pid: 1 }, extra: true });
  assert.deepEqual(checked, { kind: 'message', message: { type: 'beat', figures } });
  assert.deepEqual(checkWorkerMessage({ type: 'ready', id: 7 }), {
    kind: 'message',
    message: { type: 'ready' },
  });
});

test('SEC-08 messages: what is no message at all is malformed, whatever it is, and its type is told only if it is a word', () => {
  const shapes = ['ready', 1, null, undefined, {}, [], [[]], { prefork: { type: 'ready' } }, { type: null }];
  const types = [{ type: { toString: 1 } }, { type: ['ready'] }, { type: '\u001b[2J' }, { type: 'x'.repeat(1e6) }];
  for (const raw of [...shapes, ...types]) {
    const checked = checkWorkerMessage(raw);
    assert.deepEqual(checked, { kind: 'malformed', reason: 'malformed message of type unknown' });
  }
});

test('SEC-08 messages: what is malformed is told, not used', () => {
  const malformed = [
    { type: 'retireOthers' },
    { type: 1 },
    { type: 'beat' },
    { type: 'beat', figures: { ...figures, requests: Number.NaN } },
    { type: 'beat', figures: { ...figures, requests: -1 } },
    { type: 'beat', figures: { ...figures, rss: '1' } },
    { type: 'beat', figures: null },
    {
      type: 'listen',
      seq: 1,
      bound: true,
      ordinal: 0,
      query: { address: 'x'.repeat(20_000), port: 1, addressType: 4 },
    },
    { type: 'migrated', delta: { given: -1, taken: 0, returned: 0, lost: 0, kept: [] } },
    { type: 'migrated', delta: { given: 1, taken: 0, returned: 0, lost: 0 } },
    { type: 'listen', seq: 1, bound: true, ordinal: 0, query: { address: null, port: 70_000, addressType: 4 } },
    { type: 'listen', seq: 1, bound: true, ordinal: 0, query: { address: null, port: 1, addressType: 'udp4' } },
    { type: 'listen', seq: 'x', bound: true, ordinal: 0, query: { address: null, port: 1, addressType: 4 } },
    { type: 'failed', kind: 'other', error: { name: '', message: '', stack: '' } },
    { type: 'failed', kind: 'boot', error: { name: {}, message: '', stack: '' } },
    { type: 'drained', cutRequests: 1.5, cutConnections: 0 },
  ];
  for (const message of malformed) {
    assert.equal(checkWorkerMessage(message).kind, 'malformed', JSON.stringify(message).slice(0, 100));
  }
});

test('SEC-08 messages: a stack is cut, and made plain', () => {
  const request = { method: 'GET'.repeat(50), url: '/'.repeat(5_000), age: 1 };
  const message = {
    type: 'stack',
    frames: [...Array<string>(200).fill('f'.repeat(1e5)), 7],
    isOwn: 'yes',
    requests: Array<unknown>(500).fill(request),
    resources: ['a\nb\u202ec\u001b[31m', null],
  };
  const checked = checkWorkerMessage(message);
  assert.ok(checked.kind === 'message' && checked.message.type === 'stack');
  const { frames, isOwn, requests, resources } = checked.message;
  assert.deepEqual([frames.length, frames[0]?.length, isOwn, requests.length], [30, 500, false, 20]);
  assert.deepEqual([requests[0]?.method.length, requests[0]?.url.length], [20, 500]);
  assert.deepEqual(resources, ['a bc [31m']);
  for (const name of ['frames', 'requests', 'resources']) {
    assert.equal(checkWorkerMessage({ ...message, [name]: 'x' }).kind, 'malformed', name);
  }
});

test('SEC-08 messages: the ids of a request are ids, or none', () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const idsOf = (id: unknown, given: unknown): unknown => {
    const requests = [{ method: 'GET', url: '/', age: 1, id, trace: given }];
    const checked = checkWorkerMessage({ type: 'stack', frames: [], isOwn: false, requests, resources: [] });
    assert.ok(checked.kind === 'message' && checked.message.type === 'stack');
    const [request] = checked.message.requests;
    return [request?.id, request?.trace];
  };
  assert.deepEqual(idsOf('r-1', trace), ['r-1', trace]);
  for (const wrong of [undefined, null, 7, {}, '', 'a b', 'a\nb', 'x'.repeat(201), '\u202e'])
    assert.deepEqual(idsOf(wrong, wrong), [null, null], String(wrong));
  assert.deepEqual(idsOf('r-1', '0'.repeat(32)), ['r-1', null]);
});

test('SEC-08 messages: hostile keys are inert', () => {
  const raw: unknown = JSON.parse('{"type":"beat","figures":{"__proto__":{"polluted":1}},"__proto__":{"polluted":1}}');
  assert.equal(checkWorkerMessage(raw).kind, 'malformed');
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test('messages: an error report is cut, not refused', () => {
  const checked = checkWorkerMessage({
    type: 'failed',
    kind: 'boot',
    error: { name: 'Error', message: 'm'.repeat(1e6), stack: 's'.repeat(1e6) },
  });
  assert.ok(checked.kind === 'message' && checked.message.type === 'failed');
  assert.ok(checked.message.error.stack.length < 20_000);
});

test('SEC-08 messages: a UDP socket is asked for with an address, a port and flags that there are', () => {
  const query = { address: '127.0.0.1', port: 0, family: 4, fd: null, flags: 4 };
  const checked = checkWorkerMessage({ type: 'bind', seq: 1, ordinal: 0, query: { ...query, extra: 1 } });
  assert.deepEqual(checked, { kind: 'message', message: { type: 'bind', seq: 1, ordinal: 0, query } });
  const zone = { ...query, address: 'fe80::1%eth0', family: 6 };
  assert.equal(checkWorkerMessage({ type: 'bind', seq: 1, ordinal: 0, query: zone }).kind, 'message');
  for (const bad of [
    null,
    { ...query, address: 'localhost' },
    { ...query, address: null },
    { ...query, address: `fe80::1%${'x'.repeat(1e5)}`, family: 6 },
    { ...query, family: 6 },
    { ...query, family: 'udp4' },
    { ...query, port: 70_000 },
    { ...query, port: null },
    { ...query, fd: -1 },
    { ...query, fd: 'x' },
  ]) {
    assert.equal(checkWorkerMessage({ type: 'bind', seq: 1, ordinal: 0, query: bad }).kind, 'malformed');
  }
  const odd = checkWorkerMessage({ type: 'bind', seq: 1, ordinal: 0, query: { ...query, flags: 2 ** 40 } });
  assert.ok(odd.kind === 'message' && odd.message.type === 'bind' && odd.message.query.flags === 0);
});

test('SEC-07 messages: a worker cannot have the master share a port by SO_REUSEPORT', () => {
  const udp = { address: '127.0.0.1', port: 5_000, family: 4, fd: null, flags: 15 };
  const bind = checkWorkerMessage({ type: 'bind', seq: 1, ordinal: 0, query: udp });
  assert.ok(bind.kind === 'message' && bind.message.type === 'bind' && bind.message.query.flags === 5);
  const tcp = { address: '::', port: 5_000, addressType: 6, fd: null, flags: 3 };
  const listen = checkWorkerMessage({ type: 'listen', seq: 1, bound: false, ordinal: 0, query: tcp });
  assert.ok(listen.kind === 'message' && listen.message.type === 'listen' && listen.message.query.flags === 1);
});

test('messages: a unix socket is asked for with readableAll and writableAll', () => {
  const query = { address: '/run/app.sock', port: -1, addressType: -1, flags: 15 };
  const listen = checkWorkerMessage({ type: 'listen', seq: 1, bound: false, ordinal: 0, query });
  assert.ok(listen.kind === 'message' && listen.message.type === 'listen' && listen.message.query.flags === 3);
});

test('messages: what is kept of a long text does not keep all of it', () => {
  const long = `${'ü€'.repeat(20)}\ud83d`;
  assert.equal(clip(long, 30), long.slice(0, 30));
  assert.equal(clip(`${long}\ude00`, long.length), long);
  assert.equal(clip('short', 30), 'short');
});

test('SEC-08 messages: of connections that could not move, only reasons that there are count', () => {
  const delta = { given: 1, taken: 2, returned: 0, lost: 0 };
  const kept = [['tls', 3], ['x'.repeat(1_000), 1], ['app', -1], 'app', ['http2', 2]];
  const checked = checkWorkerMessage({ type: 'migrated', delta: { ...delta, kept } });
  const message = {
    type: 'migrated',
    delta: {
      ...delta,
      kept: [
        ['tls', 3],
        ['http2', 2],
      ],
    },
  };
  assert.deepEqual(checked, { kind: 'message', message });
});

test('SEC-08 messages: slow requests are bounded in number and length, of known states, and plain', () => {
  const trace = 'ab'.repeat(16);
  const request = { method: 'GET', url: '/', route: '/', id: 'a', trace, age: 1, state: 'running', status: null };
  const checked = (requests: unknown, more: unknown = 0) =>
    checkWorkerMessage({ type: 'slow', requests, more, within: 10_000, extra: 1 });
  assert.deepEqual(checked([request]), {
    kind: 'message',
    message: { type: 'slow', requests: [request], more: 0, within: 10_000 },
  });
  for (const bad of ['x', null, { length: 1 }]) assert.equal(checked(bad).kind, 'malformed');
  for (const bad of [-1, 1.5, 'x', null, Number.NaN]) assert.equal(checked([], bad).kind, 'malformed');
  const requestsOf = (given: unknown): readonly unknown[] => {
    const { message } = checked(given) as { message: { requests: readonly unknown[] } };
    return message.requests;
  };
  assert.equal(requestsOf(Array.from({ length: 1_000 }, () => request)).length, 10);
  const odd = [null, 1, {}, { ...request, state: 'gone' }, { ...request, age: -1 }, { ...request, url: 1 }];
  assert.deepEqual(requestsOf(odd), []);
  const long = {
    ...request,
    method: 'x'.repeat(1e5),
    url: 'y'.repeat(1e5),
    route: 'z'.repeat(1e5),
    id: {},
    trace: 'AB'.repeat(16),
    status: 1e9,
  };
  const [cut] = requestsOf([long]) as {
    method: string;
    url: string;
    route: string;
    id: unknown;
    trace: unknown;
    status: unknown;
  }[];
  assert.deepEqual(
    [cut?.method.length, cut?.url.length, cut?.route.length, cut?.id, cut?.trace, cut?.status],
    [20, 500, 200, null, null, null],
  );
  const [odds] = requestsOf([{ ...request, url: '/\u001b[2J\n', route: '\n' }]) as { url: string; route: string }[];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none
  assert.doesNotMatch(`${odds?.url}${odds?.route}`, /[\u0000-\u001f]/);
});

test('WHY-02 the last words of a worker: lengths, counts, plain text', () => {
  const long = 'x\u202e'.repeat(9_000);
  const request = { method: long, url: long, age: 1, id: 'not an id', route: long, more: 1 };
  const checked = checkWorkerMessage({
    type: 'dying',
    how: 'exit',
    caller: long,
    after: { name: long, message: long, frame: 7 },
    requests: Array.from({ length: 500 }, () => request),
    inFlight: 500,
  });
  assert.ok(checked.kind === 'message' && checked.message.type === 'dying');
  const { caller, after, requests } = checked.message;
  assert.equal(requests.length, 20);
  assert.deepEqual(Object.keys(requests[0] ?? {}), ['method', 'url', 'age', 'id', 'trace', 'route', 'phase']);
  const texts = [caller, after?.name, after?.message, requests[0]?.url, requests[0]?.route].map((text) => text ?? '');
  for (const text of texts) assert.ok(text.length > 0 && text.length <= 500 && /^x+$/.test(text));
  for (const wrong of [{ how: 'other', inFlight: 0 }, { how: 'exit', inFlight: -1 }, { how: 'end' }])
    assert.equal(checkWorkerMessage({ type: 'dying', requests: [], ...wrong }).kind, 'malformed');
});

test('WHY-02 the requests of a heartbeat are ten at most, and what is none is left out', () => {
  const requests = [{ method: 'GET', url: '/', age: 1, id: 'r-1' }, null, { method: 'GET' }, { url: '/', age: -1 }];
  const checked = checkWorkerMessage({ type: 'beat', figures, requests, heapLimit: 7 });
  assert.deepEqual(checked, {
    kind: 'message',
    message: {
      type: 'beat',
      figures,
      requests: [{ ...requests[0], trace: null, route: null, phase: null }],
      heapLimit: 7,
    },
  });
  const many = Array.from({ length: 30 }, () => requests[0]);
  const cut = checkWorkerMessage({ type: 'beat', figures, requests: many, heapLimit: 'large' });
  assert.ok(cut.kind === 'message' && cut.message.type === 'beat');
  assert.deepEqual([cut.message.requests?.length, cut.message.heapLimit], [10, undefined]);
});

test('HEAP-01 a heap snapshot is a name of a file, and no path', () => {
  const given = { type: 'snapshot', bytes: 1, took: 1, problem: 'none' };
  const file = 'shop-now-slot0-7.heapsnapshot';
  const named = (name: unknown) => checkWorkerMessage({ ...given, file: name });
  assert.deepEqual(named(file), { kind: 'message', message: { ...given, file, problem: null } });
  for (const wrong of [
    '../x.heapsnapshot',
    '/etc/passwd',
    'a/b.heapsnapshot',
    'x\n.heapsnapshot',
    `${'a'.repeat(500)}.heapsnapshot`,
    7,
  ])
    assert.deepEqual(named(wrong), { kind: 'message', message: { ...given, file: null } });
  assert.equal(checkWorkerMessage({ ...given, file: null, problem: null }).kind, 'malformed');
});

test('private addresses are of the loopback interface, and not many', () => {
  const good = { listener: 'tcp', host: '127.0.0.1', port: 4_000, secure: false };
  const bad = [
    { ...good, host: '10.0.0.1' },
    { ...good, host: 'localhost; rm' },
    { ...good, port: 0 },
    { ...good, port: 65_536 },
    { ...good, port: '80' },
    { ...good, secure: 'no' },
    { ...good, listener: 'x'.repeat(1e6) },
    null,
  ];
  assert.deepEqual(checkWorkerMessage({ type: 'ready', addresses: [...bad, { ...good, more: 1 }] }), {
    kind: 'message',
    message: { type: 'ready', addresses: [good] },
  });
  const many = checkWorkerMessage({ type: 'ready', addresses: Array.from({ length: 500 }, () => good) });
  assert.ok(many.kind === 'message' && many.message.type === 'ready' && many.message.addresses?.length === 20);
  assert.equal(checkWorkerMessage({ type: 'ready', addresses: 'all' }).kind, 'malformed');
});
