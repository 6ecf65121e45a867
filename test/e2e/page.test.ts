/** The live page in a real browser: what it shows, what it asks for, and that it can be used by keyboard and on a phone. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Timeline as TimelineClass } from '../../src/master/log/timeline.ts';
import type { Events as EventsClass } from '../../src/master/operator/events.ts';
import type { ControlHttp as ControlHttpClass } from '../../src/master/operator/http.ts';
import { statusRow } from '../../src/protocol/figures-row.ts';
import type { Status, WorkerStatus } from '../../src/protocol/status.ts';
import { type Look, type Page, startBrowser, withoutBrowser } from '../support/browser.ts';
import { startLoad } from '../support/load/child.ts';
import { root } from '../support/paths.ts';
import { head, RawSocket } from '../support/raw.ts';
import { freePort, request } from '../support/request.ts';
import { stretched } from '../support/slowness.ts';
import { startSupervisor } from '../support/supervisor.ts';
import { pause, until } from '../support/until.ts';

const skip = withoutBrowser();
const looks: Readonly<Record<string, Look>> = {
  light: { width: 1_280, height: 900 },
  dark: { width: 1_280, height: 900, scheme: 'dark' },
  phone: { width: 360, height: 740, mobile: true },
};
/** To be looked at by a person; not kept in the repository. */
const shots = join(root, '.cache/screenshots');

const rows = (page: Page): Promise<number> => page.evaluate<number>(`document.querySelectorAll('#rows > tr').length`);
const textOf = (page: Page, selector: string): Promise<string> =>
  page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`);

async function open(page: Page, port: number, look: Look = { width: 1_280, height: 900 }): Promise<void> {
  await page.look(look);
  await page.open(`http://127.0.0.1:${port}/`);
  await until('the page to be live', async () => (await rows(page)) > 0, { within: 30_000 });
}

/** What a page may not do: ask anybody else, complain, or be wider than its window. */
async function assertGood(page: Page, port: number): Promise<void> {
  assert.deepEqual(page.complaints, []);
  const elsewhere = page.requested.filter(
    (url) => !url.startsWith(`http://127.0.0.1:${port}/`) && !url.startsWith('data:'),
  );
  assert.deepEqual(elsewhere, []);
  const [wide, window] = await page.evaluate<[number, number]>('[document.documentElement.scrollWidth, innerWidth]');
  assert.ok(wide <= window, `${wide} px in a window of ${window}`);
}

describe('the page', { skip, timeout: stretched(180_000) }, () => {
  it('is one document that follows a reload, a crash, a stuck worker and a change of scale', async (t) => {
    const port = await freePort();
    const s = await startSupervisor(t, {
      workers: 4,
      args: ['--admin', `127.0.0.1:${port}`, '--timeout', `${stretched(3_000)}ms`],
    });
    await s.waitReady(30_000);
    const page = await startBrowser(t);
    await open(page, port);
    await until('four workers', async () => (await rows(page)) === 4, { within: 15_000 });
    const load = startLoad(t, { target: s.target, groups: [{ kind: 'idle', clients: 4 }] });
    await load.answered(50);
    const entries = (): Promise<string> => textOf(page, '#entries');
    const told = (what: RegExp): Promise<unknown> =>
      until(`${String(what)} in the timeline`, async () => what.test(await entries()), { within: 30_000 });

    await s.reload();
    await told(/reload 1 done/i);
    const [victim = 0] = await s.waitWorkers(4);
    process.kill(victim, 'SIGKILL');
    await told(/exited unasked/i);
    s.signal('SIGTTIN');
    await told(/4 -> 5/);
    await until('five workers', async () => (await rows(page)) === 5, { within: 20_000 });
    RawSocket.open(s.target).write(head('/spin-forever'));
    await told(/stuck/i);
    const stacks = `[...document.querySelectorAll('#entries details, #entries pre')].map((e) => e.textContent).join()`;
    await until('the stack', async () => (await page.evaluate<string>(stacks)).includes('spinForever'), {
      within: 20_000,
    });
    await load.stop();
    await assertGood(page, port);
    const asked = page.requested.map((url) => new URL(url).pathname);
    assert.deepEqual([...new Set(asked)].sort(), ['/', '/events'], 'it is one document and one stream');
    mkdirSync(shots, { recursive: true });
    await page.screenshot(join(shots, 'service.png'), true);

    // It says so where the service is gone, and recovers by itself where it is back.
    await s.stop();
    await until('the loss to be told', async () => !/^live$/i.test(await textOf(page, '#link')), { within: 20_000 });
  });

  it('never makes markup of what it shows', async (t) => {
    const evil = '<img src=x onerror=alert(1)><script>document.title="hacked"</script>';
    const { port, timeline } = await serveFake(t, 3, evil);
    timeline.add({ kind: 'crash', level: 'error', text: evil, stack: [`at ${evil}`] });
    const page = await startBrowser(t);
    await open(page, port);
    await until('the text', async () => (await textOf(page, '#entries')).includes('<img src=x'), { within: 10_000 });
    assert.equal(await page.evaluate<number>(`document.querySelectorAll('img, #entries script').length`), 0);
    assert.ok(!(await page.evaluate<string>('document.title')).startsWith('hacked'));
    await assertGood(page, port);
  });

  for (const workers of [10, 200]) {
    it(`is clear with ${workers} workers, light, dark, and on a phone`, async (t) => {
      const { port, timeline } = await serveFake(t, workers);
      timeline.add({ kind: 'reload', level: 'info', text: 'reload 1 done in 2.10 s: generation 2 serves' });
      timeline.add({
        kind: 'stuck',
        level: 'error',
        text: "worker's event loop is blocked for 15.0 s at price (src/price.ts:41:7)",
        stack: ['at price (src/price.ts:41:7)', 'at quote (src/quote.ts:12:3)'],
      });
      const page = await startBrowser(t);
      mkdirSync(shots, { recursive: true });
      for (const [name, look] of Object.entries(looks)) {
        page.requested.length = 0;
        await open(page, port, look);
        await pause(3_000);
        await assertGood(page, port);
        await page.screenshot(join(shots, `${workers}-${name}.png`), true);
        const tiles = await page.evaluate<number>(`document.querySelectorAll('#pool > *').length`);
        assert.equal(tiles, workers, name);
        // On a phone a row is a card, and each figure stands away from its title, those of wide screens too.
        const layouts = await page.evaluate<string[]>(
          `[...new Set([...document.querySelectorAll('#rows td')].map((cell) => getComputedStyle(cell).display))]`,
        );
        if (name === 'phone') assert.deepEqual(layouts, ['flex']);
      }
    });
  }

  it('can be used by keyboard', async (t) => {
    const { port } = await serveFake(t, 10);
    const page = await startBrowser(t);
    await open(page, port);
    const focused = (): Promise<string> =>
      page.evaluate<string>(`document.activeElement?.id || document.activeElement?.className || ''`);
    await page.press('Tab');
    assert.equal(await focused(), 'skip');
    const seen = new Set<string>();
    for (let press = 0; press < 60 && !seen.has('kinds'); press++) {
      await page.press('Tab');
      seen.add(await focused());
    }
    for (const id of ['pause', 'filter', 'sort', 'kinds']) assert.ok(seen.has(id), `${id} among ${[...seen].join()}`);
  });

  it('is for local eyes: a foreign Host or Origin gets nothing, and it takes no other method', async (t) => {
    const { port } = await serveFake(t, 1);
    const get = (headers: Readonly<Record<string, string>>, method = 'GET') =>
      request({ port }, '/', { headers, method });
    assert.equal((await get({ host: 'evil.example' })).status, 421);
    assert.equal((await get({ origin: 'http://evil.example' })).status, 403);
    assert.equal((await get({}, 'POST')).status, 405);
    const { headers, body } = await get({});
    assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'sha256-/);
    assert.doesNotMatch(body, /(?:src|href)="(?!data:|#)/, 'nothing else is asked for');
  });
});

/** The admin interface of a service that does not exist. */
async function serveFake(
  t: TestContext,
  count: number,
  name = 'shop',
): Promise<{ port: number; timeline: TimelineClass }> {
  const built = async <T>(path: string): Promise<T> => (await import(join(root, 'dist', path))) as T;
  const { ControlHttp } = await built<{ ControlHttp: typeof ControlHttpClass }>('master/operator/http.js');
  const { Events } = await built<{ Events: typeof EventsClass }>('master/operator/events.js');
  const { Timeline } = await built<{ Timeline: typeof TimelineClass }>('master/log/timeline.js');
  const { pageRoutes } = await built<typeof import('../../src/master/operator/page.ts')>('master/operator/page.js');
  const { viewsOf } = await built<typeof import('../../src/master/operator/views.ts')>('master/operator/views.js');
  const timeline = new Timeline();
  const status = (): Status => fakeStatus(count, name);
  const events = new Events({ status, timeline, every: 500 });
  const http = new ControlHttp({
    routes: [...pageRoutes(), ...viewsOf(status, events, () => Promise.resolve({ type: 'text/plain', text: '' }))],
    reach: 'network',
    onError: (error) => assert.fail(String(error)),
  });
  const port = await freePort();
  await http.listen({ host: '127.0.0.1', port });
  t.after(() => {
    events.end();
    http.close();
  });
  return { port, timeline };
}

function fakeStatus(count: number, name: string): Status {
  const now = performance.now() / 1_000;
  const wave = (slot: number, step: number): number => (1 + Math.sin(now / step + slot)) / 2;
  const workers = Array.from({ length: count }, (_, slot): WorkerStatus => {
    const phase: WorkerStatus['phase'] = slot % 17 === 5 ? 'booting' : slot % 23 === 7 ? 'draining' : 'ready';
    const facts = {
      ...{
        slot,
        id: slot + 1,
        pid: 4_000 + slot,
        generation: slot % 23 === 7 ? 6 : 7,
        phase,
        reason: phase === 'draining' ? 'reload' : null,
      },
      ...{ uptime: 3_600 + slot * 60, heartbeatAge: 0.3, restarts: slot % 5 },
      requestsPerSecond: Math.round(wave(slot, 5) * 4_000) / 10,
    };
    const figures = {
      ...{ requests: 120_000 + slot * 999, inFlight: Math.round(wave(slot, 3) * 12) },
      ...{ latencyP50: 2 + wave(slot, 4), latencyP99: 20 + 30 * wave(slot, 7) },
      ...{
        connections: Math.round(wave(slot, 9) * 80),
        rss: 9e7 + wave(slot, 11) * 4e7,
        heapUsed: 3e7 + wave(slot, 2) * 2e7,
      },
      ...{
        loopDelayP99: wave(slot, 6) * 12,
        loopUtilisation: wave(slot, 8) * 0.8,
        cpu: wave(slot, 8) * 0.7,
      },
    };
    return statusRow(facts, figures);
  });
  const ready = workers.filter(({ phase }) => phase === 'ready').length;
  return {
    ...{
      version: 1,
      prefork: '0.1.0',
      node: process.version,
      name,
      pid: 3_999,
      uptime: 86_400,
      generation: 7,
      state: 'reloading',
    },
    ...{ health: 'healthy', app: '/srv/shop/current/server.js', wanted: count, ready },
    reload: {
      running: { reload: 8, step: 'rolling', uptime: 4 },
      last: { verdict: 'completed', reload: 7, generation: 7, reason: null, duration: 3.2 },
    },
    upgrade: { running: null, last: null },
    listeners: [{ address: '0.0.0.0:8000', queues: 1, backlog: 2_048, waiting: 3 }],
    workers,
  } as unknown as Status;
}
