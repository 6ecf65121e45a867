import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it } from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import {
  classify,
  classifyProduct,
  describeUnusable,
  listExports,
  namedExport,
  pickExport,
  promisedExport,
} from '../../../../src/worker/loading/export.ts';
import { ExportError } from '../../../../src/worker/loading/failure.ts';

const handler = (_req: unknown, _res: unknown): void => {};

function kindOf(value: unknown): string | null {
  return classify(value)?.kind ?? null;
}

describe('what an export is', () => {
  const kinds: readonly [string, unknown, string | null][] = [
    ['(req, res)', handler, 'handler'],
    ['(req, res, next)', (_a: unknown, _b: unknown, _c: unknown) => {}, 'handler'],
    ['an Express app', express(), 'handler'],
    ['an Express router', express.Router(), 'handler'],
    ['a Koa app', { use: () => {}, callback: () => handler }, 'koa'],
    ['a Fastify instance', Fastify(), 'fastify'],
    ['a Hono app', new Hono(), 'fetch'],
    ['{ fetch }', { port: 1, fetch: () => new Response() }, 'fetch'],
    ['an http.Server', http.createServer(), 'server'],
    ['an http2 server', http2.createServer(), 'server'],
    ['a net.Server', net.createServer(), 'server'],
    ['something with listen()', { listen: () => {} }, 'listenable'],
    ['a factory', () => handler, 'factory'],
    ['an async factory', async () => handler, 'factory'],
    ['a factory with options', (_options: unknown) => handler, 'factory'],
    ['a class', class App {}, null],
    ['a number', 42, null],
    ['a string', 'app', null],
    ['null', null, null],
    ['undefined', undefined, null],
    ['an object', { port: 3000 }, null],
    ['an array', [handler], null],
  ];
  for (const [name, value, kind] of kinds) {
    it(`${name} is ${kind ?? 'not to be served'}`, () => assert.equal(kindOf(value), kind));
  }

  it('what a factory makes may be anything but another factory', async () => {
    const make = async (product: unknown): Promise<string | null> => {
      const factory = classify(() => product);
      assert.ok(factory?.kind === 'factory');
      return (await classifyProduct(factory))?.kind ?? null;
    };
    assert.equal(await make(handler), 'handler');
    assert.equal(await make(Promise.resolve(new Hono())), 'fetch');
    assert.equal(await make((..._args: unknown[]) => {}), 'handler');
    assert.equal(await make(undefined), null);
  });
});

/** A module namespace, as import() gives it. */
async function namespace(code: string): Promise<unknown> {
  return await import(`data:text/javascript,${encodeURIComponent(code)}`);
}

describe('which export is meant', () => {
  it('default, of an ES module', async () => {
    assert.equal(pickExport(await namespace('export default (req, res) => {}; export const x = 1'))?.kind, 'handler');
  });

  it('nothing, where an ES module has no default: its names are not guessed at', async () => {
    assert.equal(pickExport(await namespace('export const app = (req, res) => {}')), null);
    assert.equal(pickExport(await namespace('export const fetch = () => {}')), null);
  });

  it('module.exports, of a CommonJS module, or its default', () => {
    assert.equal(pickExport(handler)?.kind, 'handler');
    assert.equal(pickExport({ default: handler, __esModule: true })?.kind, 'handler');
    assert.equal(pickExport({ handler, settings: {} }), null);
    // A function with a default of its own, as some packages have.
    assert.equal(pickExport(Object.assign(handler, { default: handler }))?.kind, 'handler');
  });

  it('the inner one, where TypeScript was compiled to CommonJS and then imported', async () => {
    assert.equal(
      pickExport(await namespace('export default { __esModule: true, default: (req, res) => {} }'))?.kind,
      'handler',
    );
  });

  it('the one that is named, also within default', async () => {
    const exports = await namespace('export const app = 1; export default { other: 2 }');
    assert.equal(namedExport(exports, 'app', '/app.js'), 1);
    assert.equal(namedExport(exports, 'other', '/app.js'), 2);
    assert.throws(
      () => namedExport(exports, 'toStringg', '/app.js'),
      (error) =>
        error instanceof ExportError &&
        error.message === '/app.js has no export named "toStringg". It exports: app, default, other.',
    );
  });

  it('and a list of them says when there is none', async () => {
    assert.equal(listExports(await namespace('')), 'It exports nothing.');
    assert.equal(listExports({}), 'It exports nothing.');
    assert.equal(listExports({ __esModule: true, a: 1 }), 'It exports: a.');
  });
});

describe('an app that exports nothing to serve', () => {
  const neither = './x.js neither listens nor exports something to serve; it exports';
  const getter = Object.defineProperty({}, 'app', {
    enumerable: true,
    get() {
      throw new ReferenceError('not yet');
    },
  });
  const cases: readonly (readonly [what: string, exports: unknown, says: string])[] = [
    ['{ app }', { app: handler }, `${neither}: app (prefork ./x.js:app ?)`],
    [
      '{ config, server }',
      { config: {}, server: http.createServer() },
      `${neither}: config, server (prefork ./x.js:server ?)`,
    ],
    ['a handler beside factories', { start: () => {}, web: handler }, `${neither}: start, web (prefork ./x.js:web ?)`],
    [
      'a factory that is named as one',
      { start: () => {}, createApp: () => {} },
      `${neither}: start, createApp (prefork ./x.js:createApp ?)`,
    ],
    ['factories of anything', { start: () => {}, stop: () => {} }, `${neither}: start, stop`],
    [
      '{ default: { app } }',
      { default: { app: handler } },
      `${neither}: default (an object), app (prefork ./x.js:app ?)`,
    ],
    [
      'what a compiler made of it',
      { __esModule: true, default: { __esModule: true, default: { app: handler } } },
      `${neither}: default (an object), app (prefork ./x.js:app ?)`,
    ],
    ['a class', { default: class {} }, `${neither}: default (a class)`],
    ['a class as a whole', class {}, `${neither} a class`],
    ['a number', 42, `${neither} a number`],
    ['null', null, `${neither} null`],
    ['nothing', {}, `${neither} nothing`],
    ['a promise', Promise.resolve(), `${neither} a promise`],
    ['a getter that throws', getter, `${neither}: app`],
    ['a name that no command line could give', { 'a-b': handler }, `${neither}: a-b`],
    [
      'a great deal',
      Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`n${index}`, index])),
      `${neither}: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, and 4 more`,
    ],
  ];
  for (const [what, exports, says] of cases) it(what, () => assert.equal(describeUnusable(exports, './x.js'), says));

  it('but a promise of something is served as what it becomes', async () => {
    assert.equal((await promisedExport({ default: Promise.resolve(handler) }))?.kind, 'handler');
    assert.equal((await promisedExport(Promise.resolve(http.createServer())))?.kind, 'server');
    assert.equal((await promisedExport(Promise.resolve((_: unknown) => {})))?.kind, 'handler');
    assert.equal(await promisedExport(Promise.resolve(3)), null);
    assert.equal(await promisedExport({ app: Promise.resolve(handler) }), null);
    await assert.rejects(promisedExport(Promise.reject(new Error('no database'))), /no database/);
  });
});
