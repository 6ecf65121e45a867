/**
 * Where the tests of this very Node come from: a folder that is named, or Debian's source package of the same major,
 * fetched with apt from the mirror that this machine is configured for.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fromRoot } from '../../support/paths.ts';

export interface TestSource {
  /** The folder that has `parallel`, `common` and `fixtures`. */
  readonly tests: string;
  /** What the tables say of it. */
  readonly described: string;
}

/** Why there is no copy; the message says it. */
export class NoCopyError extends Error {
  readonly code = 'NO_COPY';
  override readonly name = 'NoCopyError';
}

const suites = ['bookworm', 'trixie', 'forky', 'sid', 'experimental'];

/**
 * Finds a copy of Node's test folder.
 *
 * @param from a checkout of Node, or its test folder; `null` for Debian's source
 * @param major of the Node that is to run them
 * @throws {@link NoCopyError} if none is at hand
 */
export function findTests(from: string | null, major: number): TestSource {
  if (from !== null) {
    const tests = [resolve(from), resolve(from, 'test')].find((folder) => existsSync(join(folder, 'parallel')));
    if (tests === undefined) throw new NoCopyError(`${from} has no folder test/parallel`);
    return { tests, described: versionOf(join(tests, '..')) ?? 'the copy that was named' };
  }
  const home = fromRoot(`.cache/compat/node/${major}`);
  const note = join(home, 'source.txt');
  if (!existsSync(note)) {
    mkdirSync(home, { recursive: true });
    try {
      writeFileSync(note, fromDebian(home, major));
    } finally {
      rmSync(join(home, 'apt'), { recursive: true, force: true });
    }
  }
  // prefork's own package.json above it says that its files are ES modules; these are not.
  writeFileSync(join(home, 'package.json'), '{}\n');
  return { tests: join(home, 'test'), described: readFileSync(note, 'utf8') };
}

/** The version that a checkout says it is, or `null`. */
function versionOf(checkout: string): string | null {
  const header = join(checkout, 'src/node_version.h');
  if (!existsSync(header)) return null;
  const text = readFileSync(header, 'utf8');
  const part = (name: string): string => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1] ?? '?';
  return `Node ${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
}

/** Downloads the source package and unpacks its tests. @returns a description of it */
function fromDebian(home: string, major: number): string {
  const mirror = debianMirror();
  const apt = join(home, 'apt');
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  mkdirSync(join(apt, 'cache/archives/partial'), { recursive: true });
  const signed = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
  const list = join(apt, 'sources.list');
  writeFileSync(list, suites.map((suite) => `deb-src ${signed} ${mirror} ${suite} main\n`).join(''));
  const options = [
    `Dir::Etc::SourceList=${list}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(apt, 'lists')}`,
    `Dir::Cache=${join(apt, 'cache')}`,
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  run('apt-get', [...options, 'update']);
  const versions = [...run('apt-cache', [...options, 'showsrc', 'nodejs']).matchAll(/^Version: (\S+)$/gm)]
    .map(([, version = '']) => version)
    .filter((version) => version.startsWith(`${major}.`));
  const version = versions.find((each) => each.startsWith(`${process.versions.node}+`)) ?? versions.at(-1);
  if (version === undefined) throw new NoCopyError(`Debian has no source of Node ${major}`);
  run('apt-get', [...options, 'source', '--download-only', '--tar-only', '--only-source', `nodejs=${version}`], apt);
  const archive = readdirSync(apt).find((file) => /^nodejs_.*\.orig\.tar\.\w+$/.test(file));
  if (archive === undefined) throw new NoCopyError('apt brought no archive of Node');
  const wanted = ['parallel', 'common', 'fixtures'].map((folder) => `*/test/${folder}/*`);
  run('tar', ['-xf', join(apt, archive), '-C', home, '--strip-components=1', '--wildcards', ...wanted]);
  return `Debian's source of Node ${version.split('+')[0] ?? version}`;
}

/** The address of Debian's mirror, as apt has it configured. */
function debianMirror(): string {
  let lines: string;
  try {
    lines = run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(LABEL)']);
  } catch {
    throw new NoCopyError('there is no apt here');
  }
  const configured = lines.split('\n').find((line) => line.endsWith(' Debian')) ?? sourcesOf('/etc/apt');
  const uri = configured?.split(' ')[0];
  if (uri === undefined) throw new NoCopyError('apt has no mirror of Debian configured');
  return uri;
}

/** Before the first `apt-get update` apt knows no label: the files say the address. */
function sourcesOf(folder: string): string | undefined {
  const file = join(folder, 'sources.list.d/debian.sources');
  if (!existsSync(file)) return undefined;
  return /^URIs: (\S+)/m.exec(readFileSync(file, 'utf8'))?.[1];
}

function run(command: string, args: readonly string[], cwd?: string): string {
  try {
    return execFileSync(command, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 2 ** 26,
    });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n').at(-1) : '';
    throw new NoCopyError(`${command} ${args.at(-1) ?? ''} failed: ${said}`);
  }
}
