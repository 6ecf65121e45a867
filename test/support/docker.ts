/** A Docker daemon of the test's own, with a base image made of Debian's packages and the Node that runs the tests. */
import { type ExecFileOptions, execFile, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

const execute = promisify(execFile);

/** Why containers cannot be tested here, or `false`. */
export function withoutDocker(): string | false {
  if (process.platform !== 'linux' || process.geteuid?.() !== 0) return 'needs root on Linux';
  for (const program of ['dockerd', 'docker', 'debootstrap']) {
    if (spawnSync(program, ['--version']).error !== undefined) return `${program} is not installed`;
  }
  return false;
}

export class Docker {
  readonly #dir: string;
  #daemon: ReturnType<typeof spawn> | null = null;

  constructor() {
    // Short: a unix socket's path has 107 bytes.
    this.#dir = mkdtempSync('/tmp/prefork-docker-');
  }

  get dir(): string {
    return this.#dir;
  }

  async start(): Promise<void> {
    const { dir } = this;
    const options = ['--iptables=false', '--bridge=none', '--data-root', `${dir}/data`, '--exec-root', `${dir}/exec`];
    const daemon = spawn('dockerd', [...options, '-H', `unix://${dir}/d.sock`, '--pidfile', `${dir}/d.pid`]);
    this.#daemon = daemon;
    let output = '';
    daemon.stderr.on('data', (chunk) => (output += String(chunk)));
    await until('the Docker daemon', async () => (await this.try(['version'])) !== null, {
      within: 60_000,
      abort: () => (daemon.exitCode === null ? null : output.slice(-2_000)),
    });
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon !== null && daemon.exitCode === null) {
      const ids = (await this.try(['ps', '-aq']))?.split('\n').filter((id) => id !== '') ?? [];
      if (ids.length > 0) await this.try(['rm', '-f', ...ids]);
      daemon.kill('SIGTERM');
      await until('the Docker daemon to end', () => daemon.exitCode !== null, { within: 30_000 });
    }
    // It leaves a network namespace mounted.
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '');
    for (const mount of mounts.reverse()) if (mount.startsWith(`${this.#dir}/`)) spawnSync('umount', ['-l', mount]);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** @throws with what docker said on stderr */
  async run(args: readonly string[], options: ExecFileOptions = {}): Promise<string> {
    const env = { ...process.env, DOCKER_BUILDKIT: '0', DOCKER_HOST: `unix://${this.#dir}/d.sock` };
    const limits = { maxBuffer: 16 * 1024 * 1024, timeout: 300_000 };
    const { stdout } = await execute('docker', [...args], { ...limits, ...options, env, encoding: 'utf8' });
    return stdout.trim();
  }

  async try(args: readonly string[]): Promise<string | null> {
    return await this.run(args).catch(() => null);
  }

  /** Makes an image such as the official ones are: Debian, Node, npm, and a user `node`. */
  async makeNodeImage(name: string): Promise<void> {
    const rootfs = join(this.#dir, 'rootfs');
    const packages = '--include=ca-certificates,procps';
    await execute('debootstrap', ['--variant=minbase', packages, 'bookworm', rootfs], { timeout: 300_000 });
    const bin = join(rootfs, 'usr/local/bin');
    cpSync(realpathSync(process.execPath), join(bin, 'node'));
    const npm = dirname(dirname(realpathSync(await programPath('npm'))));
    cpSync(npm, join(rootfs, 'usr/local/lib/node_modules/npm'), { recursive: true });
    writeFileSync(join(bin, 'npm'), '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n');
    chmodSync(join(bin, 'npm'), 0o755);
    await this.#takeNpmConfig(rootfs);
    await execute('chroot', [rootfs, 'useradd', '--uid', '1000', '--create-home', 'node']);
    await execute('sh', ['-c', `tar -C "$1" -c . | docker import - "$2"`, 'sh', rootfs, name], {
      env: { ...process.env, DOCKER_HOST: `unix://${this.#dir}/d.sock` },
      timeout: 300_000,
    });
    rmSync(rootfs, { recursive: true });
  }

  /** Where packages come from is this machine's business; the image needs to know it too. */
  async #takeNpmConfig(rootfs: string): Promise<void> {
    const { stdout } = await execute('npm', ['config', 'list', '--json']);
    const config = JSON.parse(stdout) as Record<string, unknown>;
    const lines = Object.entries(config).flatMap(([key, value]) => {
      const wanted = ['registry', 'strict-ssl', 'cafile'].includes(key) || key.startsWith('//');
      return wanted && value !== null ? [`${key}=${String(value)}`] : [];
    });
    mkdirSync(join(rootfs, 'usr/local/etc'), { recursive: true });
    writeFileSync(join(rootfs, 'usr/local/etc/npmrc'), `${lines.join('\n')}\n`);
    const authorities = '/etc/ssl/certs/ca-certificates.crt';
    if (existsSync(authorities)) cpSync(authorities, join(rootfs, authorities));
  }
}

async function programPath(name: string): Promise<string> {
  return (await execute('sh', ['-c', `command -v ${name}`])).stdout.trim();
}
