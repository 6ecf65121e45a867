/** Imports go one way, and Node's internals are touched in one file. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const src = fileURLToPath(new URL('../../src/', import.meta.url));

interface Source {
  /** Relative to src. */
  readonly path: string;
  readonly text: string;
}

/** What a folder may import besides itself. `index.ts` and `errors.ts` are folders of one file. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  core: ['errors'],
  config: ['errors', 'core', 'system'],
  protocol: ['errors', 'core', 'config', 'system'],
  system: ['errors'],
  app: ['errors'],
  worker: ['errors', 'core', 'config', 'protocol', 'system', 'app'],
  notify: ['errors', 'config', 'system'],
  master: ['errors', 'core', 'config', 'protocol', 'system', 'notify'],
  cli: ['errors', 'core', 'config', 'protocol', 'system', 'master'],
  // Runs in a browser: what it imports from elsewhere are types, but for a few files; a test below checks that.
  page: ['protocol'],
  index: ['errors', 'config', 'app'],
};

/** The master's floors, from the top: each may import from those below it. A floor's rooms do not know each other. */
const floors: readonly (readonly string[])[] = [
  ['start', 'preflight'],
  ['master'],
  ['effects', 'reports'],
  ['end'],
  ['parts'],
  ['release-at-start'],
  ['upgrade', 'generations'],
  ['claims', 'release', 'deaths'],
  ['inside'],
  ['operator', 'stuck', 'verify', 'notify', 'metrics', 'policy', 'outcomes'],
  ['sockets', 'arbiter'],
  ['workers', 'command', 'stop-now'],
  ['log', 'service', 'notices', 'clock', 'migration', 'autoscale', 'releases'],
];

const internals = /_createServerHandle|_getServer\b|_httpMessage|_listeningId|internalMessage|_pipeName/;

function sources(): Source[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(join(src, path), 'utf8') }));
}

function folderOf(path: string): string {
  return (path.split('/')[0] ?? '').replace(/\.ts$/, '');
}

/** `import ... from`, `export ... from`, `import ''`, `import('')`, `require('')`; of types as well. */
function importsOf({ text }: Source): string[] {
  const found = withoutComments(text).matchAll(
    /(?<![-\w'"`])(?:from|import|(?:import|require)\()\s*(['"`])([^'"`$]+)\1/g,
  );
  return [...found].map((match) => match[2] ?? '');
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '');
}

/** @returns what is wrong with the imports of a file, in words */
function wrongEdges(source: Source): string[] {
  const from = folderOf(source.path);
  return importsOf(source).flatMap((specifier) => {
    if (specifier.startsWith('.')) {
      const to = folderOf(relative(src, join(src, dirname(source.path), specifier)));
      const isFine = to === from || allowed[from]?.includes(to) === true;
      return isFine ? [] : [`${source.path} (${from}) imports ${specifier} (${to})`];
    }
    // The access log is written by pino's own destination, where there is one.
    const isFree =
      specifier.startsWith('node:') ||
      !['core', 'worker', 'protocol', 'system', 'errors'].includes(from) ||
      (source.path === 'worker/access-log/destination.ts' && specifier === 'pino');
    return isFree || specifier === 'prefork' ? [] : [`${source.path} imports the package ${specifier}`];
  });
}

test('imports go one way', () => {
  const all = sources();
  assert.ok(all.length > 40, 'the sources were found');
  for (const source of all)
    assert.ok(Object.hasOwn(allowed, folderOf(source.path)), `${source.path} is in no known folder`);
  assert.deepEqual(all.flatMap(wrongEdges), []);
});

/** @returns the floor of a file of the master; -1 if it has none */
function floorOf(path: string): number {
  const room = folderOf(relative('master', path));
  return floors.findIndex((rooms) => rooms.includes(room));
}

/** @returns what is wrong with a file's imports inside `master/`, in words */
function wrongFloors(source: Source): string[] {
  const from = floorOf(source.path);
  if (from < 0) return [`${source.path} is on no known floor of the master`];
  return filesImportedBy(source)
    .filter((path) => folderOf(path) === 'master' && roomOf(path) !== roomOf(source.path) && floorOf(path) <= from)
    .map((path) => `${source.path} imports ${path}, which is not below it`);
}

function roomOf(path: string): string {
  return folderOf(relative('master', path));
}

/** Relative to src. */
function filesImportedBy(source: Source): string[] {
  return importsOf(source)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => join(dirname(source.path), specifier));
}

/** @returns the groups of files that import each other, directly or by way of others; each sorted */
function circlesIn(all: readonly Source[]): string[][] {
  const edges = new Map(all.map((source) => [source.path, filesImportedBy(source)]));
  const reached = new Map([...edges.keys()].map((path) => [path, reachableFrom(path, edges)]));
  const circles = [...reached].flatMap(([path, others]) =>
    others.has(path)
      ? [
          [...others]
            .filter((other) => reached.get(other)?.has(path) === true)
            .sort()
            .join(' '),
        ]
      : [],
  );
  return [...new Set(circles)].sort().map((circle) => circle.split(' '));
}

function reachableFrom(path: string, edges: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set<string>();
  const ahead = [...(edges.get(path) ?? [])];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    ahead.push(...(edges.get(next) ?? []));
  }
  return found;
}

test('inside the master, too', () => {
  const master = sources().filter(({ path }) => path.startsWith('master/'));
  assert.ok(master.length > 40);
  assert.deepEqual(master.flatMap(wrongFloors), []);
});

test('no files import each other in a circle, not even for types', () => {
  assert.deepEqual(circlesIn(sources()), []);
});

test('core needs nothing of Node', () => {
  const used = sources()
    .filter(({ path }) => path.startsWith('core/'))
    .flatMap((source) => importsOf(source).filter((specifier) => !specifier.startsWith('.')));
  assert.deepEqual(used, []);
  for (const { path, text } of sources().filter((source) => source.path.startsWith('core/'))) {
    assert.doesNotMatch(
      text,
      /Date\.now|new Date|performance\.|Math\.random|process\.|console\.|set(?:Timeout|Interval|Immediate)/,
      path,
    );
  }
});

/** What the page takes into the browser; it needs nothing but types from anywhere else. */
const forBrowsers = [
  'figures.ts',
  'figures-row.ts',
  'figures-text.ts',
  'reload-text.ts',
  'release-text.ts',
  'requests.ts',
  'requests-text.ts',
];

/** Imports of values from another folder, or from a package. */
function valuesFromElsewhere(text: string): string[] {
  return [...text.matchAll(/^import (?!type )[^;]*?'((?:\.\.\/|node:|\w)[^']*)';/gm)].map((match) => match[1] ?? '');
}

test('the page takes only types from elsewhere, and what is written for browsers; it makes no markup of text', () => {
  const page = sources().filter(({ path }) => path.startsWith('page/'));
  assert.ok(page.length > 5);
  for (const { path, text } of page) {
    const others = valuesFromElsewhere(text).filter(
      (from) => !forBrowsers.some((name) => from === `../protocol/${name}`),
    );
    assert.deepEqual(others, [], path);
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser|srcdoc/, path);
  }
});

test('what is written for browsers imports nothing but types and one another', () => {
  for (const name of forBrowsers) {
    const { text } = sources().find(({ path }) => path === `protocol/${name}`) ?? assert.fail(name);
    assert.deepEqual(valuesFromElsewhere(text), [], name);
    const beside = [...text.matchAll(/^import (?!type )[^;]*?'\.\/([^']*)';/gm)].map((match) => match[1] ?? '');
    assert.deepEqual(
      beside.filter((other) => !forBrowsers.includes(other)),
      [],
      name,
    );
  }
  assert.deepEqual(valuesFromElsewhere("import { a } from '../core/fleet.ts';\nimport fs from 'node:fs';"), [
    '../core/fleet.ts',
    'node:fs',
  ]);
  assert.deepEqual(valuesFromElsewhere("import type { A } from '../core/fleet.ts';\nimport { b } from './b.ts';"), []);
});

test("Node's internals are touched in one file", () => {
  const touching = sources().filter(({ text }) => internals.test(withoutComments(text)));
  assert.deepEqual(
    touching.map(({ path }) => path),
    ['system/node-internals.ts'],
  );
});

test('the check itself sees a wrong edge', () => {
  assert.equal(wrongEdges({ path: 'core/x.ts', text: "import { a } from '../protocol/messages.ts';" }).length, 1);
  assert.equal(wrongEdges({ path: 'worker/x.ts', text: "import { a } from '../master/pool.ts';" }).length, 1);
  assert.equal(wrongEdges({ path: 'worker/x.ts', text: "import pino from 'pino';" }).length, 1);
  assert.equal(wrongEdges({ path: 'master/x.ts', text: "const a = await import('../cli/x.ts');" }).length, 1);
  assert.equal(wrongEdges({ path: 'master/x.ts', text: "import type { A } from '../worker/agent.ts';" }).length, 1);
  assert.equal(wrongEdges({ path: 'core/rules/x.ts', text: "import '../../config/load.ts';" }).length, 1);
  assert.equal(wrongEdges({ path: 'core/x.ts', text: "export { a } from '../master/log/narrate.ts';" }).length, 1);
  assert.equal(wrongEdges({ path: 'worker/x.ts', text: 'import yargs from "yargs";' }).length, 1);
  assert.equal(wrongEdges({ path: 'worker/x.ts', text: "const yargs = require('yargs');" }).length, 1);
  assert.equal(wrongEdges({ path: 'errors.ts', text: "import { a } from './core/fleet.ts';" }).length, 1);
  assert.equal(wrongEdges({ path: 'config/x.ts', text: "import { a } from '../worker/agent.ts';" }).length, 1);
});

test('the check itself sees a way up inside the master, and a circle', () => {
  const wrong: [string, string][] = [
    ['master/parts.ts', './master.ts'],
    ['master/effects.ts', './reports.ts'],
    ['master/claims/x.ts', '../upgrade/channel.ts'],
    ['master/operator/x.ts', '../claims/claim.ts'],
    ['master/log/x.ts', '../service/signals.ts'],
    ['master/somewhere/x.ts', '../log/logger.ts'],
  ];
  for (const [path, specifier] of wrong)
    assert.equal(wrongFloors({ path, text: `import type { A } from '${specifier}';` }).length, 1, path);
  for (const specifier of ['../sockets/bind.ts', './y.ts', '../../core/fleet.ts'])
    assert.deepEqual(wrongFloors({ path: 'master/claims/x.ts', text: `import { a } from '${specifier}';` }), []);
  const circle = [
    { path: 'a/1.ts', text: "import type { A } from '../b/2.ts';" },
    { path: 'b/2.ts', text: "export { a } from './3.ts';" },
    { path: 'b/3.ts', text: "const a = await import('../a/1.ts');" },
    { path: 'b/4.ts', text: "import { a } from './3.ts';" },
  ];
  assert.deepEqual(circlesIn(circle), [['a/1.ts', 'b/2.ts', 'b/3.ts']]);
});

test('the check itself lets right edges pass, and comments', () => {
  const right = ["import { a } from '../core/fleet.ts';", "import fs from 'node:fs';", "// import '../master/pool.ts'"];
  for (const text of right) assert.deepEqual(wrongEdges({ path: 'worker/x.ts', text }), []);
  assert.deepEqual(wrongEdges({ path: 'core/rules/x.ts', text: "import { a } from '../../errors.ts';" }), []);
});
