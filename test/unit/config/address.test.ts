/** Addresses as people write them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Address } from '../../../src/config/address.ts';
import { load, onlyProblem, project } from '../../support/config-harness.ts';

const tcp = (host: string, port: number): Address => ({ kind: 'tcp', host, port });

async function bindOf(cwd: string, ...bind: string[]): Promise<readonly Address[]> {
  return (await load(cwd, { flags: { app: 'app.cjs', bind } })).bind;
}

describe('bind', () => {
  const accepted: readonly (readonly [string, Address])[] = [
    ['127.0.0.1:8000', tcp('127.0.0.1', 8000)],
    ['0.0.0.0:0', tcp('0.0.0.0', 0)],
    [':8000', tcp('0.0.0.0', 8000)],
    ['8000', tcp('0.0.0.0', 8000)],
    ['65535', tcp('0.0.0.0', 65_535)],
    ['[::1]:8000', tcp('::1', 8000)],
    ['[::]:80', tcp('::', 80)],
    ['localhost:8000', tcp('localhost', 8000)],
    ['api.example.org:443', tcp('api.example.org', 443)],
    ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
    ['unix:///run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
    ['fd://3', { kind: 'fd', fd: 3 }],
  ];
  for (const [text, address] of accepted) {
    it(`takes ${text}`, async (t) => {
      assert.deepEqual(await bindOf(project(t), text), [address]);
    });
  }

  it('takes several, in their order', async (t) => {
    const bind = await bindOf(project(t), '[::1]:1', 'unix:/a', '127.0.0.1:2');
    assert.deepEqual(bind, [tcp('::1', 1), { kind: 'unix', path: '/a' }, tcp('127.0.0.1', 2)]);
  });

  it('takes port 0 several times: each is a port of its own', async (t) => {
    assert.equal((await bindOf(project(t), '127.0.0.1:0', '127.0.0.1:0')).length, 2);
  });

  it('SOCK-06 a relative socket path is meant from the working directory', async (t) => {
    const cwd = project(t);
    assert.deepEqual(await bindOf(cwd, 'unix:run/app.sock'), [{ kind: 'unix', path: `${cwd}/run/app.sock` }]);
  });

  it('SOCK-06 a socket path has at most 107 bytes, counted as bytes', async (t) => {
    const cwd = project(t);
    const longest = `/${'x'.repeat(106)}`;
    assert.deepEqual(await bindOf(cwd, `unix:${longest}`), [{ kind: 'unix', path: longest }]);
    for (const path of [`${longest}x`, `/${'é'.repeat(54)}`]) {
      const problem = await onlyProblem(cwd, { flags: { app: 'app.cjs', bind: [`unix:${path}`] } });
      assert.match(problem, /bind: expected a path of at most 107 bytes/);
    }
  });

  const refused = [
    '',
    ':',
    'localhost',
    ':65536',
    '999999',
    '-1',
    '1.5',
    '::1:80',
    '[::1]',
    '[::1]80',
    '[127.0.0.1]:80',
  ];
  refused.push(
    'http://localhost:80',
    'a b:80',
    'a/b:80',
    'unix:',
    'fd://',
    'fd://0',
    'fd://x',
    ' 8000',
    '8000\n',
    '1e3',
  );
  for (const text of refused) {
    it(`BIND-02 refuses ${JSON.stringify(text)}`, async (t) => {
      const problem = await onlyProblem(project(t), { flags: { app: 'app.cjs', bind: [text] } });
      assert.match(problem, /^command line: bind: expected /);
    });
  }
});
