/**
 * A systemd of the test's own: the real one, as PID 1 of its own PID, mount, UTS, IPC and cgroup namespaces.
 *
 * It sees the machine's files, and can write none of them: the root and the kernel's settings are read-only to it, the
 * devices are few, and what it has to write is on file systems of its own. It knows only the units it is given, and so
 * starts nothing of the machine's. Its processes end with it, and it ends with `unshare`.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtureApp, root } from './paths.ts';
import { childrenOf, isAlive } from './proc.ts';
import { until } from './until.ts';

const systemd = '/lib/systemd/systemd';
const namespaces = ['-p', '-m', '-u', '-i', '-C', '-f', '--kill-child', '--mount-proc', '--propagation', 'private'];

/** Why this cannot be tested here, or `false`. */
export function withoutSystemd(): string | false {
  if (process.platform !== 'linux' || process.geteuid?.() !== 0) return 'needs root on Linux';
  for (const program of [systemd, 'systemd-notify', 'systemd-analyze', 'unshare', 'nsenter']) {
    if (spawnSync(program, ['--version']).error !== undefined) return `${program} is not installed`;
  }
  const { status, stderr } = spawnSync('unshare', [
    ...namespaces,
    'mount',
    '-t',
    'cgroup2',
    'cgroup2',
    '/sys/fs/cgroup',
  ]);
  return status === 0 ? false : `no namespaces, or no cgroup2: ${String(stderr).trim()}`;
}

/** A journal that cannot reach the kernel's log or audit: those are the machine's. */
const journal = {
  'systemd-journald.service': `[Unit]
DefaultDependencies=no
Requires=systemd-journald.socket
[Service]
Type=notify
ExecStart=/lib/systemd/systemd-journald
Sockets=systemd-journald.socket
StandardOutput=null
FileDescriptorStoreMax=64
RestrictAddressFamilies=AF_UNIX
`,
  'systemd-journald.socket': `[Unit]
DefaultDependencies=no
[Socket]
ListenDatagram=/run/systemd/journal/socket
ListenStream=/run/systemd/journal/stdout
PassCredentials=yes
SocketMode=0666
`,
} as const;

/** Targets that units name. Nothing belongs to them here. */
const targets = ['sysinit', 'basic', 'sockets', 'shutdown', 'network-online', 'multi-user', 'world'];

/**
 * The user's world: /srv/shop with prefork in node_modules, a user shop, node in /usr/local/bin. Everything it writes to
 * is its own, and the rest of what it sees is read-only.
 */
const makeWorld = `
set -e
mount -t tmpfs tmpfs /run
mkdir /run/world
mount --bind "$WORLD" /run/world
mkdir /run/dev
mount -t tmpfs -o mode=755 tmpfs /run/dev
cd /run/dev
for node in null zero full random urandom tty; do cp -a /dev/$node .; done
ln -s /proc/self/fd fd
mkdir pts shm
mount -t devpts -o newinstance,ptmxmode=666 devpts pts
ln -s pts/ptmx ptmx
mount --move /run/dev /dev
cd /
mount -t tmpfs tmpfs /srv
cp -r "$WORLD/shop" /srv/shop
mkdir -p /srv/shop/node_modules/.bin /srv/shop/node_modules/prefork
mount --bind "$ROOT" /srv/shop/node_modules/prefork
ln -s ../prefork/bin/prefork.js /srv/shop/node_modules/.bin/prefork
touch /run/node
mount --bind "$NODE" /run/node
mount -t tmpfs tmpfs /usr/local/bin
ln -s /run/node /usr/local/bin/node
mount --bind "$WORLD/passwd" /etc/passwd
mount --bind "$WORLD/group" /etc/group
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs tmpfs /var/lib
umount -R /sys/fs/cgroup
mount -o remount,bind,ro /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /
exec env -i container=test PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin SYSTEMD_UNIT_PATH=/run/world/units \\
  SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none \\
  ${systemd} --system --unit=world.target --log-target=journal --log-level=info --show-status=no </dev/null
`;

/** In a mount namespace of its own: what is mounted is gone with the command. */
const withCgroups = 'umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && ';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Systemd {
  /** Seen inside as /run/world. */
  readonly dir = mkdtempSync('/tmp/prefork-systemd-');
  readonly #cgroup = `/sys/fs/cgroup/prefork-test-${process.pid}`;
  #outer: ChildProcess | null = null;
  #pid = 0;
  #output = '';

  async start(): Promise<void> {
    const { dir } = this;
    chmodSync(dir, 0o755);
    mkdirSync(join(dir, 'units'));
    mkdirSync(join(dir, 'shop'));
    for (const name of targets) this.unit(`${name}.target`, '[Unit]\nDefaultDependencies=no\n');
    for (const [name, text] of Object.entries(journal)) this.unit(name, text);
    const wants = 'systemd-journald.service systemd-journald.socket';
    this.unit('world.target', `[Unit]\nDefaultDependencies=no\nWants=${wants}\nAfter=${wants}\n`);
    copyFileSync(fixtureApp, join(dir, 'shop/server.js'));
    writeFileSync(join(dir, 'shop/package.json'), '{"name":"shop"}');
    const line = 'shop:x:987:987::/srv/shop:/usr/sbin/nologin\n';
    writeFileSync(join(dir, 'passwd'), readFileSync('/etc/passwd', 'utf8') + line);
    writeFileSync(join(dir, 'group'), `${readFileSync('/etc/group', 'utf8')}shop:x:987:\n`);
    writeFileSync(join(dir, 'init.sh'), makeWorld);
    const intoCgroup = `${withCgroups} mkdir -p ${this.#cgroup} && echo 0 >${this.#cgroup}/cgroup.procs`;
    const outer = spawn(
      'unshare',
      [
        '-m',
        '--propagation',
        'private',
        'sh',
        '-c',
        `${intoCgroup}; exec unshare "$@"`,
        'sh',
        ...namespaces,
        'sh',
        join(dir, 'init.sh'),
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env.PATH, WORLD: dir, ROOT: root, NODE: process.execPath },
      },
    );
    this.#outer = outer;
    for (const stream of [outer.stdout, outer.stderr]) stream.on('data', (chunk) => (this.#output += String(chunk)));
    await until(
      'systemd to have started',
      async () => {
        this.#pid = childrenOf(outer.pid ?? 0)[0]?.pid ?? 0;
        return this.#pid > 0 && (await this.run('systemctl', ['is-active', 'world.target'])).stdout === 'active';
      },
      {
        within: 60_000,
        every: 200,
        abort: () => (outer.exitCode === null ? null : `it ended with ${outer.exitCode}: ${this.#output}`),
      },
    );
  }

  /** Writes a unit, or a drop-in (`shop.service.d/test.conf`). */
  unit(name: string, text: string): void {
    const path = join(this.dir, 'units', name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
  }

  /** Forgets the units that are not the test's scaffold. */
  removeUnits(names: readonly string[]): void {
    for (const name of names) rmSync(join(this.dir, 'units', name), { recursive: true, force: true });
  }

  /** Runs a command inside. */
  run(command: string, args: readonly string[], within = 120_000): Promise<Ended> {
    const into = ['-t', String(this.#pid), '-m', '-p', '-u', '-i', '-C'];
    const env = {
      PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
      SYSTEMD_COLORS: '0',
      SYSTEMD_UNIT_PATH: '/run/world/units',
    };
    return new Promise((resolve) => {
      execFile('nsenter', [...into, command, ...args], { env, timeout: within, cwd: '/' }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() });
      });
    });
  }

  /** @throws with everything known, where it fails */
  async systemctl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run('systemctl', args);
    if (code !== 0) {
      const log = (await this.run('journalctl', ['--no-pager', '-o', 'cat', '-n', '40'])).stdout;
      throw new Error(`systemctl ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}\n${log}\n${this.#output}`);
    }
    return stdout;
  }

  /** What a unit, and systemd about it, have logged since a moment. */
  async log(unit: string, since: Date): Promise<string> {
    const from = `@${Math.floor(since.getTime() / 1_000)}`;
    return (await this.run('journalctl', ['--no-pager', '-o', 'cat', '-u', unit, '--since', from])).stdout;
  }

  async show(unit: string, property: string): Promise<string> {
    return await this.systemctl('show', unit, '-P', property);
  }

  /** Ends it, and everything that runs in it. */
  async stop(): Promise<void> {
    if (this.#pid > 0 && isAlive(this.#pid)) process.kill(this.#pid, 'SIGKILL');
    await until(
      'systemd to end',
      () => this.#outer === null || this.#outer.exitCode !== null || this.#outer.signalCode !== null,
    );
    const remove = `${withCgroups} find ${this.#cgroup} -depth -type d -exec rmdir {} +`;
    await until(
      'its cgroups to be removed',
      () =>
        spawnSync('unshare', ['-m', '--propagation', 'private', 'sh', '-c', `${remove}; test ! -e ${this.#cgroup}`])
          .status === 0,
    );
    rmSync(this.dir, { recursive: true, force: true });
  }
}
