/** A project in a temporary folder, and what prefork makes of its configuration. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadSettings } from '../../src/config/load.ts';
import type { LoadRequest, Settings } from '../../src/config/resolved.ts';
import type { Table } from '../../src/config/settings/setting.ts';
import { ConfigError, type Problem } from '../../src/errors.ts';

export type Files = Readonly<Record<string, string>>;

/** @returns the real path of a new folder with these files, which goes when the test ends */
export function project(t: TestContext, files: Files = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'prefork-config-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  write(folder, { 'app.cjs': 'module.exports = (req, res) => res.end();', ...files });
  return folder;
}

export function write(folder: string, files: Files): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

/** What the tests' own environment says (a CI sets PORT and the like) must not change what a load gives. */
const machine = { PATH: process.env.PATH, HOME: process.env.HOME };

export function requestIn(cwd: string, given: Partial<LoadRequest> = {}): LoadRequest {
  const { flags = { app: 'app.cjs' }, cmdArgs = {}, configFile = null, env = {}, passed = [] } = given;
  return { flags, cmdArgs, configFile, env: { ...machine, ...env }, passed, cwd: given.cwd ?? cwd };
}

export function load(cwd: string, given: Partial<LoadRequest> = {}, table?: Table): Promise<Settings> {
  return loadSettings(requestIn(cwd, given), table);
}

/** Loads what must be refused. */
export async function problemsOf(
  cwd: string,
  given: Partial<LoadRequest> = {},
  table?: Table,
): Promise<readonly Problem[]> {
  try {
    await load(cwd, given, table);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

/** The same, if exactly one problem is expected: as it is printed, without the folder. */
export async function onlyProblem(cwd: string, given: Partial<LoadRequest> = {}, table?: Table): Promise<string> {
  const problems = await problemsOf(cwd, given, table);
  const [first] = problems;
  if (first === undefined || problems.length > 1) throw new Error(`expected one problem: ${JSON.stringify(problems)}`);
  const text = new ConfigError(problems).message;
  if (text.includes('\n')) throw new Error(`expected one line: ${JSON.stringify(text)}`);
  return text.replaceAll(cwd, '<folder>');
}
