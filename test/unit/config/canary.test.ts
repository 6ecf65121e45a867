/** The setting `canary`: what it takes, and what is said of anything else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canary } from '../../../src/config/settings/canary.ts';
import { load, onlyProblem, project } from '../../support/config-harness.ts';

/** A bad value as it is written in a config file, and what the message says. */
const bad: readonly (readonly [source: string, says: RegExp])[] = [
  ["'2m'", /expected an object of for, maxErrorRate, maxP99, minRequests, onUndecided, got '2m'$/],
  ['true', /expected an object of for, .*, got true$/],
  ['[1]', /expected an object of for, .*, got \[ 1 \]$/],
  ['{ maxErorRate: 1 }', /expected only for, .*onUndecided \(did you mean maxErrorRate\?\), got 'maxErorRate'$/],
  ['{ __proto__: null, toString: 1 }', /expected only for, .*, got 'toString'$/],
  ['{ maxErrorRate: null, maxP99: null }', /expected maxErrorRate or maxP99 to judge by, got/],
  ["{ for: '0x' }", /expected seconds, or a string such as .*more than 0.*, got '0x'$/],
  ['{ for: -1 }', /seconds.*, got -1$/],
  ["{ maxErrorRate: '5 %' }", /expected percent of the requests such as '1%'.*, got '5 %'$/],
  ["{ maxErrorRate: '1' }", /percent.*, got '1'$/],
  ['{ maxErrorRate: 0.01 }', /percent.*, got 0\.01$/],
  ["{ maxErrorRate: '101%' }", /from '0%' to '100%', got '101%'$/],
  ['{ maxErrorRate: -1 }', /percent.*, got -1$/],
  ["{ maxP99: '0x' }", /expected a factor of at least 1 such as '2x', or a time such as '500ms', got '0x'$/],
  ["{ maxP99: '1' }", /factor.*, got '1'$/],
  ['{ maxP99: 2 }', /factor.*, got 2$/],
  ["{ maxP99: '0ms' }", /factor.*, got '0ms'$/],
  ['{ maxP99: -1 }', /factor.*, got -1$/],
  ['{ minRequests: 0 }', /whole number of at least 1, got 0$/],
  ["{ minRequests: '200' }", /whole number.*, got '200'$/],
  ["{ onUndecided: 'wait' }", /one of promote, reject, hold, got 'wait'$/],
];

describe('CANARY-09 bad values of canary', () => {
  for (const [source, says] of bad) {
    it(source, async (t) => {
      const cwd = project(t, { 'supervisor.config.mjs': `export default { canary: ${source} };` });
      assert.match(await onlyProblem(cwd), says);
    });
  }

  const asText: readonly (readonly [string, RegExp])[] = [
    ['', /canary: expected for=2m,maxErrorRate=1%,.* or none, got ''$/],
    ['2m', /canary: expected for=2m,.*, got '2m'$/],
    ['for=2m,', /canary: expected for=2m,.*, got 'for=2m,'$/],
    ['for=soon', /canary\.for: expected seconds.*, got 'soon'$/],
    ['for=2m,for=3m', /canary: expected each of its fields once, got 'for=2m,for=3m'$/],
    ['maxP99=2', /canary\.maxP99: expected a factor.*, got '2'$/],
    ['maxErorRate=1%', /canary: expected only for, .*did you mean maxErrorRate\?\), got 'maxErorRate'$/],
  ];
  for (const [value, says] of asText) {
    it(`--canary '${value}'`, async (t) => {
      const cwd = project(t);
      assert.match(await onlyProblem(cwd, { flags: { app: `${cwd}/app.cjs`, canary: value } }), says);
    });
  }
});

describe('CANARY-09 values of canary that are understood', () => {
  const defaults = {
    for: 120_000,
    maxErrorRate: 0.01,
    maxP99: { times: 2 },
    minRequests: 200,
    onUndecided: 'promote',
  };
  const good: readonly (readonly [unknown, object])[] = [
    [{}, {}],
    [
      { for: 30, maxErrorRate: '0.5%', onUndecided: 'hold' },
      { for: 30_000, maxErrorRate: 0.005, onUndecided: 'hold' },
    ],
    [
      { maxP99: '500ms', minRequests: 1 },
      { maxP99: { milliseconds: 500 }, minRequests: 1 },
    ],
    [{ maxP99: null, for: null }, { maxP99: null }],
    [
      { maxErrorRate: null, maxP99: '1.5x' },
      { maxErrorRate: null, maxP99: { times: 1.5 } },
    ],
  ];
  for (const [written, read] of good) {
    it(JSON.stringify(written), async (t) => {
      const cwd = project(t, { 'supervisor.config.mjs': `export default { canary: ${JSON.stringify(written)} };` });
      assert.deepEqual((await load(cwd)).canary, { ...defaults, ...read });
    });
  }

  it('as text, which is how it is shown', async (t) => {
    const text = 'for=30s,maxErrorRate=0.5%,maxP99=none,minRequests=50,onUndecided=reject';
    const cwd = project(t);
    const settings = await load(cwd, { flags: { app: `${cwd}/app.cjs`, canary: text } });
    assert.equal(canary.format(settings.canary), text);
  });

  it('is turned off by none, and off without it', async (t) => {
    const cwd = project(t, { 'supervisor.config.mjs': 'export default { canary: {} };' });
    assert.equal((await load(cwd, { flags: { app: `${cwd}/app.cjs`, canary: 'none' } })).canary, null);
    assert.equal((await load(project(t))).canary, null);
  });
});
