'use strict';
// A worker that has been taken over: what it could do to its master, at random. The same seed and number of the worker
// give the same steps. Its rights are those of the workers' user; it signals nobody but its own children.
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const dgram = require('node:dgram');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { Worker } = require('node:worker_threads');

const {
  seed,
  only,
  speech,
  folder,
  python,
  pidfile,
  precious,
  isOther,
  hostilePort: port,
} = JSON.parse(process.env.FUZZ);

/** mulberry32 */
function randomFrom(text) {
  let state = createHash('sha256').update(text).digest().readUInt32LE();
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

let random = Math.random;
const below = (count) => Math.floor(random() * count);
const pick = (list) => list[below(list.length)];
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Anything that JSON can be, and what it cannot; and what is likely to be taken for something else. */
const odd = [
  ...[null, true, false, 0, -0, -1, 1e308, -1e308, 2 ** 53, 2 ** 31, 0.5, '', 'x', '\u202e\u001b[2J\n', '__proto__'],
  ...[
    'x'.repeat(20_000),
    'constructor',
    '/dev/zero',
    '/proc/self/mem',
    '\0abstract',
    [],
    {},
    [[]],
    [null],
    { type: 'x' },
  ],
  ...[Array(3_000).fill({}), Array(3_000).fill(0), { length: 1e9 }, { toJSON: 1 }],
];
const proto = () =>
  JSON.parse('{"__proto__":{"type":"ready","polluted":true},"constructor":{"prototype":{"polluted":1}}}');
const nested = (depth) => `${'{"a":['.repeat(depth)}${']}'.repeat(depth)}`;
const buckets = () => Array.from({ length: 12 }, () => below(5));
const name = () => `${pick(['GET', 'X', '\u202e', '__proto__', ''])}${below(1e9).toString(36)}`;

const figures = () => ({
  ...{ requests: below(1e6), inFlight: below(100), connections: below(100), latencyP50: 1, latencyP99: 1 },
  ...{ loopDelayP99: 1, loopDelayMax: 1, loopUtilisation: random(), cpu: random(), rss: below(2 ** 31), heapUsed: 1 },
});
const query = () => ({
  address: pick([
    null,
    '127.0.0.1',
    '::',
    '0.0.0.0',
    '/etc/passwd',
    `${folder}/u${below(50)}`,
    precious,
    pidfile,
    'localhost',
  ]),
  port: pick([0, 0, 1, 22, 80, 443, -1, port, below(65_536)]),
  fd: pick([null, null, null, 0, 3, 7, 9]),
  addressType: pick([4, 6, -1]),
  flags: below(8),
});
/** As honest ones are; see src/protocol/messages.ts. */
const messages = {
  listen: () => ({ seq: below(1e6), bound: random() < 0.3, ordinal: below(4), query: query() }),
  unlisten: () => ({ listener: pick(['tcp:127.0.0.1:0', name(), `unix:${precious}`]) }),
  bind: () => ({
    seq: below(1e6),
    ordinal: below(4),
    query: { address: '127.0.0.1', port: below(65_536), family: 4, fd: null, flags: 0 },
  }),
  unbind: () => ({ seq: below(1e6) }),
  unheard: () => ({}),
  mute: () => ({}),
  'session-missed': () => ({}),
  slow: () => ({
    requests: [
      { method: name(), url: name(), route: name(), id: name(), trace: name(), age: 1, state: 'running', status: null },
    ],
    more: 1,
    within: 1,
  }),
  booted: () => ({}),
  candidate: () => ({}),
  resigned: () => ({ reason: pick([null, 'Error: x', pick(odd)]) }),
  ready: () =>
    random() < 0.5
      ? {}
      : {
          addresses: Array.from({ length: below(40) }, () => ({
            listener: pick(['tcp:127.0.0.1:0', name()]),
            host: pick(['127.0.0.1', '::1', '169.254.169.254', name()]),
            port: below(70_000),
            secure: random() < 0.5,
          })),
        },
  termed: () => ({}),
  stack: () => ({
    frames: Array.from({ length: below(60) }, name),
    isOwn: random() < 0.3,
    requests: [{ method: name(), url: `/${name()}`, age: below(1e6), id: name(), trace: name() }],
    resources: [name()],
  }),
  requests: () => ({
    seq: below(20),
    total: pick(odd),
    requests: Array.from({ length: below(200) }, () => ({
      ...{ method: name(), url: `/${name()}`, age: below(1e6), phase: pick(['app', 'body', name()]), route: pick(odd) },
    })),
  }),
  beat: () => ({ figures: figures() }),
  failed: () => ({
    kind: pick(['load', 'boot']),
    error: { name: name(), message: `a\nb${name()}`, stack: `E\n    at ${name()}`, because: pick([name(), `a\nb`, 7]) },
  }),
  health: () => ({
    checks: Array.from({ length: below(50) }, () => ({
      name: name(),
      ok: random() < 0.5,
      critical: true,
      error: name(),
    })),
  }),
  short: () => ({ connections: below(100) }),
  migrated: () => ({
    delta: {
      given: below(9),
      taken: below(1e9),
      returned: 0,
      lost: below(9),
      kept: [
        [name(), below(9)],
        ['tls', below(9)],
      ],
    },
  }),
  traffic: () => ({
    delta: {
      series: Array.from({ length: below(2_000) }, () => ({
        method: name(),
        status: below(1_000),
        route: name(),
        seconds: 1,
        buckets: buckets(),
      })),
      ...{ upgrades: [[name(), 1]], aborted: 1, connections: 1, received: 1, sent: 1 },
      latencies: Array.from({ length: below(202) }, () => [below(202), below(1e9)]),
    },
  }),
  'app-metrics': () => ({
    metrics: Array.from({ length: below(300) }, () => {
      const metric = `m_${below(1e9)}`;
      const values = Array.from({ length: below(20) }, () => ({
        metricName: metric,
        labels: { a: name(), b: 'x'.repeat(below(600)) },
        value: 1,
      }));
      return {
        name: metric,
        help: name(),
        type: pick(['counter', 'gauge', 'histogram', 'summary']),
        aggregator: 'sum',
        values,
      };
    }),
  }),
  'log-trouble': () => ({ lines: below(1e6), reason: name() }),
  draining: () => ({ inFlight: 1, connections: 1, upgraded: 1, requests: [{ method: name(), url: name(), age: 1 }] }),
  drained: () => ({
    cutRequests: below(9),
    cutConnections: below(9),
    requests: [{ method: name(), url: name(), age: 1 }],
  }),
  dying: () => ({
    how: pick(['exit', 'abort', 'end']),
    caller: name(),
    after: { name: name(), message: name(), frame: name(), because: pick([name(), {}]) },
    requests: [{ method: name(), url: name(), age: below(1e6), id: name() }],
    inFlight: below(1e6),
  }),
  snapshot: () => ({
    file: pick([`${name()}.heapsnapshot`, name(), null]),
    bytes: below(1e9),
    took: 1,
    problem: name(),
  }),
};
const someMessage = () => {
  const type = pick(Object.keys(messages));
  return { type, ...messages[type]() };
};

/** Replaces something in it, at any depth. */
function mutate(value) {
  if (typeof value !== 'object' || value === null || random() < 0.2) return pick(odd);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  const key = pick(Object.keys(copy));
  if (key === undefined) return proto();
  if (random() < 0.1) delete copy[key];
  else copy[key] = mutate(copy[key]);
  return copy;
}

// What it says goes over a pipe of its own; without one, over the channel of node:cluster.
const descriptors = () =>
  fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [{ fd: Number(fd), what: fs.readlinkSync(`/proc/self/fd/${fd}`) }];
    } catch {
      return [];
    }
  });
// The queue between workers. Who is to ruin others could as well signal them: they have the same user (docs/boundary.md).
const queue = [5, 6];
const sockets = () =>
  descriptors()
    .filter(({ fd, what }) => what.startsWith('socket:') && !queue.includes(fd))
    .map(({ fd }) => fd);
const channels = () => [...new Set([speech ?? process.channel?.fd, process.channel?.fd].filter(Number.isInteger))];

/** Raw bytes, as far as they are taken. @returns whether all were */
function write(fd, bytes, within = 200) {
  let at = 0;
  const end = Date.now() + within;
  while (at < bytes.length && Date.now() < end) {
    try {
      at += fs.writeSync(fd, bytes, at, Math.min(bytes.length - at, 65_536));
    } catch (error) {
      if (error.code !== 'EAGAIN') return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
  return at === bytes.length;
}

// On the channel that is read: a flood on both would end when the other is full. A busy master reads late.
const flood = (bytes) => write(channels()[0], bytes, 1_500);

const speak = (text) => {
  for (const [index, fd] of channels().entries()) if (index === 0 || random() < 0.3) write(fd, Buffer.from(text));
};
const wrapped = (message) => JSON.stringify(speech === null ? { prefork: message } : message);
const line = (message) =>
  `${wrapped(message)}\n`.replace(/1e\+?308/g, () => pick(['1e308', '1e999', '-1e999', '00', 'NaN']));
const child = (command, args, options = {}) => {
  const started = spawn(command, args, { stdio: 'ignore', ...options });
  started.on('error', () => {});
  return started;
};

const steps = {
  'raw bytes'() {
    const bytes = Buffer.from(Array.from({ length: below(5_000) }, () => below(256)));
    for (const fd of channels()) write(fd, bytes);
  },
  'broken UTF-8'() {
    const text = Buffer.from(line(someMessage()));
    for (let index = 0; index < 5; index += 1) text[below(text.length)] = pick([0xff, 0xc0, 0xed, 0xa0, 0x80, 0x00]);
    for (const fd of channels()) write(fd, text);
  },
  'bytes into the queue between workers'() {
    const [give] = queue;
    write(give, Buffer.from(Array.from({ length: below(500) }, () => below(256))));
  },
  'half a message'() {
    const text = line(someMessage());
    speak(text.slice(0, below(text.length)));
  },
  async 'messages that look valid'() {
    for (let index = below(30); index >= 0; index -= 1) speak(line(someMessage()));
    await pause(below(200));
  },
  async 'messages with something replaced'() {
    for (let index = below(30); index >= 0; index -= 1) speak(line(mutate(someMessage())));
    await pause(below(200));
  },
  'messages that are no objects'() {
    for (let index = 0; index < 10; index += 1) speak(`${JSON.stringify(pick(odd))}\n`);
    speak(line(proto()));
  },
  'nested without end'() {
    speak(`${nested(pick([10, 1_000, 100_000]))}\n`);
  },
  'messages of node:cluster'() {
    const cmds = [
      'NODE_CLUSTER',
      'NODE_HANDLE',
      'NODE_HANDLE_ACK',
      'NODE_HANDLE_NACK',
      'NODE_SOCKET_ALL_CLOSED',
      'NODE_X',
    ];
    const acts = ['online', 'queryServer', 'listening', 'exitedAfterDisconnect', 'close', 'newconn', name()];
    for (let index = 0; index < 10; index += 1)
      speak(
        `${JSON.stringify({ cmd: pick(cmds), act: pick(acts), seq: below(9), ack: below(9), ...query(), key: name() })}\n`,
      );
  },
  async 'a flood of messages'() {
    const type = pick(['ready', 'beat', 'termed', 'health', 'failed']);
    const text = line({ type, ...messages[type]() });
    // What is malformed ends it at once.
    const first = random() < 0.5 ? line({ type: pick(Object.keys(messages)), ...messages.beat() }) : text;
    const lines = Buffer.from(first.repeat(200) + text.repeat(200));
    for (const end = Date.now() + below(6_000); Date.now() < end && flood(lines); ) await pause(0);
  },
  async 'a flood of bytes'() {
    const bytes = Buffer.alloc(1 << 20, pick(['x', '"', ' ', '\0', '[', '\n', '\u{1f600}']));
    if (random() < 0.5) bytes.write('{"type":"app-metrics","metrics":"');
    for (const end = Date.now() + below(6_000); Date.now() < end && flood(bytes); ) await pause(0);
  },
  async 'long messages one after the other'() {
    const text = Buffer.from(
      line({
        type: pick(['app-metrics', 'failed', 'x']),
        ...messages['app-metrics'](),
        pad: 'y'.repeat(1 << pick([16, 18, 20, 21])),
      }),
    );
    for (let index = 0; index < 20 && flood(text); index += 1) await pause(below(20));
  },
  async 'metrics with ever new names'() {
    for (let index = 0; index < 20; index += 1) {
      speak(line({ type: 'traffic', ...messages.traffic() }));
      speak(line({ type: 'app-metrics', ...messages['app-metrics']() }));
      await pause(300);
    }
  },
  async 'descriptors over its sockets'() {
    if (python === null) return;
    const kinds = [
      'file',
      'null',
      'folder',
      'path',
      'pipe',
      'tcp',
      'udp',
      'unix',
      'unix-datagrams',
      'netlink',
      'memory',
      'event',
      'terminal',
      'listening',
      'itself',
    ];
    const script = path.join(__dirname, 'descriptors.py');
    const [kind, count] = [pick(kinds), String(pick([1, 3, 300]))];
    await Promise.all(
      sockets().map(
        (fd) =>
          new Promise((done) =>
            child(python, [script, kind, count], { stdio: ['ignore', 'ignore', 'ignore', fd] })
              .on('close', done)
              .on('error', done),
          ),
      ),
    );
  },
  'an inspector that is none, while it is blocked'() {
    process.removeAllListeners('SIGUSR1');
    process.on('SIGUSR1', () => {});
    const kind = pick(['text', 'null', 'endless', 'elsewhere', 'silent', 'socket']);
    const script = `
      const http = require('node:http');
      const { workerData: kind } = require('node:worker_threads');
      const answer = (_, response) => {
        response.on('error', () => {});
        if (kind === 'text') response.end('no JSON');
        else if (kind === 'null') response.end('null');
        else if (kind === 'elsewhere') response.end(JSON.stringify([{ webSocketDebuggerUrl: 'ws+unix:/etc/passwd:/x' }, { webSocketDebuggerUrl: 'ws://127.0.0.1:1/x' }]));
        else if (kind === 'endless') { const send = () => { while (response.write(Buffer.alloc(65536, 'x'))); }; response.on('drain', send); send(); }
      };
      const end = Date.now() + 6000;
      const open = () => {
        const server = http.createServer(answer);
        server.on('upgrade', (_, socket) => { socket.on('error', () => {}); socket.write('HTTP/1.1 101 x\\r\\n\\r\\n' + 'y'.repeat(1e6)); });
        server.on('error', () => {});
        server.listen(0, '127.0.0.1');
        setTimeout(() => { server.closeAllConnections(); server.close(); }, 500);
        if (Date.now() < end) setTimeout(open, 100);
      };
      open();`;
    new Worker(script, { eval: true, workerData: kind }).on('error', () => {});
    setTimeout(() => {
      for (const end = Date.now() + 20_000; Date.now() < end; );
    }, 300);
  },
  'a source map that it names, while it is blocked'() {
    const file = pick([
      '/etc/shadow',
      '/dev/zero',
      '/proc/kmsg',
      `${folder}/fifo`,
      'file:///dev/zero',
      'http://127.0.0.1:1/x',
      'data:application/json;base64,e30=',
    ]);
    const code = `(function spin() { for (const end = Date.now() + 20_000; Date.now() < end; ); })()
//# sourceMappingURL=${file}
//# sourceURL=file:///x/${below(9)}.js`;
    // biome-ignore lint/security/noGlobalEval: that is the point.
    setTimeout(() => eval(code), 100);
  },
  async 'a flood on its outputs'() {
    const bytes = pick([
      Buffer.alloc(1 << 16, 'x'),
      Buffer.from(Array.from({ length: 4_096 }, () => below(256))),
      Buffer.from('{"level":60,"msg":"forged"}\n\u001b[2J\u202e\n'.repeat(500)),
      Buffer.alloc(1 << 14, '\n'),
    ]);
    for (const end = Date.now() + below(1_500); Date.now() < end && [1, 2].every((fd) => write(fd, bytes)); )
      await pause(0);
  },
  'closes a descriptor'() {
    const own = descriptors().filter(
      ({ fd, what }) => fd > 0 && (fd < 10 || random() < 0.1) && !what.includes('/proc/'),
    );
    const { fd } = pick(own) ?? {};
    if (fd !== undefined) fs.closeSync(fd);
  },
  disconnects() {
    process.disconnect?.();
  },
  exits() {
    process.exit(below(256));
  },
  aborts() {
    pick([() => process.abort(), () => process.kill(process.pid, 'SIGKILL'), () => process.reallyExit(0)])();
  },
  'has children that hold its pipes'() {
    const all = sockets().slice(0, 6);
    child('/bin/sh', ['-c', '(sleep 4 &) ; (sleep 3 &) ; exit 0'], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', ...all],
    });
    if (random() < 0.5) setTimeout(() => process.exit(0), 50);
  },
  'stops itself'() {
    process.kill(process.pid, 'SIGSTOP');
  },
  async 'signals to the master'() {
    // As another user it may not. With the same rights there is no boundary to be tried.
    if (!isOther) return;
    for (const signal of ['SIGKILL', 'SIGSTOP', 'SIGTERM', 'SIGUSR1', 'SIGWINCH', 'SIGHUP']) {
      try {
        process.kill(process.ppid, signal);
      } catch {}
    }
  },
  async "the master's files in /proc"() {
    if (!isOther) return;
    for (const file of ['mem', 'fd/3', 'fd/4', 'fd/5', 'oom_score_adj', 'environ', 'cwd', 'coredump_filter']) {
      try {
        fs.closeSync(fs.openSync(`/proc/${process.ppid}/${file}`, pick(['r', 'r+', 'w'])));
      } catch {}
    }
  },
  async 'listens at odd paths'() {
    const paths = [
      precious,
      pidfile,
      pidfile.replace(/pid$/, 'ctl'),
      folder,
      '/etc/x.sock',
      `\0fuzz${below(1e6)}`,
      `${folder}/${'x'.repeat(120)}`,
      `${folder}/s${below(1e4)}`,
      '/proc/self/fd/1',
      `${folder}/link`,
      '',
      '.',
      '\u001b[2J',
    ];
    for (let index = 0; index < 5; index += 1) {
      const server = net.createServer().on('error', () => {});
      try {
        server.listen(pick(paths));
      } catch {}
      if (random() < 0.5) setTimeout(() => server.close(), below(300));
    }
    await pause(100);
  },
  async 'a storm of listens'() {
    for (let index = below(300); index >= 0; index -= 1) {
      const server = net.createServer().on('error', () => {});
      try {
        server.listen(pick([0, 1, 80, port, 1_024 + below(60_000)]), pick(['127.0.0.1', '::1', '0.0.0.0', undefined]));
      } catch {}
      setTimeout(() => server.close(), below(1_000));
      if (random() < 0.1) await pause(10);
    }
  },
  async 'UDP sockets'() {
    for (let index = below(100); index >= 0; index -= 1) {
      const socket = dgram.createSocket(pick(['udp4', 'udp6'])).on('error', () => {});
      try {
        socket.bind({
          port: pick([0, 53, below(65_536)]),
          address: pick(['127.0.0.1', undefined]),
          exclusive: random() < 0.3,
        });
        setTimeout(() => {
          try {
            socket.close();
          } catch {}
        }, below(1_000));
      } catch {}
    }
    await pause(200);
  },
  async "the app's own messages"() {
    for (let index = below(2_000); index >= 0 && process.connected; index -= 1)
      process.send({ x: 'y'.repeat(below(5_000)) }, undefined, {}, () => {});
  },
};

exports.begin = async (id) => {
  random = randomFrom(`${seed}:${id}`);
  const chosen = Object.keys(steps).filter((what) => new RegExp(only).test(what));
  process.on('uncaughtException', () => {});
  process.on('unhandledRejection', () => {});
  // Some come at once, in the middle of a boot or of a reload; most are there long enough to count as up.
  await pause(random() < 0.2 ? 0 : 2_100);
  for (let step = 1; ; step += 1) {
    if (fs.existsSync(`${folder}/enough`)) return;
    const what = pick(chosen);
    fs.appendFileSync(`${folder}/steps`, `worker ${id}, pid ${process.pid}, step ${step}: ${what}\n`);
    try {
      await steps[what]();
    } catch {}
    await pause(below(300));
  }
};
