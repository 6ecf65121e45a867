/** The line of the app that an error comes from. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { appFrame, frameOf } from '../../../../src/worker/dying/app-frame.ts';

function thrown(...frames: readonly string[]): Error {
  return Object.assign(new Error('x'), { stack: ['Error: x', ...frames.map((frame) => `    at ${frame}`)].join('\n') });
}

describe("the app's own line", () => {
  for (const [title, frames, expected] of [
    ['the innermost', ['checkout (/srv/src/cart.ts:41:7)', 'run (/srv/main.ts:1:1)'], 'checkout (src/cart.ts:41:7)'],
    ["not Node's", ['Socket.emit (node:events:1:2)', 'new Cart (file:///srv/cart.mjs:4:5)'], 'new Cart (cart.mjs:4:5)'],
    [
      "not a package's that the app called",
      ['parse (/srv/node_modules/qs/lib/parse.js:1:1)', '/srv/app.js:9:3'],
      'app.js:9:3',
    ],
    [
      "a package's, if it is alone",
      ['parse (/srv/node_modules/qs/parse.js:1:1)'],
      'parse (node_modules/qs/parse.js:1:1)',
    ],
    ['after awaiting', ['async handle (/srv/app.js:2:2)'], 'handle (app.js:2:2)'],
    ['of a function without a name', ['Timeout._onTimeout (/srv/app.js:2:2)'], 'app.js:2:2'],
    ['elsewhere than the working directory', ['f (/opt/shared/lib.js:2:2)'], 'f (/opt/shared/lib.js:2:2)'],
    ['with spaces in its path', ['f (/srv/my app/a.js:2:2)'], 'f (my app/a.js:2:2)'],
    ['none', ['<anonymous>', 'JSON.parse (<anonymous>)', 'x (node:vm:1:1)'], null],
  ] as const) {
    it(`WHY-05 is ${title}`, () => assert.equal(frameOf(thrown(...frames), '/srv'), expected));
  }

  it('WHY-05 is found in the sources of what was compiled', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefork-frame-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    // Line 3, column 5 of the source.
    const map = { version: 3, sources: ['cart.ts'], names: [], mappings: 'AAEI' };
    writeFileSync(join(folder, 'cart.js'), 'throw 1\n//# sourceMappingURL=cart.js.map\n');
    writeFileSync(join(folder, 'cart.js.map'), JSON.stringify(map));
    const { sourceMapsEnabled } = process;
    t.after(() => process.setSourceMapsEnabled(sourceMapsEnabled));
    process.setSourceMapsEnabled(false);
    assert.equal(frameOf(thrown(`f (${folder}/cart.js:1:1)`), folder), 'f (cart.ts:3:5)');
    process.setSourceMapsEnabled(true);
    assert.equal(frameOf(thrown(`f (${folder}/cart.ts:3:5)`), folder), 'f (cart.ts:3:5)', 'Node has placed it already');
  });

  it('WHY-05 survives whatever was thrown', () => {
    const trap = Object.defineProperty(new Error('x'), 'stack', {
      get: () => {
        throw new Error('no');
      },
    });
    const strange = [null, 'text', {}, trap, Object.assign(new Error('x'), { stack: 7 }), thrown('a'.repeat(1e6))];
    for (const error of strange) assert.equal(frameOf(error, '/srv'), null);
  });

  it('WHY-05 of a call is the first above it', () => {
    assert.equal(appFrame(['at emit (node:events:1:1)', 'at stop (/srv/a.ts:3:1)'], '/srv'), 'stop (a.ts:3:1)');
  });
});
