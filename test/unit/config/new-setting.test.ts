/** A setting that somebody adds to the table, and a hook, arrive everywhere without a further line. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { helpText, parseWords } from '../../../src/cli/parse.ts';
import { hooks, inChild, inWorker, isWorkerHook, settingsOfHooks } from '../../../src/config/hooks.ts';
import { callHook } from '../../../src/config/probe/run.ts';
import { choice, type Time, time } from '../../../src/config/settings/kinds.ts';
import { inGroup } from '../../../src/config/settings/setting.ts';
import { type Plain, settings, settingsFor, type Written } from '../../../src/config/settings.ts';
import { bootInfo } from '../../../src/master/workers/boot.ts';
import { load, onlyProblem, project } from '../../support/config-harness.ts';
import { renderSettings } from '../../support/settings-page.ts';

const setting = inGroup('Workers');

/** As a newcomer writes them. */
const added = {
  /** How long a thing sticks. */
  stickyFor: setting({
    kind: time,
    default: 5_000,
    zero: 'off',
    short: 'k',
    env: 'STICKY_FOR',
    for: ['worker'],
    doc: 'How long a thing sticks to its worker',
    elsewhere: ['glue_time'],
  }),
  stickyMode: setting({
    kind: choice(['loose', 'tight']),
    default: 'loose',
    at: 'start',
    for: ['core'],
    doc: 'How tightly a thing sticks',
  }),
};
const table = { ...settings, ...added };
const file = 'supervisor.config.mjs';

/** What a load with the table gives for `stickyFor`. */
async function stickyFor(cwd: string, given: Parameters<typeof load>[1] = {}): Promise<unknown> {
  return Reflect.get(await load(cwd, given, table), 'stickyFor');
}

describe('a new setting', () => {
  it('has its default, and is unknown without the table', async (t) => {
    const cwd = project(t);
    assert.equal(await stickyFor(cwd), 5_000);
    assert.equal(Reflect.has(await load(cwd), 'stickyFor'), false);
    assert.match(await onlyProblem(cwd, { flags: { app: 'app.cjs', stickyFor: '9' } }), /stickyFor: unknown setting/);
  });

  it('is a flag, long and short, and at a mistake the flag is proposed', async (t) => {
    const cwd = project(t);
    for (const words of [['--sticky-for', '9s'], ['--sticky-for=9'], ['-k', '9000ms'], ['-k9']]) {
      const { values, positionals, problems } = parseWords(['app.cjs', ...words], 'command line', table);
      assert.deepEqual([positionals, problems], [['app.cjs'], []]);
      assert.equal(await stickyFor(cwd, { flags: { app: 'app.cjs', ...values } }), 9_000, words.join(' '));
    }
    for (const mistake of ['--sticky-fro', '--glue-time']) {
      const [problem] = parseWords([mistake, '1'], 'command line', table).problems;
      assert.equal(problem?.message, `unknown option ${mistake}; did you mean --sticky-for?`);
    }
  });

  it('is an environment variable, below the file', async (t) => {
    const cwd = project(t);
    const env = { STICKY_FOR: '7s' };
    assert.equal(await stickyFor(cwd, { env }), 7_000);
    assert.equal(await stickyFor(project(t, { [file]: 'export default { stickyFor: 8 }' }), { env }), 8_000);
    assert.match(
      await onlyProblem(cwd, { env: { STICKY_FOR: 'x' } }, table),
      /^environment variable STICKY_FOR: stickyFor: expected seconds.*, got 'x'$/,
    );
  });

  it('is in a config file, where mistakes are explained', async (t) => {
    const problem = (text: string) => onlyProblem(project(t, { [file]: `export default ${text}` }), {}, table);
    assert.match(
      await problem("{ stickyFor: 'ever' }"),
      /stickyFor: expected seconds, or a string such as '500ms'.*, got 'ever'$/,
    );
    assert.match(await problem("{ stickyMode: 'wet' }"), /stickyMode: expected one of loose, tight, got 'wet'$/);
    assert.match(await problem('{ glueTime: 1 }'), /glueTime: unknown setting; did you mean stickyFor\?$/);
  });

  it('has its types: what a config file writes, and what prefork reads', () => {
    const written: Written<typeof table> = { stickyFor: '5s', stickyMode: 'tight', workers: 3 };
    const time: Time | undefined = written.stickyFor;
    // @ts-expect-error not one of the choices
    const wrong: Written<typeof table> = { stickyMode: 'wet' };
    type Read = Pick<Plain<typeof table>, 'stickyFor' | 'stickyMode'>;
    const read: Read = { stickyFor: 5, stickyMode: 'loose' };
    assert.ok(time !== undefined && read !== undefined && wrong !== undefined);
  });

  it('is in --help, with its default', async () => {
    const help = await helpText(100, 'prefork [app]', table);
    const workers = /^Workers:\n(?:.+\n)+/m.exec(help)?.[0] ?? '';
    assert.match(workers, /-k, --sticky-for +How long a thing sticks to its worker; 0 is off \[5s\]/);
    assert.match(workers, /--sticky-mode +How tightly a thing sticks \[loose\]/);
  });

  it('is on the reference page', () => {
    const rows = renderSettings(table).split('\n');
    const doc = 'How long a thing sticks to its worker; 0 is off. Environment: `STICKY_FOR`.';
    assert.ok(rows.includes(`| \`stickyFor\` | \`-k\`, \`--sticky-for\` | time | 5s | reload | ${doc} |`));
    const choices = '`loose`, `tight`';
    assert.ok(
      rows.includes(
        `| \`stickyMode\` | \`--sticky-mode\` | ${choices} | loose | start | How tightly a thing sticks. |`,
      ),
    );
  });

  it('arrives in the workers if it is marked for them, and in the core likewise', async (t) => {
    const resolved = await load(project(t), { flags: { app: 'app.cjs', stickyFor: '9', stickyMode: 'tight' } }, table);
    const birth = { id: 1, slot: 1, generation: 1, settings: resolved, queue: null };
    const boot: unknown = JSON.parse(JSON.stringify(bootInfo(birth, 500, table).settings));
    assert.deepEqual(boot, { ...bootInfo(birth, 500).settings, stickyFor: 9_000 });
    assert.deepEqual(settingsFor('core', resolved, table), { ...settingsFor('core', resolved), stickyMode: 'tight' });
  });
});

describe('a new hook', () => {
  const facts = { moment: 'it rains', payload: 'the rain', onThrow: 'nothing follows', byDefault: 'none' } as const;
  const newHooks = {
    ...hooks,
    onRain: inChild<{ readonly mm: number }>({ ...facts, group: 'Log', doc: 'Called when it rains' }),
    rainLabel: inWorker<(rain: number) => string>({ ...facts, group: 'Log', doc: 'Names the rain' }),
  };
  const withHooks = { ...settings, ...settingsOfHooks(newHooks) };

  it('is a setting of the config file, with its type, and has no flag', async (t) => {
    const written: Written<typeof withHooks> = { onRain: ({ mm }) => console.log(mm), rainLabel: (rain) => `${rain}` };
    // @ts-expect-error the payload has no such property
    const wrong: Written<typeof withHooks> = { onRain: ({ cm }) => console.log(cm) };
    assert.ok(written !== undefined && wrong !== undefined);
    const cwd = project(t, { [file]: 'export default { onRain() {}, rainLabel: 7 }' });
    const problem = await onlyProblem(cwd, {}, withHooks);
    assert.match(problem, /rainLabel: expected a function \(hooks are set in the config file\), got 7$/);
    assert.doesNotMatch(await helpText(100, 'prefork [app]', withHooks), /on-rain|rain-label|onRain/i);
    const [unknown] = parseWords(['--on-rain', '1'], 'command line', withHooks).problems;
    assert.equal(unknown?.message, 'unknown option --on-rain; prefork --help lists them all');
  });

  it('is on the reference page, as a setting and as a hook', () => {
    const page = renderSettings(withHooks, newHooks);
    assert.ok(page.includes('| `onRain` |  | function | none | reload | Called when it rains. |'));
    assert.ok(page.includes('| `onRain` | a process of its own | it rains | the rain | nothing follows |'));
    assert.ok(page.includes('| `rainLabel` | each worker | it rains | the rain | nothing follows |'));
  });

  it('is called with its payload in a child; one for the workers goes to them', async (t) => {
    const cwd = project(t, { [file]: "export default { onRain({ mm }) { throw new Error('wet: ' + mm); } }" });
    const resolved = await load(cwd, {}, withHooks);
    // The types know the hooks of the product only.
    const failure = await callHook(resolved, 'onRain' as 'onWorkerAbort', { mm: 3 } as never);
    assert.match(failure ?? '', /^Error: wet: 3 \(at /);
    assert.deepEqual(
      Object.keys(newHooks).filter((name) => isWorkerHook(name, newHooks)),
      ['routeLabel', 'rainLabel'],
    );
  });
});

describe('queues', () => {
  it('auto is a spelling of shared, the default', async (t) => {
    const cwd = project(t);
    const queues = async (...given: string[]) => {
      const flags = { app: 'app.cjs', ...(given[0] === undefined ? {} : { queues: given[0] }) };
      return (await load(cwd, { flags })).queues;
    };
    assert.deepEqual(
      [await queues(), await queues('auto'), await queues('shared'), await queues('per-worker')],
      ['shared', 'shared', 'shared', 'per-worker'],
    );
  });
});
