/**
 * A sample with every setting. Lines that are commented out show the default, or an example if there is no default.
 * Copy it beside your app, keep what you change, and try it with `prefork check`.
 *
 * Times are seconds, or '500ms', '30s', '5m', '2h'. Sizes are bytes, or '512MB', '2GB' (of 1024). 0 turns a limit off.
 * A reload (HUP) reads this file, and what it imports, anew.
 */
import { defineConfig } from 'prefork';

export default defineConfig({
  // The app: a file that listens by itself or exports something to serve, or './app.js:createApp' for a named export.
  app: './server.js',
  // In process titles and logs. Default: the app's file name.
  name: 'shop',
  // host:port, :port, port, [::1]:port, unix:/path, fd://N; several in an array. Without it, sockets that systemd
  // passes are served (docs/systemd.md); if there are none, an app that listens by itself gets the addresses it asks
  // for, and one that exports a handler gets 0.0.0.0:$PORT, or 127.0.0.1:8000.
  bind: ['127.0.0.1:8000', 'unix:/run/shop/http.sock'],
  // backlog: 2048,
  // One accept queue for all workers, or one each: 'per-worker' needs Linux and Node 22.12 or newer.
  // queues: 'shared',
  // Of unix sockets.
  // socketMode: '660',
  pidfile: '/run/shop/prefork.pid',
  // The app's working directory, which relative paths start from. A link to the current release is followed at each reload.
  // chdir: '/srv/shop/current',
  // Added to the environment that prefork was started with. PORT is set to match `bind`. {slot} is the worker's slot.
  env: { NODE_ENV: 'production' },
  // The app's process.argv.slice(2).
  // args: ['--verbose'],
  // nodeArgs: ['--max-old-space-size=512'],
  // typescript: 'auto',
  // Where workers share compiled code, so that the next one starts faster; 'none' turns it off. Needs Node 22.8.
  // compileCache: '/var/cache/shop',

  // Default: 2 x cores + 1; 'auto' is the same, WEB_CONCURRENCY sets it too.
  workers: 5,
  // Ceiling for TTIN and `prefork scale`.
  // maxWorkers: 20,
  // Booted workers without connections: one takes the place of a worker that dies at once. Each takes a worker's memory.
  // spares: 0,
  // A worker listens within this time, or is replaced.
  // bootTimeout: '60s',
  // Failed boots in a row after which the service gives up; 0 is never.
  // maxBootFailures: 0,

  // Requests in flight have this long to finish when a worker retires.
  gracefulTimeout: '30s',
  // How long a worker leaves idle connections open at a stop, so that none is closed under a client's next request; and
  // one that others have replaced, for which nobody waits.
  // drainLinger: '2s',
  // Whether idle HTTP/1 connections go to another worker when theirs leaves. Off for logins that belong to a connection (NTLM).
  // migration: true,
  // Whether they go from workers with many connections to workers with few.
  // balance: true,
  // replaceLinger: '24s',
  // Extra workers while replacing: a number, or a share.
  // maxSurge: '25%',
  // How long a new worker stays up before it counts.
  // minReadySeconds: 0,
  // Judge a new release by the traffic of its first worker, and of the others for as long as rollbackWindow
  // (docs/deploys.md).
  // canary: { for: '2m', maxErrorRate: '1%', maxP99: '2x', minRequests: 200, onUndecided: 'promote' },
  // progressDeadline: '10m',
  // A release that crash-loops, or serves worse (canary), this soon after its rollout is rolled back.
  // rollbackWindow: '30s',
  // Run once per reload, before any new worker; if it fails, nothing is changed.
  // release: 'npm run migrate',
  // Containers deploy by starting: 'all', or a list of 'start', 'reload' and 'upgrade'.
  // releaseOn: ['reload'],
  // releaseTimeout: '10m',
  // Run against the first new worker of a reload before it gets clients, at $PREFORK_VERIFY_URL; if it fails, nothing is changed.
  // verify: 'npm run smoke',
  // verifyTimeout: '2m',

  // Replace a worker after this many requests, at this size, at this age; the jitter keeps workers from leaving together.
  // maxRequests: 10_000,
  // maxRequestsJitter: 1_000,
  maxMemory: '1GB',
  // A heap snapshot of each worker that has grown past maxMemory, into this folder.
  // heapSnapshots: '/var/lib/shop/heap',
  // maxLifetime: '24h',
  // maxLifetimeJitter: '1h',

  // A worker whose event loop blocks this long is killed and replaced; the log says where it was stuck.
  timeout: '30s',
  // Reported from this time on.
  // blockedWarning: '1s',
  // captures: false,
  // Runs in a process of its own.
  // onWorkerAbort: ({ slot, stack }) => console.error(`worker ${slot} was stuck`, stack),

  // Reported while it runs; answered with 504 if nothing was sent. Both 0, which is off, by default.
  // slowRequest: '5s',
  // requestTimeout: '60s',
  // Per worker: 503 beyond so many requests at a time, and while the event loop is this late. Off by default.
  // maxInFlight: 200,
  // maxLoopDelay: '500ms',

  // Told of what happens to the service, in a process of its own; and the same events posted to a URL: see docs/events.md.
  // on: async (event) => console.log(event.type, event),
  // webhook: 'https://hooks.example/prefork',

  // Unix socket for `prefork status`, `reload` and the like. Default: beside the pidfile; 'none' is off.
  // controlSocket: '/run/shop.ctl',
  // The page, /metrics and /health, served by the master. Off by default.
  // admin: '127.0.0.1:9090',
  // Names that requests to it may use: a container's service name, for example.
  // adminHosts: ['shop'],
  // Health checks on the app's own port, ahead of the app.
  // health: true,
  // healthLive: '/health/live',
  // healthReady: '/health/ready',
  // Workers that must be ready for the service to be.
  // readyQuorum: 1,
  // On TERM: readiness says 503 at once, and accepting goes on this long, for load balancers to notice.
  // drainDelay: '10s',
  // rejectWhileDraining: false,
  // Longer than the idle timeout of the proxy in front.
  // keepAlive: '75s',

  // metrics: true,
  // Runs in the workers; not needed for Express, Fastify and Koa.
  // routeLabel: (request) => request.url?.split('/')[1],
  // statsd: '127.0.0.1:8125',
  // statsdPrefix: 'shop',
  // statsdTags: { env: 'production' },

  // accessLog: '/var/log/shop/access.log',
  // Gunicorn's atoms, or 'json'.
  // accessLogFormat: 'json',
  // Of 'json': these fields, headers among them.
  // accessLogFields: ['time', 'url', 'status', 'durationMs', 'trace_id', 'request.header.user-agent'],
  // No line for these.
  // accessLogSkip: ['/healthz', '/assets/*'],
  // The client's address, as these proxies have it.
  // trustProxy: ['loopback', '10.0.0.0/8'],
  // errorLog: '/var/log/shop/error.log',
  // What workers print goes to the log, with slot and pid.
  // captureOutput: false,

  // Started as root, the workers run as these.
  // user: 'www-data',
  // group: 'www-data',
  // umask: '027',
  // socketOwner: 'www-data:www-data',
  // daemon: false,
  // envFile: '.env',
  // Time in which a new master must be ready at an upgrade (prefork upgrade, SIGUSR2).
  // upgradeTimeout: '2m',
  // USR2 only starts the new master; WINCH and TERM to the old one do the rest.
  // upgradeByHand: false,

  // logLevel: 'info',
  // 'auto' is pretty on a terminal, JSON lines otherwise.
  // logFormat: 'auto',
});
