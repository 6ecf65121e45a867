/** Values that are refused, and what is said about them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../src/errors.ts';
import { load, onlyProblem, problemsOf, project } from '../../support/config-harness.ts';

/** A setting, a bad value as it is written in a config file, and what the message says. */
type Row = readonly [setting: string, source: string, says: RegExp];

const inFile: readonly Row[] = [
  ['workers', '0', /expected a whole number from 1 to 1024, auto, or a range such as .* 2-8, got 0$/],
  ['workers', '-1', /from 1 to 1024.*, got -1$/],
  ['workers', '1.5', /whole number.*, got 1\.5$/],
  ['workers', 'NaN', /whole number.*, got .*NaN$/],
  ['workers', 'Infinity', /whole number.*, got .*Infinity$/],
  ['workers', "'4'", /whole number.*, got '4'$/],
  ['workers', '1e6', /from 1 to 1024.*, got 1000000$/],
  ['workers', '() => 4', /whole number.*, got a function$/],
  ['workers', '{ min: 1, max: Infinity }', /got \{ min: 1, max: Infinity \}$/],
  ['workers', '{ min: () => 2, max: NaN }', /got \{ min: a function, max: NaN \}$/],
  ['workers', 'new Date(0)', /whole number.*, got a Date$/],
  ['workers', '4n', /whole number.*, got a bigint$/],
  ['workers', '{ min: 3, max: 2 }', /a range whose min is at most its max, got \{ min: 3, max: 2 \}$/],
  ['workers', '{ min: 2 }', /a range such as \{ min: 2, max: 8 \}.*, got \{ min: 2 \}$/],
  ['workers', '{ min: 1, max: 2, step: 1 }', /a range such as .*, got \{ min: 1, max: 2, step: 1 \}$/],
  ['workers', "'2-8-9'", /a range such as .*, got '2-8-9'$/],
  ['workers', '[4]', /whole number.*, got \[ 4 \]$/],
  ['maxWorkers', '0', /whole number from 1 to 1024, got 0$/],
  ['timeout', '-1', /expected seconds, or a string such as '500ms'.*not negative.*, got -1$/],
  ['timeout', "'30 parsecs'", /seconds.*, got '30 parsecs'$/],
  ['timeout', "'30'", /seconds.*, got '30'$/],
  ['timeout', 'NaN', /seconds.*, got .*NaN$/],
  ['timeout', 'Infinity', /seconds.*, got .*Infinity$/],
  ['timeout', 'true', /seconds.*, got true$/],
  ['timeout', "'1e9d'", /seconds.*, got '1e9d'$/],
  ['timeout', '1e12', /at most 24 days, got 1000000000000$/],
  ['slowRequest', '-1', /expected seconds, or a string such as '500ms'.*not negative.*, got -1$/],
  ['slowRequest', "'slow'", /seconds.*, got 'slow'$/],
  ['requestTimeout', "'-60s'", /seconds.*, got '-60s'$/],
  ['requestTimeout', 'true', /seconds.*, got true$/],
  ['maxInFlight', '-1', /whole number of at least 0, got -1$/],
  ['maxInFlight', '99999999999', /whole number from 0 to 1000000000, got 99999999999$/],
  ['maxInFlight', "'many'", /whole number of at least 0, got 'many'$/],
  ['maxInFlight', '1.5', /whole number of at least 0, got 1\.5$/],
  ['maxLoopDelay', "'1 moment'", /seconds.*, got '1 moment'$/],
  ['gracefulTimeout', '0', /more than 0.*, got 0$/],
  ['gracefulTimeout', "''", /seconds.*, got ''$/],
  ['bootTimeout', '0', /more than 0.*, got 0$/],
  ['bootTimeout', '{}', /seconds.*, got \{\}$/],
  ['backlog', '0', /whole number from 1 to 65535, got 0$/],
  ['webhook', "'ftp://robot:pw@x/'", /expected an http or https URL such as .*, got 'ftp:\.\.\.'$/],
  [
    'webhook',
    "'hooks.example/key'",
    /http or https URL.*, got a text of 17 characters \(not shown: it may be a secret\)$/,
  ],
  ['webhook', '7', /a string that is not empty, got 7$/],
  ['on', "'ready'", /expected a function \(hooks are set in the config file\), got 'ready'$/],
  ['when_ready', '() => {}', /^unknown setting; did you mean on\?$/],
  ['post_worker_init', '() => {}', /unknown setting: use onStart in the app/],
  ['verify', "''", /a string that is not empty, got ''$/],
  ['verifyTimeout', '0', /more than 0.*, got 0$/],
  ['backlog', '1e9', /whole number from 1 to 65535, got 1000000000$/],
  ['bind', "'127.0.0.1:70000'", /host:port.*65535.*, got '127\.0\.0\.1:70000'$/],
  ['bind', "'::1:80'", /\[::1\]:port.*, got '::1:80'$/],
  ['bind', "'[zz]:80'", /host:port.*, got '\[zz\]:80'$/],
  ['bind', "'unix:'", /unix:\/path.*, got 'unix:'$/],
  ['bind', `'unix:/${'x'.repeat(120)}'`, /at most 107 bytes, got 'unix:\/x/],
  ['bind', "'fd://2'", /fd:\/\/N with N of at least 3, got 'fd:\/\/2'$/],
  ['bind', '[]', /host:port.*, got \[\]$/],
  ['bind', '[null]', /host:port.*, got \[ null \]$/],
  ['bind', "['127.0.0.1:8000', '127.0.0.1:8000']", /each address once, got \[ '127\.0\.0\.1:8000'/],
  ['bind', '8000.5', /host:port.*, got 8000\.5$/],
  ['socketMode', "'999'", /permissions such as.*, got '999'$/],
  ['socketMode', '0o1777', /permissions such as.*, got 1023$/],
  ['queues', "'both'", /one of shared, per-worker, got 'both'$/],
  ['logLevel', "'loud'", /one of trace, .*silent, got 'loud'$/],
  ['logFormat', 'null ?? 1', /one of auto, pretty, json, got 1$/],
  ['typescript', 'true', /one of auto, native, tsx, got true$/],
  [
    'accessLogFields',
    "['time', 'statsu']",
    /a list of fields .*there is no "statsu"; did you mean status\?\), got \[ 'time', 'statsu' \]$/,
  ],
  ['accessLogFields', "['req.headers.user-agent']", /did you mean request\.header\.user-agent\?/],
  ['accessLogFields', "['response.x-cache']", /did you mean response\.header\.x-cache\?/],
  ['accessLogFields', "['request.header.a b']", /there is no "request\.header\.a b"/],
  ['accessLogFields', "['request.header.']", /there is no "request\.header\."/],
  ['accessLogFields', "['flavour']", /there is no "flavour" \(docs\/logs\.md has them all\)\)/],
  ['accessLogFields', "['time', 'time']", /time is there twice/],
  ['accessLogFields', "'time'", /a list of fields such as time.*, got 'time'$/],
  ['accessLogFields', '[]', /a list of fields.*, got \[\]$/],
  ['accessLogFields', '[1]', /a list of fields.*, got \[ 1 \]$/],
  ['accessLogSkip', "['healthz']", /a list of paths .*"healthz" begins with neither \/ nor \*\)/],
  ['accessLogSkip', "['/a?b']", /"\/a\?b" has a query, which is not looked at/],
  ['accessLogSkip', "'/healthz'", /a list of paths.*, got '\/healthz'$/],
  ['accessLogSkip', '[/x/]', /a list of paths/],
  ['accessLogSkip', "Array.from({ length: 101 }, (_, i) => '/' + i)", /at most 100 of them/],
  ['trustProxy', "'nginx'", /true, false, a number of hops, or addresses .*"nginx" is no address\), got 'nginx'$/],
  ['trustProxy', "['loopbak']", /did you mean loopback\?\), got/],
  ['trustProxy', '-1', /hops are 0 to 32\), got -1$/],
  ['trustProxy', '() => true', /uniquelocal, got a function$/],
  ['maxSurge', '0', /at least 1, or a share such as '25%', got 0$/],
  ['maxSurge', "'0%'", /share such as '25%', got '0%'$/],
  ['maxSurge', "'101%'", /share such as '25%', got '101%'$/],
  ['releaseOn', "'boot'", /expected start, reload or upgrade, several of them, or all, got 'boot'$/],
  ['releaseOn', '[]', /or all, got \[\]$/],
  ['releaseOn', "['start', 5]", /or all, got \[ 'start', 5 \]$/],
  ['releaseOn', "'start,,reload'", /or all, got 'start,,reload'$/],
  ['releaseOn', 'true', /or all, got true$/],
  ['releaseOn', '{ start: true }', /or all, got \{ start: true \}$/],
  ['maxMemory', "'512 bananas'", /bytes, or a string such as '512MB'.*, got '512 bananas'$/],
  ['maxMemory', '-5', /bytes.*, got -5$/],
  ['maxMemory', '1.5', /bytes.*, got 1\.5$/],
  ['maxRequests', '-1', /whole number of at least 0, got -1$/],
  ['env', "{ 'A=B': 'c' }", /an object of strings.*, got \{ 'A=B': 'c' \}$/],
  ['env', '{ A: undefined, B: {} }', /an object of strings/],
  ['env', 'new Map()', /an object of strings.*, got a Map$/],
  ['args', "'--verbose'", /a list of strings, got '--verbose'$/],
  ['nodeArgs', '[1]', /a list of strings, got \[ 1 \]$/],
  ['name', "''", /a string that is not empty, got ''$/],
  ['pidfile', '7', /a string that is not empty, got 7$/],
  ['release', "['npm', 'run']", /a string that is not empty, got \[ 'npm', 'run' \]$/],
  ['onWorkerAbort', "'./hook.js'", /a function.*, got '\.\/hook\.js'$/],
  ['onWorkerAbort', '{}', /a function.*, got \{\}$/],
  // Unknown names; what is meant is said where it can be guessed.
  ['max_request', '5', /unknown setting; did you mean maxRequests\?$/],
  ['graceful_timeout', '5', /unknown setting; did you mean gracefulTimeout\?$/],
  ['gracefulTimout', '5', /unknown setting; did you mean gracefulTimeout\?$/],
  ['Workers', '5', /unknown setting; did you mean workers\?$/],
  ['loglevel', "'info'", /unknown setting; did you mean logLevel\?$/],
  ['pid', "'x'", /unknown setting; did you mean pidfile\?$/],
  ['proc_name', "'x'", /unknown setting; did you mean name\?$/],
  ['worker_class', "'gevent'", /unknown setting: there is one kind of worker/],
  ['preload_app', 'true', /unknown setting: Node cannot fork a loaded app/],
  ['toString', '1', /unknown setting/],
  ['flurb', '1', /unknown setting \(prefork --help lists them all\)$/],
];

/** The same setting cannot be wrong twice in one file, so the rows are dealt into as many files as that takes. */
function deal(rows: readonly Row[]): Map<string, Row>[] {
  const files: Map<string, Row>[] = [];
  for (const row of rows) {
    const free = files.find((file) => !file.has(row[0]));
    if (free === undefined) files.push(new Map([[row[0], row]]));
    else free.set(row[0], row);
  }
  return files;
}

describe('CFG-01 bad values in a config file', () => {
  for (const [index, rows] of deal(inFile).entries()) {
    it(`reports all ${rows.size} problems of file ${index + 1} at once, one line each`, async (t) => {
      const text = [...rows.values()].map(([name, source]) => `  ${JSON.stringify(name)}: ${source},`).join('\n');
      const cwd = project(t, { 'supervisor.config.mjs': `export default {\n${text}\n};` });
      const problems = await problemsOf(cwd);
      const found = new Map(problems.map((problem) => [problem.setting, problem]));
      for (const [name, source, says] of rows.values()) {
        const problem = found.get(name);
        assert.ok(problem, `${name}: ${source} was accepted`);
        assert.match(problem.message, says, `${name}: ${source}`);
        assert.equal(problem.source, `${cwd}/supervisor.config.mjs`);
        assert.ok(problem.message.length < 250, `too long: ${problem.message}`);
      }
      assert.equal(problems.length, rows.size);
      assert.equal(new ConfigError(problems).message.split('\n').length, rows.size);
      assert.equal(new ConfigError(problems).exitStatus, 2);
    });
  }
});

describe('CFG-01 bad values as text', () => {
  const asText: readonly (readonly [string, string | string[], RegExp])[] = [
    ['workers', 'four', /command line: workers: expected a whole number.*, got 'four'$/],
    ['workers', '', /workers: .*, got ''$/],
    ['workers', '0x10', /workers: .*, got '0x10'$/],
    ['workers', '1e3', /workers: .*, got '1e3'$/],
    ['workers', '-3', /workers: .*, got '-3'$/],
    ['workers', '9'.repeat(30), /workers: .*, got '9{30}'$/],
    ['timeout', 'soon', /timeout: .*, got 'soon'$/],
    ['timeout', '-5', /timeout: .*, got '-5'$/],
    ['bind', ['localhost'], /bind: .*, got \[ 'localhost' \]$/],
    ['bind', ['127.0.0.1:80', '127.0.0.1:80'], /bind: expected each address once/],
    ['env', ['NOVALUE'], /env: .*NAME=value, got \[ 'NOVALUE' \]$/],
    ['env', ['=x'], /env: .*NAME=value, got \[ '=x' \]$/],
    ['app', './nowhere.js', /app: expected the file of the app, got <folder>\/nowhere\.js, which does not exist$/],
    ['app', './nowhere.js:create', /app: .*<folder>\/nowhere\.js, which does not exist$/],
    ['chdir', './nowhere', /chdir: expected a directory that exists, got <folder>\/nowhere$/],
    ['chdir', './app.cjs', /chdir: expected a directory, got the file <folder>\/app\.cjs$/],
  ];
  for (const [name, value, says] of asText) {
    it(`${name} ${JSON.stringify(value).slice(0, 40)}`, async (t) => {
      const cwd = project(t);
      assert.match(await onlyProblem(cwd, { flags: { app: `${cwd}/app.cjs`, [name]: value } }), says);
    });
  }

  it('names the environment variable', async (t) => {
    const problem = await onlyProblem(project(t), { env: { WEB_CONCURRENCY: 'lots' } });
    assert.match(problem, /^environment variable WEB_CONCURRENCY: workers: expected .*, got 'lots'$/);
  });

  it('says how to give an app where there is none', async (t) => {
    assert.match(await onlyProblem(project(t), { flags: {} }), /app: no app was given.*prefork \.\/server\.js/);
  });
});

describe('CFG-01 values that contradict each other', () => {
  const together: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ workers: '8', maxWorkers: '4' }, /maxWorkers: expected at least workers \(8\), got 4$/],
    [{ gracefulTimeout: '5', drainLinger: '6' }, /drainLinger: expected at most gracefulTimeout/],
    [
      { maxRequests: '10', maxRequestsJitter: '1000' },
      /maxRequestsJitter: expected at most .*maxRequests.*, got 1000$/,
    ],
  ];
  for (const [flags, says] of together) {
    it(JSON.stringify(flags), async (t) => {
      assert.match(await onlyProblem(project(t), { flags: { app: 'app.cjs', ...flags } }), says);
    });
  }
});

describe('values that are understood', () => {
  it('takes times as seconds or with a unit', async (t) => {
    const cwd = project(t);
    const cases = { '30': 30_000, '0.5': 500, '500ms': 500, '30s': 30_000, '5m': 300_000, '2h': 7_200_000 };
    for (const [text, milliseconds] of Object.entries(cases)) {
      const { bootTimeout } = await load(cwd, { flags: { app: 'app.cjs', bootTimeout: text } });
      assert.equal(bootTimeout, milliseconds, text);
    }
  });

  it('takes sizes as bytes or with a unit, of 1024', async (t) => {
    const cwd = project(t);
    const cases = {
      '1048576': 1_048_576,
      '512MB': 536_870_912,
      '1GiB': 1_073_741_824,
      '64k': 65_536,
      '1.5G': 1.5 * 2 ** 30,
    };
    for (const [text, bytes] of Object.entries(cases)) {
      const { maxMemory } = await load(cwd, { flags: { app: 'app.cjs', maxMemory: text } });
      assert.equal(maxMemory, bytes, text);
    }
  });

  it('takes releaseOn as a word, with commas, as a list, as a flag that is repeated, and all', async (t) => {
    const cwd = project(t);
    const moments = async (releaseOn: unknown) =>
      (await load(cwd, { flags: { app: 'app.cjs', ...(releaseOn === null ? {} : { releaseOn }) } })).releaseOn;
    assert.deepEqual(await moments(null), ['reload']);
    assert.deepEqual(await moments(['upgrade, start']), ['start', 'upgrade']);
    assert.deepEqual(await moments(['reload', 'start', 'start']), ['start', 'reload']);
    assert.deepEqual(await moments('start'), ['start']);
    assert.deepEqual(await moments(['all']), ['start', 'reload', 'upgrade']);
  });

  it('takes a share of the workers as maxSurge, rounded up, at least 1', async (t) => {
    const cwd = project(t);
    const surge = async (workers: string, maxSurge: string) =>
      (await load(cwd, { flags: { app: 'app.cjs', workers, maxSurge } })).maxSurge;
    assert.equal(await surge('10', '25%'), 3);
    assert.equal(await surge('2', '10%'), 1);
    assert.equal(await surge('4', '100%'), 4);
    assert.equal(await surge('4', '2'), 2);
  });

  it('takes the mode of a socket in octal, as text or number', async (t) => {
    const cwd = project(t, { 'a.mjs': 'export default { socketMode: 0o600 }' });
    for (const text of ['600', '0600', '0o600']) {
      assert.equal((await load(cwd, { flags: { app: 'app.cjs', socketMode: text } })).socketMode, 0o600, text);
    }
    assert.equal((await load(cwd, { configFile: 'a.mjs' })).socketMode, 0o600);
  });

  it('lingers no longer than half of gracefulTimeout unless told', async (t) => {
    const cwd = project(t);
    const linger = async (gracefulTimeout: string) =>
      (await load(cwd, { flags: { app: 'app.cjs', gracefulTimeout } })).drainLinger;
    assert.equal(await linger('30'), 2_000);
    assert.equal(await linger('3'), 1_500);
    assert.equal(await linger('100ms'), 50);
  });
});

describe('log files', () => {
  it('/dev/stdout and /dev/stderr, as images have them, are what - is', async (t) => {
    const folder = project(t);
    const flags = { app: 'app.cjs', accessLog: '/dev/stdout', errorLog: '/dev/stderr' };
    const { accessLog, errorLog } = await load(folder, { flags });
    assert.deepEqual([accessLog, errorLog], ['-', null]);
    const files = await load(folder, { flags: { app: 'app.cjs', accessLog: 'a.log', errorLog: 'e.log' } });
    assert.deepEqual([files.accessLog, files.errorLog], [`${folder}/a.log`, `${folder}/e.log`]);
  });
});

describe('the access log', () => {
  it('takes lists with spaces or commas on the command line', async (t) => {
    const flags = {
      ...{ app: 'app.cjs', accessLogFormat: 'json', accessLogFields: ['time,url', 'Request.Header.User-Agent'] },
      ...{ accessLogSkip: ['/healthz, /assets/*'], trustProxy: ['1'] },
    };
    const { accessLogFields, accessLogSkip, trustProxy } = await load(project(t), { flags });
    assert.deepEqual(accessLogFields, ['time', 'url', 'Request.Header.User-Agent']);
    assert.deepEqual([accessLogSkip, trustProxy], [['/healthz', '/assets/*'], 1]);
  });

  it('has fields only as JSON', async (t) => {
    const cwd = project(t, { 'a.mjs': "export default { app: 'app.cjs', accessLogFields: ['time'] }" });
    const [problem] = await problemsOf(cwd, { configFile: 'a.mjs' });
    assert.match(String(problem?.message), /expected accessLogFormat to be 'json'/);
    assert.equal(problem?.setting, 'accessLogFields');
  });

  it("knows Gunicorn's name for trustProxy", async (t) => {
    const cwd = project(t, { 'a.mjs': "export default { app: 'app.cjs', forwarded_allow_ips: '*' }" });
    const [problem] = await problemsOf(cwd, { configFile: 'a.mjs' });
    assert.match(String(problem?.message), /did you mean trustProxy\?/);
  });
});
