/** Which frame of a stack is named in the line that people read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headlineOf } from '../../../../src/master/stuck/headline.ts';

const node = 'at pbkdf2Sync (node:internal/crypto/pbkdf2:78:17)';
const builtin = 'at RegExp.test (<anonymous>)';
const own = 'at watchedEmit (/opt/prefork/dist/worker/traffic/traffic.js:87:22)';
const packaged = 'at hash (/srv/app/node_modules/bcryptjs/index.js:9:1)';
const app = 'at login (/srv/app/login.js:4:63)';

const cases: readonly (readonly [string, readonly string[], string])[] = [
  ['the app’s own is the innermost', [app, own], app],
  ['Node’s own is not named', [node, app, own], app],
  ['a built-in function is not named', [builtin, app], app],
  ['prefork’s own is not named', [own, app], app],
  ['a package’s is named with the app’s that called it', [node, packaged, app], `${packaged}, called ${app}`],
  ['a package’s alone', [packaged, own], packaged],
  ['nothing but Node’s: the innermost', [builtin, node], builtin],
];

for (const [title, frames, expected] of cases) {
  test(`HB-09 headline: ${title}`, () => assert.equal(headlineOf(frames, ['/opt/prefork/dist/']), expected));
}
