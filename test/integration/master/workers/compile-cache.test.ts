/** Workers share what V8 has compiled: the second one finds what the first has kept, and the app sees nothing of it. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { supportsCompileCache } from '../../../../src/master/workers/compile-cache.ts';
import { project } from '../../../support/config-harness.ts';
import { fixture } from '../../../support/paths.ts';
import { request } from '../../../support/request.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const app = fixture('light/app.cjs');
const skip = supportsCompileCache() ? false : 'this Node has no compile cache';

interface Seen {
  readonly folder: string | null;
  readonly variable: string | null;
  readonly slot: number;
}

async function start(t: TestContext, options: SupervisorOptions): Promise<Supervisor> {
  return await (await startSupervisor(t, { app, workers: 2, ...options })).waitReady();
}

async function ask(s: Supervisor): Promise<Seen> {
  return JSON.parse((await request(s.target, '/cache')).body) as Seen;
}

/** What a worker of this slot sees. */
async function seenIn(s: Supervisor, slot: number): Promise<Seen> {
  return await until(`an answer of slot ${slot}`, async () => {
    const seen = await ask(s);
    return seen.slot === slot ? seen : null;
  });
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' });
}

describe('compiled code', { skip }, () => {
  it('is kept by the first worker as soon as it is ready, and shared by those that come later', async (t) => {
    const base = join(project(t), 'cache');
    const s = await start(t, { args: ['--compile-cache', base] });
    const [release = ''] = readdirSync(base);
    // The app, and the agent.
    const kept = filesIn(join(base, release)).filter((name) => name.includes('/'));
    assert.ok(kept.length >= 2, kept.join(' '));
    assert.match((await seenIn(s, 0)).folder ?? '', new RegExp(`^${base}/`));
    assert.equal((await seenIn(s, 1)).folder, null, 'there was nothing to share when it was started');
    await s.reload();
    for (const slot of [0, 1]) {
      const { folder, variable } = await seenIn(s, slot);
      assert.match(folder ?? '', new RegExp(`^${base}/${release}/${process.version}-`), `slot ${slot}`);
      assert.equal(variable, null, 'what the app starts is left alone');
    }
    await s.stop();
  });

  it('goes when no worker has used it for a month', async (t) => {
    const base = join(project(t), 'cache');
    const [old, recent] = [join(base, 'old-release'), join(base, 'recent-release')];
    for (const folder of [old, recent]) mkdirSync(join(folder, 'v20'), { recursive: true });
    const at = Date.now() / 1_000;
    utimesSync(old, at, at - 31 * 86_400);
    utimesSync(recent, at, at - 29 * 86_400);
    const s = await start(t, { args: ['--compile-cache', base] });
    await until('the old one to be gone', () => !existsSync(old));
    assert.ok(existsSync(recent));
    await s.stop();
  });

  it('is left to the operator who sets NODE_COMPILE_CACHE, or turns it off', async (t) => {
    const folder = project(t);
    const own = await start(t, { env: { NODE_COMPILE_CACHE: folder } });
    const seen = await ask(own);
    assert.equal(seen.variable, folder);
    assert.ok(seen.folder?.startsWith(folder), String(seen.folder));
    await own.stop();
    const off = await start(t, { args: ['--compile-cache', 'none'] });
    assert.deepEqual({ ...(await ask(off)), slot: 0 }, { folder: null, variable: null, slot: 0 });
    await off.stop();
  });
});

describe('a folder for compiled code that cannot be used', () => {
  it('is done without', async (t) => {
    const place = join(project(t), 'file');
    writeFileSync(place, '');
    const s = await start(t, { args: ['--compile-cache', place] });
    assert.deepEqual({ ...(await ask(s)), slot: 0 }, { folder: null, variable: null, slot: 0 });
    if (supportsCompileCache()) {
      assert.ok(
        s.log.some(({ msg }) => /^compileCache is not used: .* is no folder/.test(msg)),
        s.describe(),
      );
    }
    await s.stop();
  });
});
