/** The frameworks: a folder with a package.json of exact versions and an app, and here how each is built and started. */

export interface Framework {
  readonly title: string;
  /** Below this folder; several entries may share one. */
  readonly folder: string;
  /** The package whose version the table shows. */
  readonly package: string;
  /** Commands that run once after the installation, in the folder. */
  readonly build?: readonly (readonly string[])[];
  /** What prefork is given, relative to `cwd`. */
  readonly app: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where prefork is started, relative to the folder. */
  readonly cwd?: string;
  /** How the app is started, for the table. */
  readonly started: string;
  /** What the clients ask for; `/` unless told. */
  readonly request?: Request;
  /** What makes a worker stuck; `/block` unless told. */
  readonly block?: Request;
  /** A module of the folder whose clients are used instead of HTTP requests. */
  readonly client?: string;
  /** In the sample that every change has to pass. */
  readonly sample?: boolean;
  /** The least major of Node that it runs on. */
  readonly node?: number;
}

export interface Request {
  readonly path: string;
  /** A body makes it a POST of JSON. */
  readonly body?: string;
}

const graphql = (query: string): Request => ({ path: '/', body: JSON.stringify({ query }) });
const yogaQuery = (query: string): Request => ({ ...graphql(query), path: '/graphql' });

export const frameworks: readonly Framework[] = [
  { title: 'Express 4', folder: 'express-4', package: 'express', app: './app.js', started: 'app.listen', sample: true },
  { title: 'Express 5', folder: 'express-5', package: 'express', app: './app.js', started: 'app.listen' },
  { title: 'Fastify', folder: 'fastify', package: 'fastify', app: './app.js', started: 'app.listen', sample: true },
  { title: 'Koa', folder: 'koa', package: 'koa', app: './app.js', started: 'app.listen' },
  { title: 'Hapi', folder: 'hapi', package: '@hapi/hapi', app: './app.js', started: 'server.start' },
  { title: 'Restify', folder: 'restify', package: 'restify', app: './app.js', started: 'server.listen' },
  {
    title: 'NestJS on Express',
    folder: 'nest',
    package: '@nestjs/core',
    app: './express.js',
    started: 'app.listen, with shutdown hooks',
  },
  { title: 'NestJS on Fastify', folder: 'nest', package: '@nestjs/core', app: './fastify.js', started: 'app.listen' },
  { title: 'Hono', folder: 'hono', package: 'hono', app: './app.js', started: 'serve of @hono/node-server' },
  {
    title: 'h3 1',
    folder: 'h3-1',
    package: 'h3',
    app: './app.js',
    started: 'toNodeListener in node:http',
    sample: true,
  },
  { title: 'h3 2', folder: 'h3-2', package: 'h3', app: './app.js', started: 'serve' },
  { title: 'srvx', folder: 'h3-2', package: 'srvx', app: './srvx.js', started: 'serve' },
  {
    title: 'Apollo Server',
    folder: 'apollo',
    package: '@apollo/server',
    app: './app.js',
    started: 'startStandaloneServer',
    request: graphql('{ greeting }'),
    block: graphql('{ block }'),
  },
  {
    title: 'GraphQL Yoga',
    folder: 'yoga',
    package: 'graphql-yoga',
    app: './app.js',
    started: 'createServer(yoga)',
    request: yogaQuery('{ greeting }'),
    block: yogaQuery('{ block }'),
  },
  {
    title: 'tRPC',
    folder: 'trpc',
    package: '@trpc/server',
    app: './app.js',
    started: 'createHTTPServer',
    request: { path: '/greeting' },
  },
  {
    title: 'Socket.IO, WebSocket alone',
    folder: 'socket.io',
    package: 'socket.io',
    app: './app.js',
    started: 'beside node:http',
    client: './client.js',
  },
  {
    title: 'ws',
    folder: 'ws',
    package: 'ws',
    app: './app.js',
    started: 'beside node:http',
    client: './client.js',
    sample: true,
  },
  {
    title: 'gRPC',
    folder: 'grpc',
    package: '@grpc/grpc-js',
    app: './app.js',
    started: 'server.bindAsync',
    client: './client.js',
    sample: true,
  },
  {
    title: 'Express, bundled by esbuild',
    folder: 'esbuild',
    package: 'esbuild',
    build: [
      ['npx', 'esbuild', 'app.js', '--bundle', '--platform=node', '--minify', '--keep-names', '--outfile=bundle.cjs'],
    ],
    app: './bundle.cjs',
    started: 'one CommonJS file',
  },
  {
    title: 'npm workspace, from its root',
    folder: 'workspace',
    package: 'express',
    app: './packages/api/app.js',
    started: 'hoisted dependencies',
  },
  {
    title: 'npm workspace, from the package',
    folder: 'workspace',
    package: 'express',
    cwd: 'packages/api',
    app: '.',
    started: '`prefork .`',
  },
  {
    title: 'OpenTelemetry, by nodeArgs',
    folder: 'opentelemetry',
    package: '@opentelemetry/auto-instrumentations-node',
    app: './app.js',
    args: ['--node-arg=--import=@opentelemetry/auto-instrumentations-node/register'],
    env: { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' },
    started: '`--node-arg=--import=...`',
  },
  {
    title: 'OpenTelemetry, by NODE_OPTIONS',
    folder: 'opentelemetry',
    package: '@opentelemetry/auto-instrumentations-node',
    app: './app.js',
    env: {
      NODE_OPTIONS: '--import=@opentelemetry/auto-instrumentations-node/register',
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
    },
    started: '`NODE_OPTIONS=--import=...`',
  },
  {
    title: 'Next.js, standalone',
    folder: 'next',
    package: 'next',
    build: [['npx', 'next', 'build']],
    app: './.next/standalone/server.js',
    started: 'server.js of the standalone output',
  },
  {
    title: 'Next.js, custom server',
    folder: 'next',
    package: 'next',
    build: [['npx', 'next', 'build']],
    app: './server.mjs',
    started: 'getRequestHandler',
  },
  {
    title: 'Nitro',
    folder: 'nitro',
    package: 'nitropack',
    build: [['npx', 'nitropack', 'build']],
    app: './.output/server/index.mjs',
    started: 'output of the preset node-server',
  },
  {
    title: 'Nuxt',
    folder: 'nuxt',
    package: 'nuxt',
    node: 24,
    build: [['npx', 'nuxt', 'build']],
    app: './.output/server/index.mjs',
    started: 'node output',
  },
  {
    title: 'SvelteKit',
    folder: 'sveltekit',
    package: '@sveltejs/kit',
    node: 24,
    build: [['npx', 'vite', 'build']],
    app: './build/index.js',
    started: 'output of adapter-node',
  },
  {
    title: 'React Router',
    folder: 'react-router',
    package: '@react-router/serve',
    node: 24,
    build: [['npx', 'react-router', 'build']],
    app: './node_modules/.bin/react-router-serve',
    args: ['--', './build/server/index.js'],
    started: '`prefork node_modules/.bin/react-router-serve -- build/server/index.js`',
  },
  {
    title: 'Astro, standalone',
    folder: 'astro',
    package: 'astro',
    node: 24,
    build: [['npx', 'astro', 'build']],
    app: './dist/server/entry.mjs',
    started: 'entry of @astrojs/node',
  },
];
