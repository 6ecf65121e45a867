/** The master's end of what it and a worker say to each other. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { WorkerChannel } from '../../../../src/master/workers/channel.ts';
import type { MasterMessage, WorkerMessage } from '../../../../src/protocol/messages.ts';
import { bindHandle, type Handle } from '../../../../src/system/node-internals.ts';
import { fixture } from '../../../support/paths.ts';
import { fdCount, isAlive } from '../../../support/proc.ts';
import { stays, until } from '../../../support/until.ts';

interface Peer {
  readonly child: ChildProcess;
  readonly channel: WorkerChannel;
  readonly messages: readonly WorkerMessage[];
  readonly offences: readonly string[];
  output(): string;
  end(): Promise<void>;
}

/** Prints what it is sent. */
const reader = `
  process.on('internalMessage', ({ cmd, msg }, handle) => console.log(msg.prefork.type, handle !== undefined));`;

async function start(t: TestContext, code: string): Promise<Peer> {
  const child = fork(fixture('worker/hostile.cjs'), {
    env: { ...process.env, NODE_OPTIONS: '', CODE: code },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc', 'pipe'],
  });
  const messages: WorkerMessage[] = [];
  const offences: string[] = [];
  const channel = new WorkerChannel(child, {
    onMessage: (message) => messages.push(message),
    onOffence: (reason) => offences.push(reason),
  });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const end = async (): Promise<void> => {
    if (child.pid !== undefined && isAlive(child.pid)) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    channel.close();
  };
  t.after(end);
  await until('the child', () => output.includes('done'));
  return { child, channel, messages, offences, output: () => output, end };
}

function bound(t: TestContext): Handle {
  const handle = bindHandle('127.0.0.1', 0, 4, null, 0);
  assert.ok(typeof handle !== 'number');
  t.after(() => handle.close());
  return handle;
}

const assign = (queue: number): MasterMessage => ({ type: 'assign', listener: 'a', queue, backlog: 1 });

describe("the master's end of a worker's channel", () => {
  it('sends hundreds of sockets, one after the other, to a worker that says nothing', async (t) => {
    const { channel, output, offences } = await start(t, reader);
    const handle = bound(t);
    for (let queue = 0; queue < 500; queue++) channel.send(assign(queue), queue % 2 === 0 ? handle : undefined);
    await until('all', () => output().match(/assign/g)?.length === 500);
    assert.equal(output().match(/assign true/g)?.length, 250);
    assert.deepEqual(offences, []);
  });

  it('has what a worker says last, also if it exits at once', async (t) => {
    const lines = Array(50).fill('{"type":"ready"}\\n').join('');
    const { channel, messages } = await start(
      t,
      `setImmediate(() => { fs.writeSync(4, '${lines}'); process.exit(0); });`,
    );
    await channel.ended;
    assert.equal(messages.length, 50);
  });

  it('keeps a bounded number of messages for a worker that does not read, which is an offence beyond', async (t) => {
    const { child, channel, offences, output } = await start(t, reader);
    child.kill('SIGSTOP');
    const before = process.memoryUsage().arrayBuffers;
    const handle = bound(t);
    for (let queue = 0; queue < 20_000; queue++) channel.send(assign(queue), handle);
    assert.deepEqual(offences, ['it does not read what it is sent']);
    assert.ok(process.memoryUsage().arrayBuffers - before < 50e6);
    channel.send(assign(0));
    assert.equal(offences.length, 1);
    child.kill('SIGCONT');
    await until('what the kernel had', () => output().includes('assign true'));
  });

  it('sends what waited when the worker reads again, in its order, but not what was closed meanwhile', async (t) => {
    const { child, channel, offences, output } = await start(t, reader);
    child.kill('SIGSTOP');
    const text = 'x'.repeat(10_000);
    const big: MasterMessage = { type: 'unassign', listener: text, queue: 0 };
    for (let count = 0; count < 100; count++) channel.send(big);
    const closed = bindHandle('127.0.0.1', 0, 4, null, 0);
    assert.ok(typeof closed !== 'number');
    channel.send(assign(1), closed);
    closed.close();
    channel.send({ type: 'reopen' });
    await stays('unread', () => !output().includes('reopen'), 100);
    child.kill('SIGCONT');
    await until('the last', () => output().includes('reopen'));
    assert.equal(output().match(/unassign/g)?.length, 100);
    assert.doesNotMatch(output(), /^assign/m);
    assert.deepEqual(offences, []);
  });

  it('stops to read at an offence', async (t) => {
    const { messages, offences } = await start(
      t,
      `setInterval(() => { try { fs.writeSync(4, 'no JSON\\n{"type":"ready"}\\n'); } catch { console.log('closed'); } }, 5);`,
    );
    await until('the offence', () => offences.length > 0);
    await stays('the only one', () => offences.length === 1 && messages.length === 0, 100);
  });

  it('loses what is sent to a worker that is gone, without an error', async (t) => {
    const { child, channel, offences } = await start(t, reader);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    channel.send(assign(0), bound(t));
    await exited;
    for (let count = 0; count < 2_000; count++) channel.send(assign(count));
    channel.close();
    channel.send(assign(1));
    channel.close();
    assert.ok(offences.length <= 1);
  });

  it('leaves no descriptor behind, however a worker ends and whatever it has not read', async (t) => {
    const round = async (code: string, stop: boolean): Promise<void> => {
      const { child, channel, end } = await start(t, code);
      if (stop) child.kill('SIGSTOP');
      const handle = bindHandle('127.0.0.1', 0, 4, null, 0);
      assert.ok(typeof handle !== 'number');
      for (let count = 0; count < 300; count++) channel.send(assign(count), handle);
      handle.close();
      await end();
    };
    await round(reader, false);
    const before = fdCount(process.pid);
    for (const code of [reader, '', 'process.disconnect();', 'fs.closeSync(3);', 'fs.closeSync(4);']) {
      for (const stop of [false, true]) await round(code, stop);
    }
    await until('the descriptors', () => fdCount(process.pid) <= before);
  });

  it('of a worker that could not be started is none', () => {
    const child = fork(fixture('worker/hostile.cjs'), {
      execPath: '/nonexistent',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc', 'pipe'],
    });
    child.on('error', () => {});
    const channel = new WorkerChannel(child, { onMessage: () => {}, onOffence: () => {} });
    channel.send(assign(0));
    channel.close();
  });
});
