/** The system's error numbers as libuv has them. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { getSystemErrorName } from 'node:util';
import { type Errno, libuvError } from '../../../src/system/errno.ts';

it("is libuv's number", () => {
  const names: readonly Errno[] = ['EADDRINUSE', 'EMFILE', 'EPIPE'];
  assert.deepEqual(
    names.map((name) => getSystemErrorName(libuvError(name))),
    names,
  );
});
