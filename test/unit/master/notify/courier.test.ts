/** Events are told one after the other, in bounded time and memory, whatever becomes of the process that tells them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServiceEvent } from '../../../../src/config/service-event.ts';
import type { Logger } from '../../../../src/master/log/logger.ts';
import { Courier, type Target } from '../../../../src/master/notify/courier.ts';
import type { ListenerOptions } from '../../../../src/master/notify/listener.ts';
import { until } from '../../../support/until.ts';

const target: Target = {
  task: { type: 'hook', path: '/config.mjs' },
  settings: { name: 'shop', chdir: '/', env: {}, identity: null, umask: 0o022 },
};

function event(count: number): ServiceEvent {
  const base = { id: `m-${count}`, time: '2026-01-01T00:00:00.000Z', service: 'shop', master: 1 };
  return { ...base, type: 'scaled', from: count, to: count + 1, reason: null, generation: 1 };
}

/** A courier whose processes are played. */
function played({ repeats = false, patience = 60_000 } = {}) {
  const lines: string[] = [];
  const note = (_: unknown, text: string) => void lines.push(text);
  const logger = { info: note, warn: note, error: note } as unknown as Logger;
  const started: { readonly options: ListenerOptions; readonly sent: ServiceEvent[]; ended: boolean }[] = [];
  const courier = new Courier({
    name: 'on',
    patience,
    repeats,
    logger: () => logger,
    start: (options) => {
      const process = { options, sent: [] as ServiceEvent[], ended: false };
      started.push(process);
      return { send: (each) => void process.sent.push(each), end: () => Object.assign(process, { ended: true }) };
    },
  });
  const last = () => {
    const process = started.at(-1);
    if (process === undefined) throw new Error('none was started');
    return process;
  };
  return { courier, lines, started, last };
}

describe('a courier', () => {
  it('EVT-01 starts nothing before the first event, and sends the next after the answer', () => {
    const { courier, started, last } = played();
    courier.deliver(event(0));
    courier.use(target);
    assert.equal(started.length, 0);
    for (const count of [1, 2, 3]) courier.deliver(event(count));
    const sent = () => last().sent.map(({ id }) => id);
    assert.deepEqual(sent(), ['m-1']);
    assert.equal(last().options.onAnswer({ id: 'm-2', failure: null }), false, 'not the one that is waited for');
    assert.equal(last().options.onAnswer({ id: 'm-1', failure: null }), true);
    last().options.onAnswer({ id: 'm-2', failure: 'Error: no' });
    assert.deepEqual(sent(), ['m-1', 'm-2', 'm-3']);
    assert.equal(started.length, 1);
  });

  it('EVT-02 keeps 1,000 events at most, says once that it leaves some out, and how many in the end', () => {
    const { courier, lines, last } = played();
    courier.use(target);
    for (let count = 0; count < 1_501; count += 1) courier.deliver(event(count));
    assert.deepEqual(lines, ['on: more than 1000 events wait to be told; the oldest are left out']);
    for (let count = 0; count < 1_001; count += 1)
      last().options.onAnswer({ id: last().sent.at(-1)?.id ?? '', failure: null });
    assert.equal(last().sent.length, 1_001);
    assert.equal(last().sent.at(-1)?.id, 'm-1500');
    assert.deepEqual(lines.slice(1), ['on: 500 events were left out']);
  });

  it('EVT-03 a process that ends or hangs is followed by another, after a while; the event is left out', async () => {
    const { courier, lines, started, last } = played({ patience: 20 });
    courier.use(target);
    courier.deliver(event(1));
    courier.deliver(event(2));
    last().options.onGone('exited with code 1');
    assert.equal(started.length, 1, 'not at once');
    assert.deepEqual(lines, ['on, event scaled: its process exited with code 1']);
    await until('another process', () => started.length === 2);
    assert.deepEqual(
      last().sent.map(({ id }) => id),
      ['m-2'],
    );
    await until('its end', () => last().ended);
    await courier.finish(0);
    assert.ok(
      lines.some((line) => line === 'on: 1 more events failed'),
      lines.join('\n'),
    );
  });

  it('EVT-03 one that ends between two events is followed by another, and the log says so', () => {
    const { courier, lines, started, last } = played();
    courier.use(target);
    courier.deliver(event(1));
    last().options.onAnswer({ id: 'm-1', failure: null });
    last().options.onGone('exited with code 4');
    assert.deepEqual(lines, ['on: its process exited with code 4 between two events']);
    courier.deliver(event(2));
    assert.equal(started.length, 2);
    courier.use(null);
  });

  it('EVT-04 one that repeats sends an event once more, and no more than that', async () => {
    const { courier, started, last } = played({ repeats: true });
    courier.use(target);
    courier.deliver(event(1));
    courier.deliver(event(2));
    for (const [count, id] of [
      [1, 'm-1'],
      [2, 'm-1'],
      [3, 'm-2'],
    ] as const) {
      await until(`process ${count}`, () => started.length === count, { within: 15_000 });
      assert.deepEqual(
        last().sent.map((each) => each.id),
        [id],
      );
      last().options.onGone('ended by SIGKILL');
    }
    await courier.finish(0);
  });

  it('EVT-05 a new target is used from the next event on, by a process of its own', () => {
    const { courier, started, last } = played();
    courier.use(target);
    courier.deliver(event(1));
    const other: Target = { ...target, task: { type: 'hook', path: '/new.mjs' } };
    courier.use(other);
    courier.deliver(event(2));
    assert.equal(started.length, 1, 'the one of the moment ends in peace');
    last().options.onAnswer({ id: 'm-1', failure: null });
    assert.deepEqual(
      started.map(({ ended }) => ended),
      [true, false],
    );
    assert.deepEqual(last().options.task, other.task);
    last().options.onAnswer({ id: 'm-2', failure: null });
    courier.use(null);
    assert.ok(last().ended && !courier.isOn);
    courier.deliver(event(3));
    assert.equal(started.length, 2);
  });

  it('EVT-06 at the end it waits for what is left, and no longer than it may', async () => {
    const { courier, lines, last } = played();
    courier.use(target);
    courier.deliver(event(1));
    courier.deliver(event(2));
    const finished = courier.finish(60_000);
    last().options.onAnswer({ id: 'm-1', failure: null });
    last().options.onAnswer({ id: 'm-2', failure: null });
    await finished;
    assert.ok(last().ended);
    assert.deepEqual(lines, []);
    const hung = played();
    hung.courier.use(target);
    hung.courier.deliver(event(1));
    hung.courier.deliver(event(2));
    await hung.courier.finish(20);
    assert.deepEqual(hung.lines, ['on: 2 events were not told before the end']);
    assert.ok(hung.last().ended);
  });
});
