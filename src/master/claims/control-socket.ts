/** The control interface of a running service: its socket, and what its routes do. */
import type { Settings } from '../../config/resolved.ts';
import { withoutSecrets } from '../../config/show.ts';
import type { Event } from '../../core/events.ts';
import { upgradeRefusal } from '../../core/fleet.ts';
import type { Fleet, ReloadOutcome, UpgradeOutcome } from '../../core/model.ts';
import { BindError, messageOf } from '../../errors.ts';
import type { Status } from '../../protocol/status.ts';
import { inodeOf, maxUnixPath, removeIfOurs } from '../../system/paths.ts';
import type { Logger } from '../log/logger.ts';
import type { Events } from '../operator/events.ts';
import { type Call, ControlHttp, type Reply, type Route, refuse } from '../operator/http.ts';
import { type MetricsPage, viewsOf } from '../operator/views.ts';
import { clearStaleSocket } from '../sockets/unix-socket.ts';
import { claimFolder, runtimeFolder, Signpost, socketPath, sweep } from './places.ts';

/** What the routes need of the master. */
export interface Steering {
  readonly status: () => Status;
  readonly events: Events;
  readonly settings: () => Settings;
  readonly metrics: MetricsPage;
  readonly post: (event: Event) => void;
  /** Asks for a reload and waits for its outcome; `null` where the service stopped first. */
  readonly reload: () => Promise<ReloadOutcome | null>;
  readonly fleet: () => Fleet;
  /** Asks for an upgrade and waits for its outcome; `null` where the service stopped first. */
  readonly upgrade: () => Promise<UpgradeOutcome | null>;
  readonly logger: () => Logger;
}

export class Control {
  readonly #steering: Steering;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #http: ControlHttp | null = null;
  #path: string | null = null;
  #inode: bigint | null = null;
  readonly #signpost = new Signpost();
  /** Another master has it for now: the one before us, or the one after. */
  #isAway = false;

  constructor(steering: Steering, env: Readonly<Record<string, string | undefined>>) {
    this.#steering = steering;
    this.#env = env;
  }

  get path(): string | null {
    return this.#path;
  }

  /**
   * Leaves it to the master before us for now, where it is one and the same: of one service only one is to be found.
   *
   * @param path of that one's
   */
  leaveTo(path: string | null): void {
    const settings = this.#steering.settings();
    this.#isAway = settings.controlSocket.kind === 'runtime' || socketPath(settings, this.#env, process.pid) === path;
  }

  /** Takes the place of the master's before us, at once. */
  async takeOver(): Promise<void> {
    this.#isAway = false;
    await this.ensure(true);
  }

  /** The new master has taken its place: whoever is connected is served to the end. */
  retire(): void {
    this.#isAway = true;
    this.#http?.retire();
    this.#signpost.remove();
    this.#unlink();
    this.#http = null;
    this.#path = null;
    this.#inode = null;
  }

  /**
   * Listens where the settings say, or goes on to; to be called after each change of them, and now and then: a socket file
   * that somebody removed is made anew.
   *
   * @throws BindError where a path that was configured cannot be used
   */
  async ensure(replaces = false): Promise<void> {
    if (this.#isAway) return;
    const settings = this.#steering.settings();
    const path = socketPath(settings, this.#env, process.pid);
    if (path === this.#path && (path === null || inodeOf(path) === this.#inode)) return this.#showTheWay(settings);
    const isLost = path !== null && path === this.#path;
    this.close();
    if (path === null) return;
    const { controlSocket } = settings;
    try {
      if (controlSocket.kind === 'runtime') this.#claimRuntime();
      await this.#listen(path, replaces);
      this.#showTheWay(settings);
      if (isLost)
        this.#steering.logger().warn({ path }, 'the control socket was removed by somebody; it is there again');
    } catch (error) {
      if (controlSocket.kind === 'path' && !controlSocket.isDefault) throw error;
      const level = controlSocket.kind === 'runtime' ? 'info' : 'warn';
      this.#steering
        .logger()
        [level](`no control socket, prefork status and the like will not work: ${messageOf(error)}`);
    }
  }

  close(): void {
    this.#http?.close();
    this.#signpost.remove();
    this.#unlink();
    this.#http = null;
    this.#path = null;
    this.#inode = null;
  }

  #showTheWay({ controlSocket, name }: Settings): void {
    if (controlSocket.kind === 'path' && this.#path !== null)
      this.#signpost.put(this.#path, name, this.#env, process.pid);
  }

  /** Not one that took its place. */
  #unlink(): void {
    removeIfOurs(this.#path, this.#inode);
  }

  #claimRuntime(): void {
    const folder = runtimeFolder(this.#env);
    const problem = claimFolder(folder);
    if (problem !== null) throw new BindError(folder, 'EACCES', problem);
    sweep(folder);
  }

  async #listen(path: string, replaces: boolean): Promise<void> {
    if (Buffer.byteLength(path) > maxUnixPath)
      throw new BindError(
        `unix:${path}`,
        'ENAMETOOLONG',
        `controlSocket: ${path} is longer than the ${maxUnixPath} bytes of a unix socket`,
      );
    if (!replaces) await clearStaleSocket(path);
    const http = new ControlHttp({
      routes: routesFor(this.#steering),
      replaces,
      reach: 'local',
      onError: (error) => this.#steering.logger().error({ err: error }, 'control: a request failed, this is a bug'),
    });
    await http.listen({ path }).catch((error: unknown) => {
      const { code = 'EIO' } = error as NodeJS.ErrnoException;
      throw new BindError(`unix:${path}`, code, `controlSocket: cannot listen on ${path}: ${messageOf(error)}`);
    });
    this.#http = http;
    this.#path = path;
    this.#inode = inodeOf(path);
  }
}

function routesFor({ status, events, settings, metrics, post, reload, fleet, upgrade }: Steering): Route[] {
  const ok = (body: unknown): Reply => ({ status: 200, body });
  const taken = (body: object = {}): Reply => ({ status: 202, body: { accepted: true, ...body } });
  const isStopping = (): boolean => status().state === 'stopping';
  const stopping = (): Reply => refuse(409, 'stopping', 'the service is stopping');
  return [
    ...viewsOf(status, events, metrics),
    { method: 'GET', path: '/config', handle: () => ok(redacted(settings())) },
    {
      method: 'POST',
      path: '/reload',
      handle: async ({ body }) => {
        if (isStopping()) return stopping();
        const { wait = false } = body;
        if (typeof wait !== 'boolean') return refuse(400, 'bad_request', 'wait: expected true or false');
        const outcome = reload();
        if (!wait) return taken();
        const result = await outcome;
        return result === null ? stopping() : ok({ ...result, duration: result.duration / 1_000 });
      },
    },
    {
      method: 'POST',
      path: '/upgrade',
      handle: async ({ body }) => {
        const { wait = false } = body;
        if (typeof wait !== 'boolean') return refuse(400, 'bad_request', 'wait: expected true or false');
        const refusal = upgradeRefusal(fleet());
        if (refusal !== null) return refuse(409, 'upgrade_refused', `upgrade refused: ${refusal}`);
        const outcome = upgrade();
        if (!wait) return taken();
        const result = await outcome;
        return result === null ? stopping() : ok({ ...result, duration: result.duration / 1_000 });
      },
    },
    {
      method: 'POST',
      path: '/scale',
      handle: (call) => (isStopping() ? stopping() : scale(call, status(), settings(), post)),
    },
    {
      method: 'POST',
      path: '/stop',
      handle: ({ body }) => {
        const { now = false } = body;
        if (typeof now !== 'boolean') return refuse(400, 'bad_request', 'now: expected true or false');
        post({ type: 'stopRequested', kind: now ? 'quick' : 'graceful' });
        return taken();
      },
    },
    {
      method: 'POST',
      path: '/recycle',
      handle: ({ body }) => {
        const { slot = null } = body;
        if (isStopping()) return stopping();
        if (slot !== null && !status().workers.some((worker) => worker.slot === slot))
          return refuse(400, 'no_slot', `slot: expected one of ${slotsOf(status())}, or none for all`);
        post({ type: 'recycleRequested', slot: slot as number | null });
        return taken();
      },
    },
    {
      method: 'POST',
      path: '/reopen',
      handle: () => {
        post({ type: 'reopenRequested' });
        return taken();
      },
    },
  ];
}

function scale({ body }: Call, status: Status, { maxWorkers }: Settings, post: (event: Event) => void): Reply {
  const { to, by } = body;
  const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value);
  if (isNumber(to) === isNumber(by))
    return refuse(400, 'bad_request', 'expected {"to": N} or {"by": N}, a whole number');
  const wanted = isNumber(to) ? to : status.wanted + Number(by);
  if (wanted < 1 || wanted > maxWorkers)
    return refuse(400, 'out_of_range', `expected from 1 to ${maxWorkers} workers (maxWorkers), got ${wanted}`);
  post({ type: 'resizeRequested', to: wanted });
  return { status: 202, body: { accepted: true, workers: wanted } };
}

function slotsOf({ workers }: Status): string {
  return [...new Set(workers.map(({ slot }) => slot))].sort((a, b) => a - b).join(', ');
}

/** Names of environment variables are of use to an operator; their values are secrets as often as not. */
function redacted(settings: Settings): Record<string, unknown> {
  const hide = (record: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.keys(record).map((name) => [name, '***']));
  return {
    ...settings,
    env: hide(settings.env),
    args: settings.args.map(() => '***'),
    nodeArgs: settings.nodeArgs.map(withoutSecrets),
    statsdTags: hide(settings.statsdTags),
    release: settings.release === null ? null : withoutSecrets(settings.release),
  };
}
