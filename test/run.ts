/**
 * Runs the tests: all of them, or those whose path contains a word that is given.
 *
 *     npm test                                        everything but test/e2e
 *     npm test -- test/unit/core/fleet.test.ts        one file
 *     npm test -- upgrade reload                      every file with one of these words in its path
 *     npm run test:unit -- worker                     the same among the unit tests
 *
 * Each file is a process, as `node --test` has it. Unit files run on every core, integration files three at a time: they wait
 * more than they work. A file that measures time, memory or load, or makes load for the whole machine, has the machine to
 * itself: it says so in a line of its own that begins with `// Runs alone: `.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { type TestEvent as NodeTestEvent, spec, tap } from 'node:test/reporters';
import { root } from './support/paths.ts';
import { slowness } from './support/slowness.ts';

type Kind = 'unit' | 'integration' | 'e2e';

interface TestFile {
  /** Relative to the repository. */
  readonly path: string;
  readonly kind: Kind;
  readonly alone: boolean;
  readonly bytes: number;
  /** Only tests of this name. */
  readonly only: RegExp | null;
}

/** What node:test tells; its types name every kind, of which the runner needs to know little. */
interface TestEvent {
  readonly type: string;
  readonly data: { nesting?: number; testNumber?: number; message?: string } & Record<string, unknown>;
}

/** The closing lines of node:test, each a sum over all files. */
const closing = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo'] as const;
const totals = new Map<string, number>(closing.map((name) => [name, 0]));
const closingLine = new RegExp(`^(${[...closing, 'duration_ms'].join('|')}) [\\d.]+$`);

/**
 * What differs from one Node to another: internals that prefork leans on, listening, how modules, TypeScript and
 * configuration are loaded, frameworks, metrics of the app, a reload, an upgrade. The rest runs on one Node only. With a
 * pattern, only the tests of that name.
 */
const matrix: ReadonlyMap<string, RegExp | null> = new Map([
  ['test/unit/master/service/young-generation.test.ts', null],
  ['test/integration/system/node-internals.test.ts', null],
  ['test/integration/worker/evidence.test.ts', null],
  ['test/integration/worker/light.test.ts', null],
  ['test/integration/worker/migration/migration.test.ts', /MIG-02|MIG-06/],
  ['test/integration/worker/listen.test.ts', null],
  ['test/integration/worker/listen-plain.test.ts', null],
  ['test/integration/worker/loading/app.test.ts', null],
  ['test/integration/worker/loading/evaluated-once.test.ts', null],
  ['test/integration/worker/loading/preloads.test.ts', null],
  ['test/integration/config/config.test.ts', null],
  ['test/unit/master/workers/compile-cache.test.ts', null],
  ['test/integration/master/workers/compile-cache.test.ts', null],
  ['test/integration/whole/frameworks.test.ts', null],
  ['test/integration/master/metrics/metrics.test.ts', /one sum over all workers|are all there|config in TypeScript/],
  ['test/integration/master/inside/inside.test.ts', /are taken under load|of the loop that blocks it/],
  ['test/integration/master/reload.test.ts', /four kinds of client at once/],
  ['test/integration/master/upgrade/upgrade.test.ts', /upgrades in a row/],
  ['test/integration/whole/slow-line.test.ts', /three reloads/],
]);

/** Milliseconds after which a file is ended, whatever it does: no test is to wait so long. */
const hangs = 45 * 60_000 * slowness();

function findAll(): TestFile[] {
  const kinds: readonly Kind[] = ['unit', 'integration', 'e2e'];
  return kinds.flatMap((kind) =>
    readdirSync(resolve(root, 'test', kind), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => {
        const file = resolve(root, 'test', kind, name);
        const alone = kind === 'e2e' || /^\/\/ Runs alone: ./m.test(readFileSync(file, 'utf8'));
        return { path: relative(root, file).split(sep).join('/'), kind, alone, bytes: statSync(file).size, only: null };
      }),
  );
}

/** `--unit`, `--integration`, `--e2e`, `--matrix` name a set; anything else is a word of a path. */
function select(files: readonly TestFile[], args: readonly string[]): TestFile[] {
  const sets = args.filter((arg) => arg.startsWith('--')).map((arg) => arg.slice(2));
  const words = args.filter((arg) => !arg.startsWith('--')).map((word) => word.replace(/^\.\//, ''));
  const unknown = sets.filter((set) => !['unit', 'integration', 'e2e', 'matrix'].includes(set));
  if (unknown.length > 0) throw new Error(`there is no set of tests ${unknown.join(', ')}`);
  const isNamed = (path: string): boolean => words.some((word) => path.includes(word));
  // The end-to-end tests need software that few machines have: they run when they are asked for.
  const inSet = ({ path, kind }: TestFile): boolean =>
    sets.length === 0
      ? kind !== 'e2e' || isNamed(path)
      : sets.includes(kind) || (sets.includes('matrix') && matrix.has(path));
  for (const path of sets.includes('matrix') ? matrix.keys() : []) {
    if (!files.some((file) => file.path === path)) throw new Error(`the matrix names ${path}, which there is not`);
  }
  for (const word of words) {
    if (!files.some((file) => file.path.includes(word) && inSet(file)))
      throw new Error(`no test file is called ${word}`);
  }
  return files
    .filter((file) => inSet(file) && (words.length === 0 || isNamed(file.path)))
    .map((file) => (sets.includes('matrix') ? { ...file, only: matrix.get(file.path) ?? null } : file));
}

function add(name: string, count: number): void {
  const total = totals.get(name);
  if (total !== undefined) totals.set(name, total + count);
}

const took: { readonly path: string; readonly seconds: number }[] = [];
let tests = 0;
const startedAt = performance.now();

/** Runs one file; its events come together, once it is over, so that files that run at once are not mixed up. */
async function runFile({ path, only }: TestFile): Promise<TestEvent[]> {
  const fileStartedAt = performance.now();
  const file = resolve(root, path);
  const events: TestEvent[] = [];
  let passed = 0;
  const stream: AsyncIterable<unknown> = run({
    files: [file],
    concurrency: 1,
    timeout: hangs,
    ...(only === null ? {} : { testNamePatterns: only }),
  });
  for await (const event of stream as AsyncIterable<TestEvent>) {
    const { type, data } = event;
    const isOutermost = data.nesting === 0;
    if (type === 'test:summary' || (type === 'test:plan' && isOutermost)) continue;
    if (type === 'test:diagnostic' && isOutermost && closingLine.test(data.message ?? '')) {
      const [name = '', value = ''] = data.message?.split(' ') ?? [];
      add(name, Number(value));
      if (name === 'pass') passed += Number(value);
      continue;
    }
    if (isOutermost && (type === 'test:pass' || type === 'test:fail')) data.testNumber = ++tests;
    // node:test takes a file without tests for a test that passes.
    if (type === 'test:pass' && isOutermost && data.name === file) {
      add('pass', -1);
      add('fail', 1);
      const error = new Error('there is no test in this file');
      events.push({ type: 'test:fail', data: { ...data, details: { duration_ms: 0, error } } });
    } else events.push(event);
  }
  if (only !== null && passed === 0) {
    add('fail', 1);
    events.push({
      type: 'test:stderr',
      data: { message: `no test of ${path} is called ${String(only)}, or none passes\n` },
    });
  }
  took.push({ path, seconds: (performance.now() - fileStartedAt) / 1_000 });
  return events;
}

/** Runs files, so many at a time, and tells of each when it is over. */
async function* runAll(files: readonly TestFile[], atOnce: number): AsyncGenerator<TestEvent> {
  const waiting = [...files];
  const running = new Map<TestFile, Promise<{ file: TestFile; events: TestEvent[] }>>();
  while (waiting.length > 0 || running.size > 0) {
    for (let next = waiting.shift(); next !== undefined; next = running.size < atOnce ? waiting.shift() : undefined) {
      const file = next;
      running.set(
        file,
        runFile(file).then((events) => ({ file, events })),
      );
    }
    const { file, events } = await Promise.race(running.values());
    running.delete(file);
    yield* events;
  }
}

async function* everything(files: readonly TestFile[]): AsyncGenerator<TestEvent, void> {
  // Big ones first, so that the last one to end is a small one.
  const shared = files.filter(({ alone }) => !alone).sort((one, other) => other.bytes - one.bytes);
  const cores = Math.max(2, availableParallelism());
  yield* runAll(
    shared.filter(({ kind }) => kind === 'unit'),
    cores,
  );
  yield* runAll(
    shared.filter(({ kind }) => kind !== 'unit'),
    3,
  );
  yield* runAll(
    files.filter(({ alone }) => alone),
    1,
  );
  const say = (message: string): TestEvent => ({
    type: 'test:diagnostic',
    data: { nesting: 0, message, level: 'info' },
  });
  yield { type: 'test:plan', data: { nesting: 0, count: tests } };
  const slowest = took.toSorted((one, other) => other.seconds - one.seconds).slice(0, 10);
  if (took.length > 1) yield say(`the slowest of ${took.length} files:`);
  if (took.length > 1) for (const { path, seconds } of slowest) yield say(`  ${seconds.toFixed(1)} s ${path}`);
  for (const [name, value] of totals) yield say(`${name} ${value}`);
  yield say(`duration_ms ${Math.round(performance.now() - startedAt)}`);
}

try {
  const files = select(findAll(), process.argv.slice(2));
  if (files.length === 0) throw new Error('there is nothing to run');
  // TAP for machines, and for people something to look at.
  const reporter = process.stdout.isTTY
    ? Readable.from(everything(files)).pipe(new spec())
    : tap(everything(files) as AsyncGenerator<unknown, void> as AsyncGenerator<NodeTestEvent, void>);
  for await (const text of reporter as AsyncIterable<string>) process.stdout.write(text);
  if (tests === 0 || totals.get('fail') !== 0 || totals.get('cancelled') !== 0) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`test/run.ts: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
