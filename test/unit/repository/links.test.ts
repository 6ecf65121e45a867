/** What the documentation links to is there: files, headings, and the paths that it names. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { root } from '../../support/paths.ts';

interface Link {
  readonly target: string;
  /** A heading of the target, as GitHub and most renderers name it. */
  readonly anchor: string;
}

/** Every page of the repository that people read. */
function pages(): string[] {
  const top = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
  const folders = ['docs', 'config', 'bench', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  );
  return [...top, ...folders.filter((path) => path.endsWith('.md'))];
}

function withoutFences(text: string): string {
  return text.replace(/^(```+)[\s\S]*?^\1$/gm, '');
}

/** Links to other pages and to headings; not those to elsewhere on the web. */
function linksIn(text: string): Link[] {
  const inline = withoutFences(text).replace(/`[^`\n]*`/g, '');
  return [...inline.matchAll(/\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].map((match) => ({
    target: match[1] ?? '',
    anchor: match[2] ?? '',
  }));
}

/** Paths of files and folders that a page names in code, from the repository's root or from src/. */
function pathsIn(text: string): string[] {
  return [
    ...text.matchAll(
      /`((?:docs|config|test|bench|bin|demo|src|app|cli|core|master|page|protocol|system|worker)\/[\w./-]*\w\/?)`/g,
    ),
  ].map((match) => match[1] ?? '');
}

function isThere(path: string): boolean {
  return existsSync(join(root, path)) || existsSync(join(root, 'src', path));
}

function anchorsIn(text: string): string[] {
  return [...withoutFences(text).matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** @returns what is wrong with a link, or null */
function problem(page: string, { target, anchor }: Link): string | null {
  const file = target === '' ? page : join(dirname(page), target);
  const path = join(root, file);
  if (!existsSync(path)) return `${page} links to ${target}, which is not there`;
  if (relative(root, path).startsWith('..')) return `${page} links to ${target}, which is outside of the repository`;
  if (anchor === '') return null;
  const known = statSync(path).isFile() ? anchorsIn(readFileSync(path, 'utf8')) : [];
  return known.includes(anchor) ? null : `${page} links to ${target}#${anchor}, and there is no such heading`;
}

describe('the documentation', () => {
  const read = (page: string): string => readFileSync(join(root, page), 'utf8');

  it('links only to pages and headings that exist', () => {
    const links = pages().flatMap((page) => linksIn(read(page)).map((link) => ({ page, link })));
    assert.ok(links.length > 60, 'the links were found');
    assert.deepEqual(
      links.map(({ page, link }) => problem(page, link)).filter((text) => text !== null),
      [],
    );
  });

  it('names only files that exist', () => {
    // What changed long ago may have had other names.
    const current = pages().filter((page) => page !== 'CHANGELOG.md');
    const named = current.flatMap((page) => pathsIn(read(page)).map((path) => ({ page, path })));
    assert.ok(named.length > 10, 'the paths were found');
    assert.deepEqual(
      named.filter(({ path }) => !isThere(path)).map(({ page, path }) => `${page} names ${path}`),
      [],
    );
  });

  it('has each page of docs/ and each decision in a list of links', () => {
    const listed = (page: string): string[] => linksIn(read(page)).map(({ target }) => join(dirname(page), target));
    const inFolder = (folder: string): string[] =>
      readdirSync(join(root, folder))
        .filter((name) => name.endsWith('.md') && name !== 'README.md')
        .map((name) => join(folder, name));
    const fromReadme = listed('README.md');
    assert.deepEqual(
      inFolder('docs').filter((page) => !fromReadme.includes(page)),
      [],
    );
    const fromDecisions = listed('docs/decisions/README.md');
    assert.deepEqual(
      inFolder('docs/decisions').filter((page) => !fromDecisions.includes(page)),
      [],
    );
  });

  it('the check itself sees a wrong link, heading and path', () => {
    const text =
      'See [a](docs/none.md), [b](README.md#none), [c](#why), [d](https://example.org).\n```\n[e](none.md)\n```\n';
    const links = linksIn(text);
    assert.deepEqual(links, [
      { target: 'docs/none.md', anchor: '' },
      { target: 'README.md', anchor: 'none' },
      { target: '', anchor: 'why' },
    ]);
    const problems = links.map((link) => problem('README.md', link));
    assert.match(String(problems[0]), /which is not there/);
    assert.match(String(problems[1]), /no such heading/);
    assert.equal(problems[2], null);
    assert.deepEqual(pathsIn('`config/x.ts` and `src`, `docs/a/`, `config/...`'), ['config/x.ts', 'docs/a/']);
    assert.deepEqual(anchorsIn('## What `a` *is*, and why\n'), ['what-a-is-and-why']);
  });
});
