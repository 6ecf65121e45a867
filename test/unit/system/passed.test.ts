/** Catalogue entry BIND-07: what a service manager passes, as its environment and the configuration name it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { passedSockets, withoutServiceManager } from '../../../src/system/passed.ts';
import { load, onlyProblem, project } from '../../support/config-harness.ts';

describe('BIND-07 the sockets a service manager passes', () => {
  it('are as many as LISTEN_FDS says, from fd 3 on, with the names of LISTEN_FDNAMES', () => {
    const env = { LISTEN_PID: '77', LISTEN_FDS: '3', LISTEN_FDNAMES: 'http:unknown:' };
    assert.deepEqual(passedSockets(env, 77), [
      { fd: 3, name: 'http' },
      { fd: 4, name: null },
      { fd: 5, name: null },
    ]);
    assert.deepEqual(passedSockets({ LISTEN_PID: '77', LISTEN_FDS: '1' }, 77), [{ fd: 3, name: null }]);
  });

  it('are not taken where they are meant for another process, or make no sense', () => {
    const cases = [
      {},
      { LISTEN_FDS: '1' },
      { LISTEN_PID: '78', LISTEN_FDS: '1' },
      { LISTEN_PID: '77' },
      ...['', '-1', '1.5', 'x', '99999'].map((LISTEN_FDS) => ({ LISTEN_PID: '77', LISTEN_FDS })),
    ];
    for (const env of cases) assert.deepEqual(passedSockets(env, 77), [], JSON.stringify(env));
  });

  it('are the addresses where bind is not set, and are not where it is', async (t) => {
    const passed = [
      { fd: 3, name: 'http' },
      { fd: 4, name: null },
    ];
    const folder = project(t);
    assert.deepEqual((await load(folder, { passed })).bind, [
      { kind: 'fd', fd: 3 },
      { kind: 'fd', fd: 4 },
    ]);
    const flags = { app: 'app.cjs', bind: ['127.0.0.1:1', 'fd://4'] };
    assert.deepEqual((await load(folder, { passed, flags })).bind, [
      { kind: 'tcp', host: '127.0.0.1', port: 1 },
      { kind: 'fd', fd: 4 },
    ]);
  });

  it('can be named, one or all that share a name; a name that nobody has is a problem of bind', async (t) => {
    const passed = [
      { fd: 3, name: 'web.socket' },
      { fd: 4, name: 'other' },
      { fd: 5, name: 'web.socket' },
    ];
    const folder = project(t);
    const flags = { app: 'app.cjs', bind: ['fd://web.socket'] };
    assert.deepEqual((await load(folder, { passed, flags })).bind, [
      { kind: 'fd', fd: 3 },
      { kind: 'fd', fd: 5 },
    ]);
    assert.equal(
      await onlyProblem(folder, { passed, flags: { app: 'app.cjs', bind: ['fd://wbe'] } }),
      'command line: bind: expected the name of a socket that the service manager passes, got "wbe"; there is fd://web.socket, fd://other',
    );
    assert.match(await onlyProblem(folder, { flags }), /"web\.socket"; none with a name was passed$/);
  });

  it('SDN-04: their variables, and those of notification, are taken out of an environment', () => {
    const env = { LISTEN_FDS: '1', LISTEN_PID: '1', LISTEN_FDNAMES: 'a', NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '1' };
    assert.deepEqual(withoutServiceManager({ ...env, WATCHDOG_PID: '1', LISTEN: 'x', PATH: '/bin' }), {
      LISTEN: 'x',
      PATH: '/bin',
    });
  });
});
