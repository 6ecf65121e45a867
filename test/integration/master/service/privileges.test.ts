/** Users, groups, masks and what a worker may have of the master's rights. As root; elsewhere these skip. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openLogFileFor } from '../../../../src/system/log-file.ts';
import { stopClean } from '../../../support/invariants.ts';
import { startService, stopService } from '../../../support/masters.ts';
import { bin, fixture } from '../../../support/paths.ts';
import { freePort, requestJson } from '../../../support/request.ts';
import { type Supervisor, type SupervisorOptions, startSupervisor, writeConfig } from '../../../support/supervisor.ts';
import { until } from '../../../support/until.ts';

const isRoot = process.geteuid?.() === 0 && process.platform === 'linux';
const skip = isRoot ? false : 'needs root on Linux';
const app = fixture('privileges/app.cjs');
/** Users that every Debian has: one with no other group, and one that nobody logs in as. */
const nobody = { uid: 65_534, gid: 65_534 };

/** The folder of a run is its owner's alone; the workers of these tests are somebody else. */
async function start(t: TestContext, options: SupervisorOptions): Promise<Supervisor> {
  const isDropped = options.args?.includes('-u') === true;
  const s = await startSupervisor(t, { app, workers: 1, ...(isDropped ? { cwd: '/tmp' } : {}), ...options });
  return await s.waitReady();
}

/** Runs a supervisor that is expected to refuse. */
function refused(args: readonly string[], ids: { uid?: number; gid?: number } = {}, cwd = '/') {
  const { status, stderr } = spawnSync(process.execPath, [bin, ...args], {
    ...ids,
    cwd,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, lines: stderr.trimEnd().split('\n') };
}

function folder(t: TestContext, name: string): string {
  const dir = join('/tmp', `prefork-${name}-${process.pid}`);
  mkdirSync(dir);
  t.after(() => execFileSync('rm', ['-r', dir]));
  return dir;
}

describe('user and group', { skip }, () => {
  it('SEC-06: the workers are that user, with no way back; so is the release command, and a reload keeps it', async (t) => {
    const s = await start(t, {
      args: ['-u', 'nobody', '--umask', '027'],
      config: { release: 'echo "release as $(id -u):$(id -g), mask $(umask)"' },
    });
    const self = await requestJson(s.target, '/self');
    assert.deepEqual([self.uid, self.gid, self.groups], [nobody.uid, nobody.gid, [nobody.gid]]);
    assert.equal(self.umask, 0o027);
    assert.match(String(self.capabilities), /^0+$/);
    const { USER, LOGNAME, HOME } = self.env as Record<string, string>;
    assert.deepEqual([USER, LOGNAME, HOME], ['nobody', 'nobody', '/nonexistent']);
    assert.deepEqual(await requestJson(s.target, '/regain'), {
      setuid: 'EPERM',
      setgid: 'EPERM',
      setgroups: 'EPERM',
      shadow: 'EACCES',
    });
    const { msg } = await s.reload();
    assert.match(msg, /done/);
    assert.ok(s.log.some((line) => line.msg === 'release: release as 65534:65534, mask 0027'));
    assert.equal((await requestJson(s.target, '/self')).uid, nobody.uid);
    await stopClean(s);
  });

  it('SEC-06: a user of several groups has them all, and a group that is given is the only one', async (t) => {
    // Of a system that has none, one is made of what is there: the groups are the kernel's business, not the name's.
    const several = execFileSync('sh', [
      '-c',
      'getent passwd | cut -d: -f1 | while read u; do [ "$(id -u $u)" = 0 ] || [ $(id -G $u | wc -w) -lt 2 ] || { echo $u; break; }; done',
    ])
      .toString()
      .trim();
    if (several === '') return t.skip('no user of this system has more groups than one');
    const groups = execFileSync('id', ['-G', several]).toString().trim().split(' ').map(Number);
    const s = await start(t, { args: ['-u', several] });
    const self = await requestJson(s.target, '/self');
    assert.deepEqual(
      self.groups,
      [...groups].sort((a, b) => a - b),
    );
    assert.deepEqual(self.execArgv, []);
    assert.match(String(self.title), /^prefork: worker 0/);
    await stopClean(s);
    const one = await start(t, { args: ['-u', several, '-g', 'nogroup'] });
    assert.deepEqual((await requestJson(one.target, '/self')).groups, [nobody.gid]);
    await stopClean(one);
  });

  it('SEC-06: an unknown user or group is an error before anything runs', () => {
    for (const [flag, name, expected] of [
      ['--user', 'no-such-user', /^prefork: command line: user: there is no user no-such-user$/],
      ['--group', 'no-such-group', /^prefork: command line: group: there is no group no-such-group$/],
      ['--user', '$(id)', /^prefork: command line: user: there is no user \$\(id\)$/],
      ['--user', '4242', /^prefork: command line: user: user 4242 has no entry; set group too$/],
      ['--socket-owner', 'nobody:no-such-group', /socketOwner: there is no group no-such-group$/],
    ] as const) {
      const { status, lines } = refused([app, flag, name]);
      assert.deepEqual([status, lines.length], [2, 1], lines.join('\n'));
      assert.match(lines[0] ?? '', expected);
    }
  });

  it('an app that the user may not read is told before Node cannot find it', (t) => {
    const dir = folder(t, 'closed');
    const copy = join(dir, 'app.cjs');
    writeFileSync(copy, readFileSync(app));
    chmodSync(dir, 0o700);
    const { status, lines } = refused([copy, '-w', '1', '-u', 'nobody', '-b', '127.0.0.1:0']);
    assert.notEqual(status, 0);
    const warning = lines.find((line) => line.includes(`has no right to ${dir}: it cannot load the app`));
    assert.ok(warning?.includes('"level":40'), lines.join('\n'));
  });

  it('SEC-06: who is not root cannot have another user, and is told so', () => {
    const { status, lines } = refused([app, '-u', 'daemon'], nobody);
    assert.equal(status, 2);
    assert.match(lines[0] ?? '', /^prefork: command line: user: only root can change users, .* uid 65534; /);
    assert.equal(lines.length, 1);
  });

  it('a unix socket belongs to the workers, or to whom socketOwner says', async (t) => {
    const s = await start(t, { unix: true, args: ['-u', 'nobody'], env: { PORT: '0' } });
    const path = join(s.dir, 'app.sock');
    const { uid, gid, mode } = statSync(path);
    assert.deepEqual([uid, gid, mode & 0o777], [nobody.uid, nobody.gid, 0o660]);
    await stopClean(s, { gone: [path] });
    const other = await start(t, { unix: true, args: ['-u', 'nobody', '--socket-owner', 'root:daemon'] });
    const owned = statSync(join(other.dir, 'app.sock'));
    assert.deepEqual([owned.uid, owned.gid], [0, 1]);
    await stopClean(other);
  });

  it('a reload gives the unix sockets the mode and owner that are configured now, and touches nothing else in their place', async (t) => {
    const dir = folder(t, 'rights');
    const [a, b, moved, file] = ['a.sock', 'b.sock', 'moved.sock', 'file'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
      string,
    ];
    const config = (settings: object, ...paths: string[]) => ({
      user: 'nobody',
      bind: paths.map((path) => `unix:${path}`),
      ...settings,
    });
    const first = config({ socketMode: '600', socketOwner: 'daemon:daemon' }, a);
    const s = await start(t, { bind: null, cwd: '/tmp', config: first });
    const rights = (path: string) => {
      const { uid, gid, mode } = statSync(path);
      return [uid, gid, (mode & 0o777).toString(8)];
    };
    const reload = async (settings: object, outcome: RegExp): Promise<void> => {
      writeConfig(join(s.dir, 'supervisor.config.mjs'), config(settings, a, b));
      assert.match((await s.reload()).msg, outcome);
    };
    assert.deepEqual(rights(a), [1, 1, '600']);
    await reload({ socketMode: '666', socketOwner: 'nobody' }, /done/);
    const theirs = [nobody.uid, nobody.gid, '666'];
    assert.deepEqual([rights(a), rights(b)], [theirs, theirs]);
    assert.equal((await requestJson({ socketPath: a }, '/self')).uid, nobody.uid);
    renameSync(a, moved);
    writeFileSync(file, 'precious', { mode: 0o600 });
    symlinkSync(file, a);
    await reload({ socketMode: '660', socketOwner: ':daemon' }, /failed.*something else is in its place/);
    assert.deepEqual([rights(file), rights(moved), rights(b)], [[0, 0, '600'], theirs, theirs]);
    await stopClean(s, { allow: /something else is in its place/ });
  });

  it('so does an upgrade', async (t) => {
    const path = join(folder(t, 'upgraded'), 'a.sock');
    const config = (socketMode: string) => ({ workers: 1, bind: [`unix:${path}`], socketMode });
    const service = await startService(t, { ownWorkers: true, bind: null, config: config('600') });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    writeConfig(join(service.s.dir, 'supervisor.config.mjs'), config('666'));
    await service.masters.upgrade();
    await until('the new mode', () => (statSync(path).mode & 0o777) === 0o666);
    await stopService(service, /root without user/);
  });

  it('a port below 1024 is bound as root and served as the user', async (t) => {
    const s = await startSupervisor(t, {
      app,
      workers: 1,
      bind: ['127.0.0.1:983'],
      args: ['-u', 'nobody'],
      cwd: '/tmp',
    });
    await s.waitReady();
    assert.equal((await requestJson({ port: 983 }, '/self')).uid, nobody.uid);
    assert.match((await s.reload()).msg, /done/);
    assert.equal((await requestJson({ port: 983 }, '/self')).uid, nobody.uid);
    await stopClean(s, { ports: [983] });
  });
});

describe('what a worker may have of the master', { skip }, () => {
  it('SEC-07: a worker that is less than root gets no port, path or descriptor that it could not have by itself', async (t) => {
    const s = await start(t, { args: ['-u', 'nobody'] });
    const free = await freePort();
    const result = async (query: string) => (await requestJson(s.target, `/listen?${query}`)).result;
    assert.equal(await result('port=81'), 'EACCES');
    assert.equal(await result('path=/etc/prefork-test.sock'), 'EACCES');
    assert.equal(existsSync('/etc/prefork-test.sock'), false);
    for (const fd of [3, 5, 10, 20]) assert.match(String(await result(`fd=${fd}`)), /EBADF|EINVAL|ENOTSOCK/);
    assert.equal(await result(`port=${free}`), 'listens');
    await requestJson(s.target, '/raw?port=81');
    assert.match((await requestJson(s.target, '/regain')).setuid as string, /EPERM/);
    assert.equal(
      spawnSync('sh', ['-c', 'cat /proc/net/tcp | grep -c " 0100007F:0051 \\| 00000000:0051 "'])
        .stdout.toString()
        .trim(),
      '0',
    );
    await stopClean(s, { allow: /the app asks for/ });
  });

  it('SEC-07 G9: no UDP port, and of a port that bind names no other address', async (t) => {
    const s = await start(t, { bind: ['127.0.0.1:984'], args: ['-u', 'nobody'] });
    const result = async (query: string) => (await requestJson({ port: 984 }, `/listen?${query}`)).result;
    assert.equal(await result('udp=985'), 'EACCES');
    assert.equal(await result('udp=0'), 'bound');
    for (const host of ['127.0.0.2', '0.0.0.0', '::1'])
      assert.equal(await result(`port=984&host=${host}`), 'EACCES', host);
    await stopClean(s, { allow: /the app asks for/ });
  });

  it('a worker inherits what it serves, its channel and its output, and nothing else', async (t) => {
    const s = await start(t, { args: ['-u', 'nobody', '-p', `/tmp/prefork-fds-${process.pid}.pid`] });
    const fds = (await requestJson(s.target, '/fds')) as Record<string, string>;
    const named = Object.values(fds).filter((what) => what.startsWith('/') && what !== '/dev/null');
    assert.deepEqual(
      named.filter((what) => !what.includes('pipe')),
      [],
    );
    const output = [fds['1'], fds['2']];
    const sockets = Object.values(fds).filter((what) => what.startsWith('socket:') && !output.includes(what));
    // The two of its channel, the two ends of the queue between workers, what it accepts from, and the connection of this
    // very request.
    assert.equal(new Set(sockets).size, 6, JSON.stringify(fds));
    await stopClean(s);
  });

  it('SEC-07: what its caller has left open reaches no worker, no release command, no hook, and none of their children', async (t) => {
    const theirs = createServer();
    await new Promise<void>((resolve) => theirs.listen(0, '127.0.0.1', resolve));
    t.after(() => theirs.close());
    const own = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    });
    const s = await start(t, {
      args: ['-u', 'nobody'],
      // Behind a gap, where Node does not see it.
      inherit: [...new Array<'ignore'>(40).fill('ignore'), theirs],
      config: `import { execFileSync } from 'node:child_process';
        console.error(execFileSync('ls', ['-l', '/proc/self/fd']).toString());
        export default { release: 'ls -l /proc/self/fd' };`,
    });
    assert.match((await s.reload()).msg, /done/);
    const fds = (await requestJson(s.target, '/fds')) as Record<string, string>;
    assert.equal(fds['43'], '/dev/null');
    const seen = [...Object.values(fds), ...s.stderr.text.matchAll(/socket:\[\d+\]/g)].map(String);
    const sockets = own.filter((what) => what.startsWith('socket:'));
    assert.ok(sockets.length > 0);
    // Its output is ours too.
    const output = [fds['1'], fds['2']];
    assert.deepEqual(
      sockets.filter((socket) => seen.includes(socket) && !output.includes(socket)),
      [],
    );
    assert.match(s.stderr.text, /43 -> \/dev\/null/);
    await stopClean(s, { allow: /./ });
  });

  it('SEC-14: what is only the master’s is not in its environment', async (t) => {
    const s = await start(t, {
      env: { PREFORK_SECRET: 'x', WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1', LISTEN_FDNAMES: 'x', KEPT: 'yes' },
      config: { env: { OWN: '2' } },
    });
    const env = (await requestJson(s.target, '/self')).env as Record<string, string>;
    assert.deepEqual([env.KEPT, env.OWN], ['yes', '2']);
    // Beside its slot, which is for the app.
    assert.deepEqual(
      Object.keys(env).filter((name) => /^(PREFORK|LISTEN|WATCHDOG|NOTIFY|NODE_UNIQUE)_/.test(name)),
      ['PREFORK_SLOT'],
    );
    await stopClean(s);
  });

  it('a file of envFile that is not there is one line', async (t) => {
    const s = await startSupervisor(t, { app, workers: 1, config: { envFile: 'no-such.env' } });
    assert.equal((await s.waitExit()).code, 2);
    assert.match(s.stderr.text, /^prefork: .*: envFile: cannot read .*no-such\.env: [^\n]*\n$/);
  });

  it('envFile is read at each start and reload; the environment is under it, env over it', async (t) => {
    const dir = join('/tmp', `prefork-env-${process.pid}`);
    mkdirSync(dir);
    t.after(() => execFileSync('rm', ['-r', dir]));
    const file = join(dir, 'app.env');
    writeFileSync(file, '# a comment\nONE=file\nTWO="in quotes"\nexport THREE=3\nPREFORK_X=kept\n');
    const s = await start(t, {
      args: ['--env-file', file, '-e', 'FOUR=flag'],
      env: { ONE: 'outside', FIVE: 'outside', PREFORK_SECRET: 'x' },
    });
    const env = (await requestJson(s.target, '/self')).env as Record<string, string>;
    assert.deepEqual([env.ONE, env.TWO, env.THREE, env.FOUR, env.FIVE], ['file', 'in quotes', '3', 'flag', 'outside']);
    assert.equal(env.PREFORK_SECRET, undefined);
    writeFileSync(file, 'ONE=again\n');
    assert.match((await s.reload()).msg, /done/);
    await until('the new value', async () => {
      const now = (await requestJson(s.target, '/self')).env as Record<string, string>;
      return now.ONE === 'again' && now.TWO === undefined;
    });
    writeFileSync(file, 'ONE=again\nwhat is this\n');
    assert.match((await s.reload()).msg, /failed.*app\.env:2: expected NAME=value/);
    await stopClean(s);
  });
});

describe('files of a master that is root', { skip }, () => {
  it('SEC-05: a pidfile that is a link, or lies where everybody writes, is refused, and what it leads to is untouched', (t) => {
    const dir = join('/tmp', `prefork-open-${process.pid}`);
    mkdirSync(dir);
    t.after(() => execFileSync('rm', ['-r', dir]));
    const victim = join(dir, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(dir, 'link.pid'));
    const linked = refused([app, '-p', join(dir, 'link.pid')]);
    assert.equal(linked.status, 1);
    assert.match(linked.lines.join('\n'), /not a regular file/);
    chmodSync(dir, 0o777);
    const open = refused([app, '-b', '127.0.0.1:0', '-p', join(dir, 'a.pid')]);
    assert.equal(open.status, 1);
    assert.match(open.lines.join('\n'), /writable by everybody/);
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
  });

  it('SEC-05: a log is not written through a link, nor to a file of other names, nor where everybody writes', (t) => {
    const dir = folder(t, 'logs');
    const victim = join(dir, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(dir, 'link.log'));
    linkSync(victim, join(dir, 'hard.log'));
    execFileSync('mkfifo', [join(dir, 'fifo.log')]);
    for (const flag of ['--error-log', '--access-log']) {
      for (const [name, expected] of [
        ['link.log', /symbolic link/],
        ['hard.log', /other names/],
        ['fifo.log', /ENXIO/],
      ] as const) {
        const { status, lines } = refused([app, '-b', '127.0.0.1:0', '-u', 'nobody', flag, join(dir, name)]);
        assert.equal(status, 1, lines.join('\n'));
        assert.match(lines.join('\n'), expected);
      }
      chmodSync(dir, 0o777);
      const open = refused([app, '-b', '127.0.0.1:0', '-u', 'nobody', flag, join(dir, 'new.log')]);
      chmodSync(dir, 0o755);
      assert.equal(open.status, 1);
      assert.match(open.lines.join('\n'), /writable by everybody/);
    }
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.equal(statSync(victim).uid, 0);
  });

  it('SEC-05 SEC-06: the access log is the workers’; root gives away no file that others may have put there', (t) => {
    const ids = { uid: nobody.uid, gid: nobody.gid };
    const own = folder(t, 'own');
    writeFileSync(join(own, 'old.log'), '');
    for (const name of ['old.log', 'new.log']) {
      closeSync(openLogFileFor(join(own, name), 'access log', ids));
      const { uid, gid } = statSync(join(own, name));
      assert.deepEqual([uid, gid], [nobody.uid, nobody.gid], name);
    }
    const theirs = folder(t, 'theirs');
    writeFileSync(join(theirs, 'moved.log'), '');
    chownSync(theirs, nobody.uid, nobody.gid);
    closeSync(openLogFileFor(join(theirs, 'new.log'), 'access log', ids));
    assert.equal(statSync(join(theirs, 'new.log')).uid, nobody.uid);
    assert.throws(() => openLogFileFor(join(theirs, 'moved.log'), 'access log', ids), /it belongs to uid 0/);
    assert.equal(statSync(join(theirs, 'moved.log')).uid, 0);
  });

  it('a configuration that everybody can write is not run as root', (t) => {
    const dir = join('/tmp', `prefork-config-${process.pid}`);
    mkdirSync(dir);
    t.after(() => execFileSync('rm', ['-r', dir]));
    const file = join(dir, 'supervisor.config.mjs');
    writeFileSync(file, `import { writeFileSync } from 'node:fs'; writeFileSync('${dir}/ran', ''); export default {};`);
    chmodSync(file, 0o666);
    const { status, lines } = refused([app, '-c', file]);
    assert.equal(status, 2);
    assert.match(lines[0] ?? '', /writable by everybody/);
    assert.equal(existsSync(join(dir, 'ran')), false);
  });

  it('SEC-13: the modes of its files do not depend on the umask of who starts it; the workers get that one', async (t) => {
    for (const umask of [0o000, 0o077]) {
      const s = await start(t, { umask, args: ['-p', 'app.pid'] });
      assert.equal(statSync(join(s.dir, 'app.pid')).mode & 0o777, 0o644);
      assert.equal((await requestJson(s.target, '/self')).umask, umask);
      await stopClean(s);
    }
  });

  it('SEC-12: names, arguments and paths with quotes, blanks and $() reach nobody’s shell', async (t) => {
    const dir = join('/tmp', `prefork it's $(touch pwned) ${process.pid}`);
    mkdirSync(dir);
    t.after(() => execFileSync('rm', ['-r', dir]));
    const copy = join(dir, `app '; touch pwned; '.cjs`);
    writeFileSync(copy, readFileSync(app));
    const s = await start(t, {
      app: copy,
      cwd: dir,
      args: ['-n', `$(touch pwned)'; "x`, '-e', 'A=$(touch pwned)', '-u', 'nobody', '--', '--$(touch pwned)'],
    });
    const self = await requestJson(s.target, '/self');
    assert.deepEqual((self.argv as string[]).slice(1), [copy, '--$(touch pwned)']);
    assert.equal((self.env as Record<string, string>).A, '$(touch pwned)');
    assert.equal(existsSync(join(dir, 'pwned')) || existsSync(join(s.dir, 'pwned')), false);
    await stopClean(s);
  });
});
