/** The table of settings against what is said of it elsewhere: types, flags, defaults. */
import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseValue } from '../../../src/config/parse.ts';
import {
  flagOf,
  foreignNames,
  isSettingName,
  type SettingName,
  settingNames,
  settingOf,
} from '../../../src/config/settings.ts';
import { defineConfig, type UserConfig } from '../../../src/index.ts';
import { load, project } from '../../support/config-harness.ts';

/** `never` unless both are the same; then any name of one that the other lacks is a type error below. */
type Missing = Exclude<SettingName, keyof UserConfig> | Exclude<keyof UserConfig, SettingName>;

describe('the table of settings', () => {
  it('has the names that a config file may use, and no other', () => {
    const none: [Missing] extends [never] ? true : false = true;
    assert.ok(none);
  });

  it('has a result for each setting', async (t) => {
    const settings = await load(project(t));
    const results = [...Object.keys(settings), 'onWorkerAbort', 'routeLabel', 'healthLive', 'healthReady'];
    assert.deepEqual(
      settingNames.filter((name) => !results.includes(name)),
      [],
    );
  });

  it('has flags that are told apart, and are spelled as options are', () => {
    const longs = settingNames.map(flagOf);
    assert.equal(new Set(longs).size, longs.length);
    for (const long of longs) assert.match(long, /^[a-z]+(-[a-z]+)*$/);
    const shorts = settingNames.flatMap((name) => settingOf(name).short ?? []);
    assert.equal(new Set([...shorts, 'c', 'h', 'v']).size, shorts.length + 3);
  });

  it("has Gunicorn's short flags", () => {
    const shorts = Object.fromEntries(settingNames.map((name) => [name, settingOf(name).short]));
    const { bind, workers, pidfile, name, timeout, env } = shorts;
    assert.deepEqual([bind, workers, pidfile, name, timeout, env], ['b', 'w', 'p', 'n', 't', 'e']);
    assert.equal(flagOf('pidfile'), 'pid');
  });

  it('explains each setting in a line', () => {
    for (const name of settingNames) {
      const { doc } = settingOf(name);
      assert.match(doc, /^\S[^\n]{8,110}[^.\s]$/, name);
    }
  });

  it('says the defaults that hold', async (t) => {
    const settings = await load(project(t));
    const checked: string[] = [];
    for (const name of settingNames) {
      const { kind, default: byDefault } = settingOf(name);
      if (!['count', 'time', 'size', 'choice', 'mode', 'surge'].includes(kind.type)) continue;
      // "0 (off)", and "2s, at most half of gracefulTimeout", begin with the value.
      const parsed = parseValue(kind, /^[\w-]+/.exec(byDefault)?.[0], { isText: true, cwd: '/' });
      if (byDefault.includes(' x cores') || byDefault.includes('container') || byDefault.includes('caller')) continue;
      assert.ok(parsed.ok, `${name}: ${byDefault}`);
      assert.equal(settings[name as keyof typeof settings], parsed.value, name);
      checked.push(name);
    }
    assert.ok(checked.length >= 22, `only ${checked.join(', ')}`);
  });

  it('has foreign names that are none of ours, and mean one of ours or nothing', () => {
    for (const [foreign, meant] of foreignNames) {
      assert.equal(isSettingName(foreign), false, foreign);
      if (typeof meant === 'string') assert.ok(isSettingName(meant), meant);
      else assert.match(meant.note, /\S/);
    }
  });
});

describe('the sample in config/', () => {
  const sample = fileURLToPath(new URL('../../../config/supervisor.config.ts', import.meta.url));

  it('shows every setting', () => {
    const text = readFileSync(sample, 'utf8');
    const shown = [...text.matchAll(/^ {2}(?:\/\/ )?(\w+): /gm)].map(([, name]) => name ?? '');
    assert.deepEqual(shown.filter(isSettingName).sort(), [...settingNames].sort());
  });

  it('is valid, and so is all that it shows in comments', async (t) => {
    const text = readFileSync(sample, 'utf8');
    const whole = text.replace(/^ {2}\/\/ (\w+: .*,)$/gm, (line, code: string) =>
      // Whether there is such a user, and whether we may have it, is this machine's business.
      isSettingName(code.split(':')[0] ?? '') && !/^(user|group|socketOwner):/.test(code) ? `  ${code}` : line,
    );
    assert.ok(whole.includes("\n  queues: 'auto',"));
    const cwd = project(t, {
      'server.js': '',
      '.env': 'A=1',
      'supervisor.config.ts': whole.replace('/srv/shop/current', '.'),
    });
    const settings = await load(cwd, { flags: {} });
    assert.deepEqual(
      [settings.maxSurge, settings.maxMemory, settings.hooks],
      [2, 2 ** 30, ['onWorkerAbort', 'routeLabel']],
    );
  });
});

describe('defineConfig', () => {
  it('gives back what it is given', () => {
    const config = { workers: 2 };
    assert.equal(defineConfig(config), config);
    const make = async () => config;
    assert.equal(defineConfig(make), make);
  });

  it('lets no misspelled setting and no wrong type pass the compiler', () => {
    // @ts-expect-error a misspelled setting beside one that is right
    defineConfig({ workers: 2, gracefulTimout: 5 });
    // @ts-expect-error a wrong type
    defineConfig({ workers: '2' });
    // @ts-expect-error not one of the choices
    defineConfig({ queues: 'both' });
    // @ts-expect-error no configuration
    defineConfig(7);
  });
});

describe('a load without a config file', () => {
  it('starts no process; one with a file starts one', async (t) => {
    let started = 0;
    const count = () => {
      started += 1;
    };
    channel('child_process').subscribe(count);
    t.after(() => channel('child_process').unsubscribe(count));
    const cwd = project(t, { 'a.mjs': 'export default {}' });
    await load(cwd);
    assert.equal(started, 0);
    await load(cwd, { configFile: 'a.mjs' });
    assert.equal(started, 1);
  });
});
