/** What the commands that look into workers are given, and how they show what they get. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { defaultName, slotFrom, timeFrom } from '../../../../src/cli/inside/arguments.ts';
import { checkRequests, checkStacks } from '../../../../src/cli/inside/check.ts';
import { openOutput } from '../../../../src/cli/inside/output.ts';
import { renderRequests, renderStacks } from '../../../../src/cli/inside/render.ts';
import { inFlightLines } from '../../../../src/cli/top/in-flight.ts';
import { wordsOf } from '../../../../src/cli/top/style.ts';
import { ControlError } from '../../../../src/errors.ts';
import type { ShownRequest, ShownStack } from '../../../../src/protocol/requests.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'prefork-inside-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const request: ShownRequest = {
  ...{ slot: 1, worker: 2, pid: 77, method: 'GET', url: '/users/7?x=y', route: '/users/:id', age: 3.21, phase: 'app' },
};

const stack: ShownStack = {
  ...{ slot: 1, worker: 2, pid: 77, generation: 1, phase: 'ready', state: 'running', heartbeatAge: 3.6 },
  ...{ stack: ['at spin (/srv/app.js:1:2)'], waitsFor: [], problem: null, requests: [request] },
};

describe('the arguments', () => {
  it('a time is one of 100 ms to 10 minutes', () => {
    const good: readonly (readonly [string, number])[] = [
      ...([
        ['10s', 10_000],
        ['500ms', 500],
        ['2m', 120_000],
        ['3', 3_000],
        ['0.5', 500],
        ['1.5 s', 1_500],
      ] as const),
      ...([
        ['100ms', 100],
        ['10m', 600_000],
      ] as const),
    ];
    for (const [text, milliseconds] of good) assert.equal(timeFrom(text), milliseconds, text);
    for (const text of ['', '0', '-1s', '99ms', '601s', '11m', '1h', 'x', '1e3', '10 seconds', '٣s', '9'.repeat(400)])
      assert.throws(() => timeFrom(text), ControlError, text.slice(0, 20));
  });

  it('a slot is a number', () => {
    assert.equal(slotFrom('12'), 12);
    for (const text of ['', '-1', '1.5', 'x', '12345', ' 1', '0x1']) assert.throws(() => slotFrom(text), ControlError);
  });

  it('a file’s name has nothing in it that a shell or a folder could mind', () => {
    const now = new Date('2026-01-15T10:15:00.123Z');
    assert.equal(defaultName('shop', 0, 'cpuprofile', now), 'shop-slot0-20260115T101500Z.cpuprofile');
    assert.match(
      defaultName('../a b/$(x)', 3, 'heapsnapshot', now),
      /^[\w][\w.-]*-slot3-20260115T101500Z\.heapsnapshot$/,
    );
    assert.match(defaultName('...', 3, 'x', now), /^prefork-slot3-/);
  });
});

describe('INS-03 the file', () => {
  it('has its name once it is complete, and is its user’s alone', async (t) => {
    const cwd = folder(t);
    const output = openOutput('a.cpuprofile', cwd);
    await output.write(Buffer.from('abc'));
    assert.ok(!existsSync(join(cwd, 'a.cpuprofile')));
    output.finish();
    assert.deepEqual(readdirSync(cwd), ['a.cpuprofile']);
    assert.equal(readFileSync(join(cwd, 'a.cpuprofile'), 'utf8'), 'abc');
    assert.equal(statSync(join(cwd, 'a.cpuprofile')).mode & 0o777, 0o600);
  });

  it('that is abandoned was never there, and one that was there stays', async (t) => {
    const cwd = folder(t);
    writeFileSync(join(cwd, 'a'), 'precious');
    const output = openOutput('a', cwd);
    await output.write(Buffer.from('abc'));
    output.abandon();
    output.abandon();
    assert.deepEqual(readdirSync(cwd), ['a']);
    assert.equal(readFileSync(join(cwd, 'a'), 'utf8'), 'precious');
  });

  it('that cannot be written is refused at once', (t) => {
    const cwd = folder(t);
    mkdirSync(join(cwd, 'folder'));
    writeFileSync(join(cwd, 'file'), '');
    for (const [file, expected] of [
      ['folder', /it is a folder/],
      ['none/a', /its folder is not there/],
      ['file/a', /its folder is none/],
      ['x'.repeat(300), /too long/],
    ] as const)
      assert.throws(() => openOutput(file, cwd), expected);
    assert.deepEqual(readdirSync(cwd).sort(), ['file', 'folder']);
  });
});

describe('what is shown', () => {
  it('of requests', () => {
    assert.equal(renderRequests({ inFlight: 0, silent: [], requests: [] }), 'no request is in flight');
    const silent = [{ slot: 0, worker: 1, pid: 76 }];
    assert.deepEqual(renderRequests({ inFlight: 5, silent, requests: [request] }).split('\n'), [
      ' AGE  SLOT  METHOD  PHASE       URL',
      '3.2s     1  GET     in the app  /users/7?x=y (/users/:id)',
      '5 in flight, the oldest 1 are shown',
      'slot 0 (pid 76) does not answer: its event loop is blocked; prefork stack 0 shows where',
    ]);
  });

  it('of stacks', () => {
    assert.deepEqual(renderStacks([stack]).split('\n'), [
      'slot 1 (pid 77), ready, generation 1, its event loop is blocked for 3.6 s: it runs',
      '    at spin (/srv/app.js:1:2)',
      '  GET /users/7?x=y (/users/:id) for 3.2s, in the app',
    ]);
    const idle: ShownStack = { ...stack, state: 'waiting', stack: [], waitsFor: ['Timeout', 'Timeout'], requests: [] };
    assert.equal(
      renderStacks([{ ...idle, heartbeatAge: 0.2 }]),
      'slot 1 (pid 77), ready, generation 1: its event loop turns; it waits for 2 Timeout',
    );
    const unknown: ShownStack = {
      ...stack,
      slot: null,
      state: 'unknown',
      stack: [],
      problem: 'captures is off',
      requests: [],
    };
    assert.match(renderStacks([{ ...unknown, heartbeatAge: 0 }]), /^spare \(pid 77\).*not known: captures is off$/);
    assert.equal(renderStacks([]), 'there are no workers');
  });

  it('in top, as far as there is room', () => {
    const requests = Array.from({ length: 30 }, () => request);
    const shown = { inFlight: 30, silent: [], requests };
    assert.deepEqual(inFlightLines(null, 80, 20), []);
    assert.deepEqual(inFlightLines(shown, 80, 2), []);
    assert.equal(inFlightLines(shown, 80, 6).length, 6);
    assert.equal(inFlightLines(shown, 80, 60).length, 12);
    for (const line of inFlightLines(shown, 20, 60)) assert.ok(wordsOf(line).length <= 20);
    assert.equal(
      wordsOf(inFlightLines(shown, 80, 6)[2] ?? []),
      '  3.2s  slot 1  GET /users/7?x=y (/users/:id), in the app',
    );
  });

  it('is believed as far as it was checked', () => {
    const requests = { inFlight: 1, silent: [], requests: [request] };
    assert.deepEqual(checkRequests(requests, 'x'), requests);
    assert.deepEqual(checkStacks({ workers: [stack] }, 'x'), [stack]);
    for (const bad of [
      null,
      1,
      {},
      { ...requests, requests: [{ ...request, phase: 'x' }] },
      { ...requests, silent: [1] },
    ])
      assert.throws(() => checkRequests(bad, 'x'), /not as prefork does/);
    for (const bad of [null, {}, { workers: [{ ...stack, stack: [1] }] }, { workers: [{ ...stack, requests: [{}] }] }])
      assert.throws(() => checkStacks(bad, 'x'), /not as prefork does/);
  });
});
