/** The loops over the claims, and the two claims that are addresses: as two masters of one service see them. */
import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import type { Address } from '../../../../src/config/address.ts';
import type { Settings } from '../../../../src/config/resolved.ts';
import { BindError } from '../../../../src/errors.ts';
import { AdminAddress } from '../../../../src/master/claims/admin-address.ts';
import type { Claim, ClaimsBequest } from '../../../../src/master/claims/claim.ts';
import { Claims } from '../../../../src/master/claims/claims.ts';
import { ControlSocket } from '../../../../src/master/claims/control-socket.ts';
import { UnixHttp } from '../../../../src/master/claims/unix-http.ts';
import { ok, type Route } from '../../../../src/master/operator/route.ts';

const logger = () => pino({ level: 'silent' });

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'prefork-claims-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function routes(name: string): Route[] {
  return [{ method: 'GET', path: '/', handle: () => ok(name) }];
}

/** @returns the name of the master that answers */
async function answerOf(where: { readonly socketPath: string } | { readonly port: number }): Promise<unknown> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ ...where, path: '/', agent: false }, resolve)
      .once('error', reject)
      .end();
  });
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return JSON.parse(text);
}

describe('the list of claims', () => {
  const claim = (name: string, calls: string[], fails: () => boolean = () => false): Claim => {
    const call = (method: string) => () => {
      calls.push(`${name} ${method}`);
      if (fails()) throw new BindError(name, 'EIO', `${name} fails`);
    };
    return {
      ensure: call('ensure'),
      takeOver: call('takeOver'),
      yield: (pid) => calls.push(`${name} yield ${pid}`),
      release: () => void calls.push(`${name} release`),
      bequest: () => (name === 'b' ? { control: '/b' } : {}),
    };
  };

  it('is gone through in order, one time after the other; its end is at once', async () => {
    const calls: string[] = [];
    const claims = new Claims([claim('a', calls), claim('b', calls)], logger);
    await Promise.all([claims.ensure(), claims.takeOver()]);
    claims.yield(7);
    assert.deepEqual(claims.bequest(), { admin: null, adminAddress: null, control: '/b' });
    const released = claims.release();
    assert.deepEqual(calls.splice(0), [
      ...['a ensure', 'b ensure', 'a takeOver', 'b takeOver', 'a yield 7', 'b yield 7', 'a release', 'b release'],
    ]);
    await released;
    await claims.ensure();
    assert.deepEqual(calls, [], 'nothing is taken after the end');
  });

  it('at the start a problem is thrown; later it is logged, once as long as it lasts, and the others go on', async () => {
    const calls: string[] = [];
    const lines: string[] = [];
    let isBroken = true;
    const log = pino({}, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) });
    const claims = new Claims([claim('a', calls, () => isBroken), claim('b', calls)], () => log);
    await assert.rejects(claims.ensure(), /a fails/);
    assert.deepEqual(calls, ['a ensure']);
    for (const broken of [true, true, false, true]) {
      isBroken = broken;
      await claims.keep();
    }
    assert.deepEqual(lines, ['a fails', 'a fails']);
    assert.equal(calls.filter((call) => call === 'b ensure').length, 4);
  });
});

describe('an address of one master', () => {
  const open = (t: TestContext, name: string): UnixHttp => {
    const http = new UnixHttp({
      setting: 'test',
      routes: routes(name),
      onError: (error) => assert.fail(String(error)),
    });
    t.after(() => http.close());
    return http;
  };

  it('a path is replaced at once, and is left to the one that has replaced it', async (t) => {
    const path = join(folder(t), 's');
    const [first, second] = [open(t, 'first'), open(t, 'second')];
    await first.open({ kind: 'unix', path }, { replaces: false });
    await assert.rejects(second.open({ kind: 'unix', path }, { replaces: false }), BindError);
    assert.ok(first.isThere);
    await second.open({ kind: 'unix', path }, { replaces: true });
    assert.deepEqual([first.isThere, second.isThere], [false, true]);
    first.retire();
    assert.equal(await answerOf({ socketPath: path }), 'second');
    second.close();
    assert.deepEqual(readdirSync(join(path, '..')), []);
  });

  it('one that is closed while it is opened leaves nothing behind', async (t) => {
    const path = join(folder(t), 's');
    const http = open(t, 'x');
    const opening = http.open({ kind: 'unix', path }, { replaces: false });
    http.close();
    assert.equal(await opening, false);
    assert.deepEqual([http.isThere, readdirSync(join(path, '..'))], [false, []]);
  });

  it('a path that is too long is refused, for either setting', async (t) => {
    const path = join(folder(t), 'x'.repeat(120));
    await assert.rejects(open(t, 'x').open({ kind: 'unix', path }, { replaces: true }), /test: .* longer than the 107/);
  });
});

describe('UPG-01 two masters of one service', () => {
  const control = (path: string, name: string, predecessor: ClaimsBequest | null): ControlSocket =>
    new ControlSocket({
      routes: routes(name),
      settings: () => ({ name, controlSocket: { kind: 'path', path, isDefault: false } }) as Settings,
      env: { XDG_RUNTIME_DIR: join(path, '..') },
      predecessor,
      logger,
    });
  const admin = (address: Address, name: string, predecessor: ClaimsBequest | null): AdminAddress =>
    new AdminAddress({ routes: routes(name), address: () => address, names: () => [], predecessor, logger });
  const bequestOf = (...claims: Claim[]): ClaimsBequest => new Claims(claims, logger).bequest();

  it('the control socket is of the first until the second takes over; if that one is gone, it is of the first again', async (t) => {
    const path = join(folder(t), 's');
    const old = control(path, 'old', null);
    await old.ensure();
    const successor = control(path, 'new', bequestOf(old));
    t.after(() => {
      successor.release();
      old.release();
    });
    await successor.ensure();
    assert.equal(await answerOf({ socketPath: path }), 'old');
    await successor.takeOver();
    assert.equal(await answerOf({ socketPath: path }), 'new');
    const { ino } = lstatSync(path);
    old.yield();
    await old.ensure();
    assert.equal(lstatSync(path).ino, ino, 'what the other one has is left alone');
    await old.takeOver();
    assert.equal(await answerOf({ socketPath: path }), 'old');
    successor.release();
    assert.equal(await answerOf({ socketPath: path }), 'old');
  });

  it('a control socket elsewhere is there at once, and one whose file was removed comes back', async (t) => {
    const dir = folder(t);
    const old = control(join(dir, 'old'), 'old', null);
    await old.ensure();
    const successor = control(join(dir, 'new'), 'new', bequestOf(old));
    t.after(() => {
      successor.release();
      old.release();
    });
    await successor.ensure();
    rmSync(join(dir, 'old'));
    await old.ensure();
    assert.equal(await answerOf({ socketPath: join(dir, 'old') }), 'old');
    assert.equal(await answerOf({ socketPath: join(dir, 'new') }), 'new');
  });

  it('the socket of an admin address passes to the second; a path is taken by its name', async (t) => {
    const path = join(folder(t), 's');
    const unix = { kind: 'unix', path } as const;
    const old = admin(unix, 'old', null);
    await old.ensure();
    const bequest = bequestOf(old);
    assert.deepEqual([bequest.admin, bequest.adminAddress], [null, JSON.stringify(unix)]);
    const successor = admin(unix, 'new', bequest);
    t.after(() => {
      successor.release();
      old.release();
    });
    await successor.ensure();
    assert.equal(await answerOf({ socketPath: path }), 'old');
    await successor.takeOver();
    old.yield();
    await old.ensure();
    assert.equal(await answerOf({ socketPath: path }), 'new');

    const tcp = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
    const served = admin(tcp, 'old', null);
    t.after(() => served.release());
    await served.ensure();
    const passed = bequestOf(served);
    assert.equal(passed.admin?.address, JSON.stringify(tcp));
    assert.ok((passed.admin?.fd ?? 0) > 2);
    served.yield();
    assert.deepEqual(bequestOf(served), { admin: null, adminAddress: null, control: null });
  });
});
