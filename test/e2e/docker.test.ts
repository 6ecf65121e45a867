/** P1: prefork as PID 1 of a real container, built from the Dockerfile that prefork ships. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Docker, withoutDocker } from '../support/docker.ts';
import { startLoad } from '../support/load/child.ts';
import { fourKinds, table, total } from '../support/load/mix.ts';
import { fixtureApp, root } from '../support/paths.ts';
import { freePort, request } from '../support/request.ts';
import { stretched } from '../support/slowness.ts';
import { until } from '../support/until.ts';

const docker = withoutDocker() === false ? new Docker() : null;

/** A service as a user has it: its own folder, with prefork among its dependencies. */
async function buildService(engine: Docker): Promise<void> {
  const context = join(engine.dir, 'service');
  mkdirSync(context);
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', context], {
      cwd: root,
    }).toString(),
  ) as [{ filename: string }];
  const dependencies = { prefork: `file:${packed.filename}` };
  writeFileSync(join(context, 'package.json'), JSON.stringify({ name: 'service', version: '1.0.0', dependencies }));
  copyFileSync(fixtureApp, join(context, 'server.js'));
  execFileSync('npm', ['install', '--package-lock-only', '--no-audit', '--no-fund'], { cwd: context });
  // A user has prefork from the registry; here it is a file, and has to be there before the others.
  const sample = readFileSync(join(root, 'config/docker/Dockerfile'), 'utf8');
  const lock = 'COPY package.json package-lock.json';
  assert.ok(sample.includes(lock));
  writeFileSync(join(context, 'Dockerfile'), sample.replace(lock, `${lock} *.tgz`));
  await engine.run(['build', '--network', 'host', '--build-arg', 'NODE_IMAGE=test-node', '-t', 'service', context]);
}

interface Container {
  readonly name: string;
  readonly port: number;
}

let counter = 0;

async function run(t: TestContext, options: readonly string[], args: readonly string[] = []): Promise<Container> {
  assert.ok(docker !== null);
  counter += 1;
  const name = `service-${counter}`;
  const port = await freePort();
  const command = ['./server.js', '--bind', `127.0.0.1:${port}`, '--health', '--graceful-timeout', '8s', ...args];
  t.after(() => docker.try(['rm', '-f', name]));
  await docker.run(['run', '-d', '--network', 'host', '--name', name, ...options, 'service', ...command]);
  await until('the service in the container', () => answers(port), { within: 60_000 }).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${await logs(name)}`);
  });
  return { name, port };
}

async function answers(port: number): Promise<boolean> {
  return (await request({ port }, '/healthz').catch(() => null))?.status === 200;
}

/** What it logged: on stderr, as everybody who logs to a container's log. */
async function logs(name: string): Promise<string> {
  assert.ok(docker !== null);
  return await docker.run(['logs', name]).then(
    async (out) =>
      out +
      execFileSync('sh', ['-c', `docker logs "$1" 2>&1 >/dev/null`, 'sh', name], {
        env: { ...process.env, DOCKER_HOST: `unix://${docker.dir}/d.sock` },
      }).toString(),
    (error: unknown) => String(error),
  );
}

async function inspect(name: string, what: string): Promise<string> {
  assert.ok(docker !== null);
  return await docker.run(['inspect', '-f', `{{${what}}}`, name]);
}

describe('in a container', { skip: withoutDocker(), timeout: stretched(600_000) }, () => {
  before(async () => {
    assert.ok(docker !== null);
    await docker.start();
    await docker.makeNodeImage('test-node');
    await buildService(docker);
  });
  after(() => docker?.stop());

  it('P1-01: load, `docker kill -s HUP`, `docker stop`: nothing lost, exit status 0', async (t) => {
    assert.ok(docker !== null);
    const { name, port } = await run(t, ['--init', '--stop-timeout', '20'], ['-w', '2']);
    const load = startLoad(t, { target: { port }, groups: fourKinds });
    await load.answered(200);
    for (let reload = 1; reload <= 3; reload += 1) {
      await docker.run(['kill', '-s', 'HUP', name]);
      await until('the reload', async () => (await logs(name)).includes(`reload ${reload} done`), { within: 60_000 });
      await load.further(200);
    }
    const report = await load.stop();
    total(report).assertComplete();
    assert.equal(total(report).failed, 0, table(report));
    await docker.run(['stop', name]);
    assert.equal(await inspect(name, '.State.ExitCode'), '0');
    assert.match(await logs(name), /"msg":"stopped"/);
  });

  it('P1-01 P1-03: as PID 1 itself, as the image is: not root, the health check passes, in the budget of `docker stop`', async (t) => {
    assert.ok(docker !== null);
    const engine = docker;
    t.after(() => engine.try(['rm', '-f', 'plain']));
    // A network of its own, so that the image's own port is free.
    await engine.run(['run', '-d', '--network', 'none', '--health-interval', '1s', '--name', 'plain', 'service']);
    await until('the health check', async () => (await inspect('plain', '.State.Health.Status')) === 'healthy', {
      within: 90_000,
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await inspect('plain', 'json .State.Health')}\n${await logs('plain')}`);
    });
    assert.equal(await engine.run(['exec', 'plain', 'id', '-u']), '1000');
    assert.match(await engine.run(['exec', 'plain', 'cat', '/proc/1/cmdline']), /^prefork: master \[server\]/);
    assert.match(await logs('plain'), /PID 1/);
    await engine.run(['stop', 'plain']);
    assert.equal(await inspect('plain', '.State.ExitCode'), '0');
  });

  it('P1-04: the number of workers and the limit of memory are the container’s, not the host’s', async (t) => {
    assert.ok(docker !== null);
    const { name } = await run(t, ['--cpus', '1', '-m', '1g']);
    assert.match(await logs(name), /prefork starts 3 workers/);
    const { maxMemory } = JSON.parse(
      await docker.run(['exec', name, '/app/node_modules/.bin/prefork', 'config', '--name', 'server']),
    ) as { maxMemory: number };
    const mb = maxMemory / 1024 / 1024;
    assert.ok(mb > 150 && mb < 256, `of 1 GB, three workers and one more while they are replaced: ${mb} MB each`);
    await docker.run(['kill', '-s', 'TERM', name]);
    await until('the end', async () => (await inspect(name, '.State.Status')) === 'exited', { within: 30_000 });
  });

  it('P1-04: a read-only root, no home, any uid, no capabilities', async (t) => {
    assert.ok(docker !== null);
    const hard = ['--read-only', '-u', '12345:12345', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
    const { name, port } = await run(t, hard, ['-w', '1']);
    await docker.run(['kill', '-s', 'HUP', name]);
    await until('the reload', async () => (await logs(name)).includes('reload 1 done'), { within: 60_000 });
    assert.equal((await request({ port }, '/healthz')).status, 200);
    await docker.run(['stop', name]);
    assert.equal(await inspect(name, '.State.ExitCode'), '0');
  });

  it('the compose file can be deployed as a stack, and starts the new container first', async () => {
    assert.ok(docker !== null);
    const stack = await docker.run(['stack', 'config', '-c', join(root, 'config/docker/compose.yaml')]);
    for (const part of [/order: start-first/, /healthcheck:/, /cpus: "2"/, /memory: "1073741824"/, /init: true/]) {
      assert.match(stack, part);
    }
  });
});
