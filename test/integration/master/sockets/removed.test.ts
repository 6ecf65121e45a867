/** What a cleaner of temporary files removes while the service runs. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '../../../support/command.ts';
import { assertClean } from '../../../support/invariants.ts';
import { type Service, slowRequest, startService as start } from '../../../support/masters.ts';
import { request, requestJson } from '../../../support/request.ts';
import { stretched } from '../../../support/slowness.ts';
import { until } from '../../../support/until.ts';

const timeout = stretched(120_000);
const answer = async ({ s }: Service) => (await request(s.target, '/pid', { timeout: 10_000 })).status;
const nothingIn = (dir: string) => readdirSync(dir).filter((name) => /^\.[0-9a-f]{8}$/.test(name));

async function stop({ s, masters }: Service): Promise<void> {
  await masters.stop();
  await assertClean(s, {
    gone: [join(s.dir, 'app.sock'), masters.pidfile, join(s.dir, 'app.ctl')],
    allow: /removed|in its place|failed, nothing was changed/,
  });
}

describe('SOCK-08 what was removed', { timeout }, () => {
  it('comes back by itself: socket, pidfile and control socket; requests in flight are answered', async (t) => {
    const service = await start(t, { unix: true });
    const { s, masters } = service;
    const [path, control] = [join(s.dir, 'app.sock'), join(s.dir, 'app.ctl')];
    const mode = statSync(path).mode;
    const slow = await slowRequest(service, 6_500);
    for (const each of [path, masters.pidfile, control]) rmSync(each);
    await s.waitForLog(/app\.sock was removed by somebody; it is there again/, { within: 30_000 });
    assert.equal(statSync(path).mode, mode);
    assert.equal(await answer(service), 200);
    await until('the pidfile and the control socket', () => existsSync(masters.pidfile) && existsSync(control), {
      within: 30_000,
    });
    assert.equal(masters.pid(), s.pid);
    await slow.answered;
    assert.deepEqual(nothingIn(s.dir), []);
    // A second time, and a third one.
    for (let i = 0; i < 2; i += 1) {
      const since = s.log.length;
      rmSync(path);
      await s.waitForLog(/app\.sock was removed by somebody/, { within: 30_000, since });
      assert.equal(await answer(service), 200);
    }
    await stop(service);
  });

  it('comes back at a reload at the latest, and after an upgrade', async (t) => {
    const service = await start(t, { unix: true });
    const { s, masters } = service;
    rmSync(join(s.dir, 'app.sock'));
    rmSync(masters.pidfile);
    assert.match((await s.reload()).msg, /done/);
    assert.equal(await answer(service), 200);
    assert.equal(masters.pid(), s.pid);
    rmSync(join(s.dir, 'app.sock'));
    await masters.upgrade();
    await until(
      'an answer',
      () =>
        answer(service)
          .then((status) => status === 200)
          .catch(() => false),
      {
        within: 30_000,
      },
    );
    await masters.upgrade();
    assert.equal(await answer(service), 200);
    await stop(service);
  });

  it('and has something else in its place: that is left alone, the status says so, and a reload fails', async (t) => {
    const service = await start(t, { unix: true });
    const { s, masters } = service;
    const path = join(s.dir, 'app.sock');
    rmSync(path);
    writeFileSync(path, 'mine');
    assert.match(
      (await s.reload()).msg,
      /failed, nothing was changed: .*app\.sock was removed, and something else is in its place/,
    );
    assert.equal(readFileSync(path, 'utf8'), 'mine');
    const status = (await requestJson({ socketPath: join(s.dir, 'app.ctl') }, '/status')) as {
      listeners: { problem?: string }[];
    };
    assert.match(status.listeners[0]?.problem ?? '', /something else is in its place/);
    const { stdout } = await runCommand(['status', '--socket', join(s.dir, 'app.ctl')]);
    assert.match(stdout, /unreachable: /);
    rmSync(path);
    assert.match((await s.reload()).msg, /done/);
    assert.equal(await answer(service), 200);
    rmSync(masters.pidfile);
    writeFileSync(masters.pidfile, 'a note');
    assert.match((await s.reload()).msg, /failed, nothing was changed: .*pidfile .* is in its place/);
    assert.equal(readFileSync(masters.pidfile, 'utf8'), 'a note');
    rmSync(masters.pidfile);
    assert.match((await s.reload()).msg, /done/);
    assert.equal(masters.pid(), s.pid);
    await stop(service);
  });
});
