/** Which commit is checked out, read from git's files and compared with what git says. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { commitOf } from '../../../src/system/git.ts';
import { project } from '../../support/config-harness.ts';

const noGit = spawnSync('git', ['--version']).status === 0 ? false : 'there is no git here';
const identity = ['-c', 'user.name=x', '-c', 'user.email=x@example.org', '-c', 'commit.gpgsign=false'];

function git(folder: string, ...args: string[]): string {
  const env = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: '1', HOME: folder };
  return execFileSync('git', [...identity, ...args], { cwd: folder, env, encoding: 'utf8', stdio: 'pipe' }).trim();
}

function commit(folder: string, message: string): string {
  git(folder, 'add', '-A');
  git(folder, 'commit', '--allow-empty', '-q', '-m', message);
  return git(folder, 'rev-parse', 'HEAD').slice(0, 7);
}

describe('the commit of a folder', { skip: noGit }, () => {
  it('is that of the branch, also from a folder below, also after refs were packed', (t) => {
    const folder = project(t, { 'lib/a.js': '' });
    git(folder, 'init', '-q');
    assert.equal(commitOf(folder), null, 'a repository without a commit has none');
    const first = commit(folder, 'first');
    assert.equal(commitOf(join(folder, 'lib')), first);
    git(folder, 'checkout', '-q', '-b', 'feature/with.dots-and-x');
    const second = commit(folder, 'second');
    assert.equal(commitOf(folder), second);
    git(folder, 'tag', 'x');
    git(folder, 'pack-refs', '--all');
    assert.equal(commitOf(folder), second);
    assert.notEqual(first, second);
  });

  it('is that of a detached HEAD, of a worktree and of a submodule', (t) => {
    const folder = project(t);
    const other = project(t);
    git(folder, 'init', '-q');
    const first = commit(folder, 'first');
    const second = commit(folder, 'second');
    git(folder, 'checkout', '-q', '--detach', first);
    assert.equal(commitOf(folder), first);
    git(folder, 'worktree', 'add', '-q', '-b', 'side', join(other, 'tree'), second);
    assert.equal(commitOf(join(other, 'tree')), second);
    git(folder, 'pack-refs', '--all');
    assert.equal(commitOf(join(other, 'tree')), second);

    const outer = project(t);
    git(outer, 'init', '-q');
    git(outer, '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', folder, 'inner');
    const outerCommit = commit(outer, 'with a submodule');
    assert.equal(commitOf(join(outer, 'inner')), first);
    assert.equal(commitOf(outer), outerCommit);
  });
});

describe('what is no repository', () => {
  const hash = '0123456789abcdef0123456789abcdef01234567';

  it('has no commit, whatever its files say', (t) => {
    for (const [name, files] of Object.entries({
      nothing: {},
      'a HEAD of something else': { '.git/HEAD': 'hello\n' },
      'a ref that leads out': { '.git/HEAD': 'ref: refs/../../secret\n', secret: `${hash}\n` },
      'a ref of itself': { '.git/HEAD': 'ref: refs/heads/a\n', '.git/refs/heads/a': 'ref: refs/heads/a\n' },
      'a file that leads nowhere': { '.git': 'gitdir: /nowhere/at/all\n' },
      'a hash that is short': { '.git/HEAD': '0123456\n' },
    })) {
      const folder = project(t, files);
      writeFileSync(join(folder, 'REVISION'), 'v1.2');
      assert.equal(commitOf(folder), null, name);
    }
  });

  it('does not wait for a pipe in the place of a file', { skip: process.platform === 'win32' }, (t) => {
    const folder = project(t);
    mkdirSync(join(folder, '.git'));
    execFileSync('mkfifo', [join(folder, '.git', 'HEAD')]);
    assert.equal(commitOf(folder), null);
  });

  it('may have a REVISION, as Capistrano leaves it; a SHA-256 is a hash too', (t) => {
    const folder = project(t, { REVISION: `${hash}\n`, 'app/a.js': '' });
    assert.equal(commitOf(join(folder, 'app')), '0123456');
    rmSync(join(folder, 'REVISION'));
    mkdirSync(join(folder, '.git'));
    writeFileSync(join(folder, '.git', 'HEAD'), `${'fedcba98'.repeat(8)}\n`);
    assert.equal(commitOf(folder), 'fedcba9');
  });
});
