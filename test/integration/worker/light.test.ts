/**
 * What a worker loads beside what the app does: next to nothing. The same app under plain node and as a worker; what is
 * compared is what is loaded, which does not depend on the machine. On every version of Node, which differ in what loads what.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { placeOwn } from '../../../src/worker/loading/describe-error.ts';
import { fixture, fromRoot } from '../../support/paths.ts';
import { request } from '../../support/request.ts';
import { type Supervisor, startSupervisor } from '../../support/supervisor.ts';
import { until } from '../../support/until.ts';

const app = fixture('light/app.cjs');
const agent = fromRoot('dist/worker/agent.cjs');

/**
 * Node's public modules that a worker loads for itself: node:cluster's channel to the master brings `v8` on Node 20, the
 * heartbeat needs `perf_hooks`, and the stack of a blocked worker `inspector`, which brings `worker_threads`.
 */
const allowed = ['inspector', 'module', 'perf_hooks', 'v8', 'worker_threads'];

/** Public modules in a list as `process.moduleLoadList` has them. */
function publicModules(list: readonly string[]): string[] {
  return list.flatMap((entry) => /^NativeModule ((?!internal\/|_).*)$/.exec(entry)?.[1] ?? []).sort();
}

function underPlainNode(): string[] {
  const { stderr } = spawnSync(process.execPath, [app, 'print'], { encoding: 'utf8', env: { PATH: process.env.PATH } });
  return JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as string[];
}

async function idle(t: TestContext, args: readonly string[]): Promise<Supervisor> {
  const s = await (await startSupervisor(t, { app, workers: 1, args })).waitReady();
  // What heartbeats need is loaded by then: there are two a second.
  await until('a few heartbeats', async () => Number(await told(s, '/uptime')) > 2);
  return s;
}

async function told(s: Supervisor, path: string): Promise<unknown> {
  return JSON.parse((await request(s.target, path)).body);
}

async function extra(t: TestContext, args: readonly string[]): Promise<string[]> {
  const s = await idle(t, args);
  const before = new Set(publicModules(underPlainNode()));
  const loaded = publicModules((await told(s, '/builtins')) as string[]);
  assert.ok(loaded.includes('http') && before.has('http'), 'the lists are lists');
  return loaded.filter((name) => !before.has(name));
}

describe('a worker is light', () => {
  for (const args of [[], ['--no-metrics']]) {
    it(`loads none of Node's modules that an idle app has no use for ${args.join('')}`, async (t) => {
      assert.deepEqual(
        (await extra(t, args)).filter((name) => !allowed.includes(name)),
        [],
      );
    });
  }

  it('loads no file of prefork but the agent, which is one', async (t) => {
    const s = await idle(t, []);
    const files = (await told(s, '/files')) as string[];
    assert.deepEqual(
      files.filter((path) => path !== app),
      [agent],
    );
  });

  it('names its source in its own stacks', () => {
    const lines = readFileSync(agent, 'utf8').split('\n');
    // An error that is thrown for certain, wherever the bundler has put it.
    const line = lines.findIndex((text) => text.includes('process._send is missing'));
    const column = (lines[line] ?? '').indexOf('process._send is missing');
    assert.ok(line >= 0);
    const stack = `Error: x\n    at f (${agent}:${line + 1}:${column + 1})\n    at g (/elsewhere/app.js:1:2)`;
    const placed = placeOwn(stack, agent);
    assert.match(
      placed,
      /at f \(.*\/src\/system\/node-internals\.ts:\d+:\d+\)\n {4}at g \(\/elsewhere\/app\.js:1:2\)$/,
    );
    const [, at = ''] = /node-internals\.ts:(\d+)/.exec(placed) ?? [];
    const source = readFileSync(fromRoot('src/system/node-internals.ts'), 'utf8').split('\n');
    assert.match(source[Number(at) - 1] ?? '', /process\._send is missing/);
  });
});
