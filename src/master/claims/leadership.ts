/**
 * The right to name a leader, the worker that does what only one worker of the service may do: a unix socket that somebody
 * listens on. The master has it, and gives a copy to the worker that leads. So the kernel knows whether anybody leads, and
 * the answer is right even if a master is killed and its leader lives on: a connection to the socket succeeds until the
 * last copy is gone with its process.
 */
import { readdirSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Settings } from '../../config/resolved.ts';
import type { Event } from '../../core/events.ts';
import type { Fleet } from '../../core/model.ts';
import { messageOf } from '../../errors.ts';
import { type Handle, handleOf } from '../../system/node-internals.ts';
import { maxUnixPath, removeQuietly } from '../../system/paths.ts';
import { pause } from '../../system/pause.ts';
import { isAlive, statFieldsOf } from '../../system/processes.ts';
import { randomName } from '../../system/random-name.ts';
import type { Logger } from '../log/logger.ts';
import { claimFolder, placeName, runtimeFolder } from './places.ts';

/** Milliseconds between two looks at whether somebody else leads; two that ask at once do not do so in step. */
const lookEvery = { least: 40, most: 120 };
/** Milliseconds in which a connection to a socket of this machine is answered. */
const answerWithin = 1_000;

export interface LeadershipOptions {
  readonly settings: () => Pick<Settings, 'name'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The master before this one; `null` if there was none. */
  readonly predecessor: number | null;
  readonly fleet: () => Pick<Fleet, 'predecessor' | 'successor'>;
  readonly post: (event: Event) => void;
  readonly logger: () => Logger;
}

interface Held {
  readonly server: Server;
  readonly path: string;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  /** The claim that is being made, or was granted; `null` if there is none. */
  #claim: number | null = null;
  #held: Held | null = null;
  #hasComplained = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** What goes to the worker that leads; `null` where this system has no place for it. */
  get token(): Handle | null {
    return this.#held === null ? null : handleOf(this.#held.server);
  }

  /** Asks for the right until it is there, which `leadClaimed` says, or it is let go of. */
  claim(claim: number): void {
    this.#claim = claim;
    void this.#insist(claim);
  }

  /** To be called when no worker of this master leads. */
  release(): void {
    this.#claim = null;
    this.#drop();
  }

  async #insist(claim: number): Promise<void> {
    while (this.#claim === claim) {
      if (await this.#take(() => this.#claim === claim)) {
        this.#options.post({ type: 'leadClaimed', claim });
        return;
      }
      await pause(lookEvery.least + Math.random() * (lookEvery.most - lookEvery.least));
    }
  }

  /**
   * Whoever has a socket looks for those of others: of two that ask at the same time at least one sees the other.
   *
   * @param isWanted whether it still is
   * @returns whether the right is here now
   */
  async #take(isWanted: () => boolean): Promise<boolean> {
    const folder = this.#folder();
    if (folder === null) return isWanted() && this.#isAlone();
    if (await this.#isHeldElsewhere(folder, null)) return false;
    if (!isWanted()) return false;
    const held = await this.#open(folder);
    if (held === null) return isWanted() && this.#isAlone();
    if ((await this.#isHeldElsewhere(folder, held.path)) || !isWanted()) {
      close(held);
      return false;
    }
    this.#held = held;
    return true;
  }

  /** Without a place for sockets nobody can be asked: then a master that has left is waited for. */
  #isAlone(): boolean {
    const { predecessor, successor } = this.#options.fleet();
    return predecessor === 'none' && successor === null;
  }

  #drop(): void {
    if (this.#held !== null) close(this.#held);
    this.#held = null;
  }

  #folder(): string | null {
    const folder = runtimeFolder(this.#options.env);
    const problem = claimFolder(folder);
    if (problem === null) return folder;
    this.#complain(problem);
    return null;
  }

  async #open(folder: string): Promise<Held | null> {
    const path = join(folder, `${this.#name()}-${process.pid}-${startOf(process.pid)}-${randomName(4)}.lead`);
    // libuv cuts a longer one, and binds somewhere else.
    if (Buffer.byteLength(path) > maxUnixPath) {
      this.#complain(`the path ${path} is longer than a unix socket's can be`);
      return null;
    }
    const server = createServer((socket) => socket.destroy());
    server.unref();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
    } catch (error) {
      this.#complain(messageOf(error));
      return null;
    }
    server.on('error', () => {});
    return { server, path };
  }

  #complain(problem: string): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#options
      .logger()
      .warn(`onLeader: a leader that outlives a master which is killed would not be noticed: ${problem}`);
  }

  #name(): string {
    return placeName(this.#options.settings().name);
  }

  /**
   * Whether another master of this service has the right, or a worker of one that is gone. What a master has that lives and
   * is none of ours belongs to another service of the same name.
   */
  async #isHeldElsewhere(folder: string, own: string | null): Promise<boolean> {
    const name = this.#name();
    const { successor } = this.#options.fleet();
    for (const file of readdirSync(folder)) {
      const [, other, pid = '', start = ''] = pattern.exec(file) ?? [];
      const path = join(folder, file);
      if (other === undefined || path === own) continue;
      // The configuration of one of ours may have another name.
      const isRelative = Number(pid) === this.#options.predecessor || Number(pid) === successor;
      const isThere = isRunning(Number(pid), start);
      if (!isRelative && (isThere || other !== name)) continue;
      if (await isListenedOn(path)) return true;
      // Names are given once: what nobody listens on stays so. One that is about to listen is a live master's.
      if (!isThere) removeQuietly(path);
    }
    return false;
  }
}

/** The service's name, the master's pid and start, and what makes it a name of its own. */
const pattern = /^(.+)-(\d+)-(\d+)-[0-9a-f]{8}\.lead$/;

function close({ server, path }: Held): void {
  server.close();
  removeQuietly(path);
}

/** In clock ticks since the machine has started; 0 where the system does not say. */
function startOf(pid: number): string {
  return statFieldsOf(pid)?.[19] ?? '0';
}

/** Whether it is the process that has started then, and is more than an entry for its parent to read. */
function isRunning(pid: number, start: string): boolean {
  return isAlive(pid) && statFieldsOf(pid)?.[0] !== 'Z' && startOf(pid) === start;
}

/** Whether any process has the socket. What is unclear is taken for yes. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => answer(true));
    // EAGAIN is one with too many connections that nobody has accepted.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => answer(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
    socket.setTimeout(answerWithin, () => answer(true));
  });
}
