/** Folders that only one user can write to. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { privateFolder } from '../../../src/system/private-folder.ts';
import { project } from '../../support/config-harness.ts';

const self = process.geteuid?.() ?? 0;
const isRoot = self === 0;
/** Nobody in particular. */
const other = 12_345;

describe('privateFolder', () => {
  it('makes a folder that nobody else can even read', (t) => {
    const folder = join(project(t), 'cache');
    assert.equal(privateFolder(folder, self), null);
    const { mode, uid } = statSync(folder);
    assert.equal(mode & 0o777, 0o700);
    assert.equal(uid, self);
    assert.equal(privateFolder(folder, self), null, 'it is found again');
  });

  it('refuses what is no folder, and follows no link', (t) => {
    const base = project(t);
    writeFileSync(join(base, 'file'), '');
    symlinkSync(base, join(base, 'link'));
    assert.match(privateFolder(join(base, 'file'), self) ?? '', /is no folder$/);
    assert.match(privateFolder(join(base, 'link'), self) ?? '', /is no folder$/);
    assert.match(privateFolder(join(base, 'missing', 'cache'), self) ?? '', /ENOENT/);
  });

  it('refuses a folder that others can write to, and one in a folder where others can replace it', (t) => {
    const base = project(t);
    const open = join(base, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    assert.match(privateFolder(open, self) ?? '', /others than its owner can write/);
    assert.match(privateFolder(join(open, 'cache'), self) ?? '', /others than uid \d+ can change/);
    assert.equal(existsSync(join(open, 'cache')), false, 'nothing was made');
    // As /tmp is.
    chmodSync(open, 0o1777);
    assert.equal(privateFolder(join(open, 'cache'), self), null);
  });

  it('refuses a folder of another user', { skip: !isRoot }, (t) => {
    const folder = join(project(t), 'cache');
    mkdirSync(folder, { mode: 0o700 });
    chownSync(folder, other, other);
    assert.match(privateFolder(folder, other + 1) ?? '', new RegExp(`belongs to uid ${other}$`));
    assert.equal(privateFolder(folder, other), null);
  });

  it('makes one for the user of the workers, and none in a folder of that user', { skip: !isRoot }, (t) => {
    const base = project(t);
    const folder = join(base, 'cache');
    assert.equal(privateFolder(folder, other), null);
    assert.equal(lstatSync(folder).uid, other);
    const within = join(folder, 'deeper');
    assert.match(privateFolder(within, other) ?? '', /is not made in a folder of another user$/);
    assert.equal(existsSync(within), false);
  });
});
