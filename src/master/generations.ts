/** The settings of each generation that has workers, and what a reload has prepared for the next. */
import { closeSync, existsSync } from 'node:fs';
import { formatAddress } from '../config/address.ts';
import { loadSettings } from '../config/load.ts';
import type { LoadRequest, Settings } from '../config/resolved.ts';
import { shorten } from '../config/show.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import { openLogFile } from '../system/log-file.ts';
import { checkPidfile } from './claims/pidfile.ts';
import type { Logger } from './log/logger.ts';
import { logPrinted } from './log/printed.ts';
import { runRelease } from './release.ts';
import { prepareAccessLog } from './service/access-log-file.ts';
import { prepareSnapshotFolder } from './service/snapshot-folder.ts';
import { arm } from './sockets/arm.ts';
import type { Listeners } from './sockets/listeners.ts';

/** Brings back what was removed from the disk. */
export interface Restore {
  /** @throws PreforkError if a claim cannot be had */
  readonly claims: () => Promise<void>;
  readonly sockets: () => Promise<void>;
}

const nothing: Restore = { claims: async () => {}, sockets: async () => {} };

interface Prepared {
  readonly generation: number;
  readonly settings: Settings;
  /** Keys of the listeners that it names. */
  readonly named: readonly string[];
  /** Keys of those that were bound for it. */
  readonly added: readonly string[];
}

export interface GenerationsOptions {
  readonly request: LoadRequest;
  readonly listeners: Listeners;
  readonly logger: () => Logger;
  readonly first: Settings;
  /** Files of a release that have changed on disk since it was booted. */
  readonly changedFiles?: (settings: Settings) => Promise<readonly string[]>;
}

export class Generations {
  readonly #options: GenerationsOptions;
  readonly #settings = new Map<number, Settings>();
  #current: Settings;
  #named: ReadonlySet<string> = new Set();
  /** In force before {@link current}: what a rollback brings back. */
  #previous: Settings | null = null;
  #prepared: Prepared | null = null;
  #abort = new AbortController();

  constructor(options: GenerationsOptions) {
    this.#options = options;
    this.#current = options.first;
    this.#settings.set(1, options.first);
  }

  /** The settings in force. */
  get current(): Settings {
    return this.#current;
  }

  /** Keys of the listeners that the settings in force name; known once a reload has brought them into force. */
  get named(): ReadonlySet<string> {
    return this.#named;
  }

  /** Those of these generations, and of the one in force. */
  ofAll(generations: Iterable<number>): Map<number, Settings> {
    return new Map([...generations].map((each) => [each, this.of(each)]));
  }

  of(generation: number): Settings {
    return this.#settings.get(generation) ?? this.#current;
  }

  /**
   * Reads the configuration and the app's path anew, binds what is new and runs the release command; or, for a rollback,
   * takes the settings before the ones in force.
   *
   * @param restore what somebody has removed from the disk comes back first, or the reload fails: it would say that all is
   *   well while nobody can connect
   * @throws PreforkError if any of it fails; nothing is left behind then
   */
  async prepare(generation: number, isRollback: boolean, restore: Restore = nothing): Promise<Settings> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const { listeners, logger, request } = this.#options;
    const settings = isRollback ? this.#previousOnDisk() : await loadSettings(request, undefined, logPrinted(logger()));
    if (isRollback) await this.#tellWhatChanged();
    this.#checkLogs(settings);
    const { pidfile } = settings;
    if (pidfile !== null && pidfile !== this.#current.pidfile) checkPidfile(pidfile);
    if (!isRollback) await this.#restore(settings, restore);
    const { added, listeners: opened } = await listeners.openAll(settings.bind, settings.backlog, settings);
    try {
      signal.throwIfAborted();
      if (!isRollback) await runRelease(settings, logger(), signal, 'reload');
      signal.throwIfAborted();
    } catch (error) {
      for (const key of added) listeners.close(key);
      throw error;
    }
    this.#prepared = { generation, settings, named: opened.map(({ key }) => key), added };
    this.#settings.set(generation, settings);
    return settings;
  }

  /** @throws PreforkError if what the new settings name as well cannot be had any more */
  async #restore(settings: Settings, restore: Restore): Promise<void> {
    const before = this.#current;
    const claimed = ({ admin, controlSocket, pidfile }: Settings) => JSON.stringify([admin, controlSocket, pidfile]);
    if (claimed(settings) === claimed(before)) await restore.claims();
    await restore.sockets();
    const names = ({ bind }: Settings) => new Set(bind.map(formatAddress));
    const [wanted, had] = [names(settings), names(before)];
    for (const { key, label } of this.#options.listeners.all()) {
      const problem = this.#options.listeners.problemOf(key);
      if (problem !== null && (wanted.has(label) || !had.has(label))) throw problem;
    }
  }

  /** @throws FileError if a log of it cannot be written: better no reload than no log */
  #checkLogs(settings: Settings): void {
    prepareAccessLog(settings);
    prepareSnapshotFolder(settings);
    const { errorLog } = settings;
    if (errorLog !== null && errorLog !== this.#current.errorLog) closeSync(openLogFile(errorLog));
  }

  promote(): void {
    if (this.#prepared === null) return;
    this.#previous = this.#current;
    this.#current = this.#prepared.settings;
    this.#named = new Set(this.#prepared.named);
    this.#prepared = null;
  }

  /** Takes back what was prepared; what is still being prepared is given up. */
  reject(): void {
    this.#abort.abort(new Error('the reload was given up'));
    if (this.#prepared === null) return;
    this.#settings.delete(this.#prepared.generation);
    for (const key of this.#prepared.added) this.#options.listeners.close(key);
    this.#prepared = null;
  }

  /** After an edit in place there is nothing to go back to but the configuration. */
  async #tellWhatChanged(): Promise<void> {
    const { changedFiles, logger } = this.#options;
    const previous = this.#previous;
    const files = previous === null ? [] : ((await changedFiles?.(previous)) ?? []);
    if (previous === null || files.length === 0) return;
    logger().warn(
      { files },
      `files of the previous release have changed on disk since it was booted (${shorten(files.join(', '), 300)}): what comes back is its configuration, with the code that is at ${previous.app.path} now`,
    );
  }

  #previousOnDisk(): Settings {
    const previous = this.#previous;
    if (previous === null) throw new ReleaseError('there is no previous generation to go back to');
    for (const path of [previous.chdir, previous.app.path]) {
      if (!existsSync(path)) throw new ReleaseError(`the previous release is gone: ${path} does not exist`);
    }
    // Files of it may have changed meanwhile: it is a release of its own.
    return { ...previous };
  }

  /** Forgets generations older than the one in force that have no workers. */
  forget(inUse: ReadonlySet<number>): void {
    for (const generation of this.#settings.keys()) {
      const settings = this.#settings.get(generation);
      if (settings !== this.#current && generation !== this.#prepared?.generation && !inUse.has(generation)) {
        this.#settings.delete(generation);
      }
    }
  }
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n', 1)[0] ?? '';
}

/** How often and how far apart an address in use is tried again at the start, as Gunicorn does. */
const bindRetries = 5;
const bindRetryDelay = 1_000;

/**
 * Binds and arms the configured addresses at the start.
 *
 * @throws BindError
 */
export async function openFirst(listeners: Listeners, settings: Settings, logger: Logger): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const opened = await listeners.openAll(settings.bind, settings.backlog);
      await arm(opened.listeners);
      return;
    } catch (error) {
      // Not all: a socket that was passed to us would be gone for the next attempt.
      for (const { key } of listeners.all()) listeners.close(key);
      if ((error as { errno?: unknown }).errno !== 'EADDRINUSE' || attempt >= bindRetries) throw error;
      logger.warn(`${firstLine(error)}; trying again (${attempt + 1} of ${bindRetries})`);
      await new Promise((resolve) => setTimeout(resolve, bindRetryDelay));
    }
  }
}
