/**
 * What a worker says when it is asked by SIGUSR1, whatever blocks it; and that the inspector which Node opens for it is
 * nobody's. On every version of Node, because it leans on how Node acts upon the signal.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn as spawnProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { interruptible, uninterruptible } from '../../../src/system/node-internals.ts';
import { listensOf } from '../../support/proc.ts';
import { request } from '../../support/request.ts';
import { stretched } from '../../support/slowness.ts';
import { stays, until } from '../../support/until.ts';
import {
  cleanup,
  type Message,
  spawn,
  start,
  type WorkerOptions,
  type WorkerUnderTest,
} from '../../support/worker-harness.ts';

const app = 'stuck/app.cjs';
const nodeArgs = [...interruptible];
const within = stretched(10_000);

/** Signals it until it answers: it may not have begun yet. */
async function ask(
  worker: WorkerUnderTest,
  isGood = (_: Message<'stack'>): boolean => true,
): Promise<Message<'stack'>> {
  return await until(
    'the stack',
    () => {
      worker.kill('SIGUSR1');
      return worker.all('stack').find(isGood);
    },
    { within, every: 100 },
  );
}

async function blocked(name: string, options: Partial<WorkerOptions> = {}): Promise<WorkerUnderTest> {
  const worker = await start({ app, nodeArgs, ...options, env: { PORT: '0', ...options.env } });
  request({ port: worker.port() }, `/${name}`).catch(() => {});
  return worker;
}

/** Not on its way to what it is to do. */
const isThere = ({ frames }: Message<'stack'>): boolean =>
  frames.some((frame) => /^at (spin|regexp|again|exec) \(.*stuck\/app\.cjs/.test(frame));

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'prefork-evidence-'));
  cleanup(() => rmSync(path, { recursive: true }));
  return path;
}

describe('HB-09 a worker that is asked for its stack', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  for (const [name, innermost] of [
    ['spin', /^at spin \(.*stuck\/app\.cjs:\d+:\d+\)$/],
    ['regexp', /^at test \(<anonymous>\)$|^at regexp /],
    ['sort', /^at spin /],
    ['microtasks', /^at (again|then) /],
  ] as const) {
    it(`${name}: says where it is, and what it serves, and prints nothing`, async () => {
      const worker = await blocked(name);
      const { frames, requests } = await ask(worker, isThere);
      assert.match(frames[0] ?? '', innermost);
      if (name !== 'microtasks')
        assert.ok(
          frames.some((frame) => /app\.cjs/.test(frame)),
          frames.join('\n'),
        );
      if (name !== 'microtasks')
        assert.deepEqual(
          requests.map(({ url }) => url),
          [`/${name}`],
        );
      assert.ok(!frames.some((frame) => /prefork.*(evidence|process-events)/.test(frame)), frames.join('\n'));
      assert.equal(worker.output, '');
    });
  }

  it('whose event loop turns says what it waits for', async () => {
    const worker = spawn({ app, nodeArgs, env: { WHEN: 'boot', WORK: 'wait', LISTEN: 'no' } });
    await until('its app', () => worker.all('beat').length > 1, { within });
    const { frames, resources } = await ask(worker);
    assert.deepEqual(frames, []);
    assert.ok(resources.includes('Timeout'), String(resources));
  });

  it('that is in a native call answers when the call ends', async () => {
    const worker = await blocked('exec');
    const sleeper = await until(
      'the child',
      () => readFileSync(`/proc/${worker.pid}/task/${worker.pid}/children`, 'utf8').trim().split(' ')[0] || undefined,
      { within },
    );
    worker.kill('SIGUSR1');
    await stays('no answer', () => worker.all('stack').length === 0, 300);
    process.kill(Number(sleeper), 'SIGKILL');
    const { frames } = await until('the stack', () => worker.all('stack').find(isThere), { within });
    assert.ok(
      frames.some((frame) => /execFileSync \(node:/.test(frame)),
      frames.join('\n'),
    );
  });

  it('leaves no inspector open', async () => {
    const worker = await blocked('spin');
    const own = worker.port();
    for (let round = 0; round < 5; round += 1) await ask(worker, () => worker.all('stack').length > round);
    await until('the inspector to be closed', () => listensOf(worker.pid).every(({ port }) => port === own), {
      within,
    });
  });

  it('has one that nobody can connect to: the options alone see to that', async () => {
    // In a worker it lives for a millisecond; here for as long as it takes to try.
    const child = spawnProcess(process.execPath, [...nodeArgs, '-e', 'setInterval(() => {}, 1_000); console.log(1)'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    cleanup(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    child.kill('SIGUSR1');
    const [inspector] = await until(
      'the inspector',
      () => {
        const listens = listensOf(child.pid ?? 0);
        return listens.length > 0 ? listens : undefined;
      },
      { within },
    );
    const { port = 0 } = inspector ?? {};
    const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
    for (const host of new Set(['224.0.0.0', '0.0.0.0', '127.255.255.255', '::1', '::ffff:224.0.0.0', ...own])) {
      const socket = connect(port, host);
      const [error] = (await Promise.race([once(socket, 'error'), once(socket, 'connect')])) as [Error | undefined];
      socket.destroy();
      assert.notEqual(error, undefined, `${host} can be connected to`);
    }
  });

  it('asked never, where Node can: the signal opens nothing', async (t) => {
    if (uninterruptible().length === interruptible.length) return t.skip('this Node cannot');
    const worker = await start({ app, nodeArgs: [...uninterruptible()], env: { PORT: '0' } });
    worker.kill('SIGUSR1');
    await stays('no answer', () => worker.all('stack').length === 0, 500);
    assert.equal(worker.exit, null);
  });

  it('says that it cannot be asked if the app listens to the signal itself', async () => {
    const worker = await blocked('deaf', { env: { BLOCK_MS: '0' } });
    await worker.waitFor('mute', within);
    worker.kill('SIGUSR1');
    await until('the app to get the signal', () => worker.output.includes('the app got SIGUSR1'), { within });
    assert.deepEqual(worker.all('stack'), []);
  });

  it("leaves the app's way of writing stacks as it was, and does not ask it", async () => {
    const file = join(folder(), 'prepare.cjs');
    writeFileSync(
      file,
      `Error.prepareStackTrace = () => 'the app was asked';
       Error.stackTraceLimit = 3;
       process.on('message', () => console.log(new Error().stack, Error.stackTraceLimit));
       setInterval(() => {}, 1_000);`,
    );
    const worker = spawn({ app: file, nodeArgs });
    await until('its app', () => worker.all('beat').length > 1, { within });
    await ask(worker);
    worker.sendForeign({ any: 'thing' });
    await until('its word', () => worker.output === 'the app was asked 3\n', { within });
  });

  it('opens an inspector where the app wants one, and leaves it open', async () => {
    const file = join(folder(), 'open.cjs');
    writeFileSync(
      file,
      `const inspector = require('node:inspector');
       inspector.open(0);
       console.log(inspector.url());
       setInterval(() => {}, 1_000);`,
    );
    const worker = spawn({ app: file, nodeArgs });
    await until('its address', () => /^ws:\/\/127\.0\.0\.1:\d+\//m.test(worker.output), { within });
    await until('heartbeats', () => worker.all('beat').length > 3, { within });
    assert.deepEqual(worker.all('stack'), []);
    assert.ok(listensOf(worker.pid).some(({ address }) => address === '0100007F'));
  });
});

describe('HB-09 source maps are read by the worker, within limits', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, () => {
  const map = JSON.stringify({ version: 3, sources: ['original.ts'], names: [], mappings: 'AAAA' });

  async function frameOf(url: string, dir: string): Promise<string> {
    const script = join(dir, 'generated.cjs');
    writeFileSync(script, `for (;;);\n//# sourceMappingURL=${url}\n`);
    const worker = await blocked('mapped', { env: { SCRIPT: script } });
    const { frames } = await ask(worker, (stack) => /generated|original/.test(stack.frames[0] ?? ''));
    await worker.stop();
    return frames[0] ?? '';
  }

  it('a map beside the script, or in it', async () => {
    const dir = folder();
    writeFileSync(join(dir, 'generated.cjs.map'), map);
    assert.match(await frameOf('generated.cjs.map', dir), /\(\/.*\/original\.ts:1:1\)$/);
    const inline = `data:application/json;base64,${Buffer.from(map).toString('base64')}`;
    assert.match(await frameOf(inline, dir), /original\.ts:1:1\)$/);
  });

  it('what is no map is none: a pipe, a device, a folder, a huge file, a circle of links, no JSON', async () => {
    const dir = folder();
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    execFileSync('ln', ['-s', 'circle', join(dir, 'circle')]);
    writeFileSync(join(dir, 'huge'), '');
    truncateSync(join(dir, 'huge'), 1e12);
    writeFileSync(join(dir, 'text'), 'no map');
    for (const url of [
      'pipe',
      '/dev/zero',
      '.',
      'huge',
      'circle',
      'text',
      'missing',
      'http://127.0.0.1:1/x',
      'data:,x',
    ]) {
      assert.match(await frameOf(url, dir), /generated\.cjs:1:\d+\)$/, url);
    }
  });
});
