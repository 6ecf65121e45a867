/** The table of settings against what is said of it elsewhere: types, flags, defaults. */
import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Computed, type Setting } from '../../../src/config/settings/setting.ts';
import { defaultText, flagOf, foreignNotes, type SettingName, settings } from '../../../src/config/settings.ts';
import { defineConfig, type UserConfig } from '../../../src/index.ts';
import { load, project } from '../../support/config-harness.ts';

const all = Object.entries<Setting>(settings);
const settingNames = all.map(([name]) => name);

/** `never` unless both are the same; then any name of one that the other lacks is a type error below. */
type Missing = Exclude<SettingName, keyof UserConfig> | Exclude<keyof UserConfig, SettingName>;

describe('the table of settings', () => {
  it('has the names that a config file may use, and no other', () => {
    const none: [Missing] extends [never] ? true : false = true;
    assert.ok(none);
  });

  it('has a result for each setting', async (t) => {
    const resolved = await load(project(t));
    const results = [...Object.keys(resolved), 'on', 'onWorkerAbort', 'routeLabel'];
    assert.deepEqual(
      settingNames.filter((name) => !results.includes(name)),
      [],
    );
  });

  it('has flags that are told apart, and are spelled as options are', () => {
    const longs = all.map(([name, setting]) => flagOf(name, setting));
    assert.equal(new Set(longs).size, longs.length);
    for (const long of longs) assert.match(long, /^[a-z]+(-[a-z]+)*$/);
    const shorts = all.flatMap(([, { short }]) => short ?? []);
    assert.equal(new Set([...shorts, 'c', 'h', 'v']).size, shorts.length + 3);
  });

  it("has Gunicorn's short flags", () => {
    const { bind, workers, pidfile, name, timeout, env } = settings;
    const shorts = [bind, workers, pidfile, name, timeout, env].map(({ short }) => short);
    assert.deepEqual(shorts, ['b', 'w', 'p', 'n', 't', 'e']);
    assert.equal(flagOf('pidfile', pidfile), 'pid');
  });

  it('explains each setting in a line', () => {
    for (const [name, { doc }] of all) {
      assert.match(doc, /^\S[^\n]{8,110}[^.\s]$/, name);
    }
  });

  it('says the defaults that hold', async (t) => {
    const resolved = await load(project(t));
    const checked: string[] = [];
    for (const [name, setting] of all) {
      if (setting.default instanceof Computed || setting.defaultAs !== undefined || setting.default === null) continue;
      const text = defaultText(setting);
      // "0 (off)" begins with the value.
      const parsed = setting.kind.parse(/^\S+/.exec(text)?.[0], { isText: true, cwd: '/' });
      if (text === 'none') continue;
      assert.ok(parsed.ok, `${name}: ${text}`);
      assert.deepEqual(resolved[name as keyof typeof resolved], parsed.value, name);
      checked.push(name);
    }
    assert.ok(checked.length >= 30, `only ${checked.join(', ')}`);
  });

  it('says the defaults that depend on others by words that begin with the value, if they can', async (t) => {
    const resolved = await load(project(t));
    assert.equal(resolved.drainLinger, 2_000);
    assert.equal(defaultText(settings.drainLinger), '2s, at most half of gracefulTimeout');
    assert.equal(resolved.health, null);
    assert.match(defaultText(settings.health), /^false/);
  });

  it('has foreign names that are none of ours, and belong to one setting or to none', () => {
    const foreign = [...all.flatMap(([, { elsewhere }]) => elsewhere), ...Object.keys(foreignNotes)];
    assert.equal(new Set(foreign).size, foreign.length);
    assert.deepEqual(
      foreign.filter((name) => settingNames.includes(name)),
      [],
    );
    for (const note of Object.values(foreignNotes)) assert.match(note, /\S/);
  });
});

describe('the sample in config/', () => {
  const sample = fileURLToPath(new URL('../../../config/supervisor.config.ts', import.meta.url));

  it('shows every setting', () => {
    const text = readFileSync(sample, 'utf8');
    const shown = [...text.matchAll(/^ {2}(?:\/\/ )?(\w+): /gm)].map(([, name]) => name ?? '');
    assert.deepEqual(shown.filter((name) => settingNames.includes(name)).sort(), [...settingNames].sort());
  });

  it('is valid, and so is all that it shows in comments', async (t) => {
    const text = readFileSync(sample, 'utf8');
    const whole = text.replace(/^ {2}\/\/ (\w+: .*,)$/gm, (line, code: string) =>
      // Whether there is such a user, and whether we may have it, is this machine's business.
      settingNames.includes(code.split(':')[0] ?? '') && !/^(user|group|socketOwner):/.test(code) ? `  ${code}` : line,
    );
    assert.ok(whole.includes("\n  queues: 'shared',"));
    const cwd = project(t, {
      'server.js': '',
      '.env': 'A=1',
      'supervisor.config.ts': whole.replace('/srv/shop/current', '.'),
    });
    const { maxSurge, maxMemory, hooks } = await load(cwd, { flags: {} });
    assert.deepEqual([maxSurge, maxMemory, hooks], [2, 2 ** 30, ['onWorkerAbort', 'on', 'routeLabel']]);
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
