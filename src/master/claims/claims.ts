/** What of the settings in force shows outside: pidfile, control socket, admin address, logs, title. */
import type { Settings } from '../../config/resolved.ts';
import { exitStatus, messageOf } from '../../errors.ts';
import type { Parts } from '../parts.ts';
import { prepareAccessLog } from '../service/access-log-file.ts';
import { masterTitle } from '../service/title.ts';
import { Pidfile } from './pidfile.ts';

export class Presence {
  readonly #parts: Parts;
  /** Of the master before this one. */
  readonly #predecessorPid: number | null;
  #pidfile: Pidfile | null = null;
  #errorLog: string | null;

  constructor(parts: Parts, predecessorPid: number | null) {
    this.#parts = parts;
    this.#predecessorPid = predecessorPid;
    this.#errorLog = parts.generations.current.errorLog;
  }

  get pidfile(): Pidfile | null {
    return this.#pidfile;
  }

  async ensureControl(): Promise<void> {
    if (this.#parts.fleet.stopping !== null) return;
    await this.#parts.control.ensure().catch((error: unknown) => this.#parts.log.logger.error(messageOf(error)));
  }

  /** Takes a new generation's settings for the master itself into force. */
  apply(settings: Settings): void {
    this.#parts.log.logger.level = settings.logLevel;
    if (settings.errorLog !== this.#errorLog) this.#parts.log.reopen(settings.errorLog);
    this.#errorLog = settings.errorLog;
    process.title = masterTitle(settings.name);
    this.#parts.sentinel.setGrace(settings.gracefulTimeout);
    for (const problem of this.#parts.listeners.setRights(settings)) this.#parts.log.logger.warn(problem);
    void this.ensureControl();
    this.#parts.admin.ensure(settings.admin).catch((error: unknown) => this.#parts.log.logger.error(messageOf(error)));
    if (settings.pidfile === (this.#pidfile?.path ?? null) || this.#parts.fleet.start === 'starting') return;
    this.#pidfile?.remove();
    this.#pidfile = null;
    this.announce();
  }

  reopenLogs(): void {
    this.#parts.log.reopen();
    try {
      prepareAccessLog(this.#parts.generations.current);
    } catch (error) {
      this.#parts.log.logger.warn(`${messageOf(error)}; the access log goes on where it was`);
    }
    for (const { id } of this.#parts.fleet.workers) this.#parts.pool.send(id, { type: 'reopen' });
  }

  /** @returns whether the pidfile is there, where one is wanted */
  announce(): boolean {
    const { pidfile } = this.#parts.generations.current;
    if (pidfile === null || this.#pidfile !== null) return true;
    this.#pidfile = new Pidfile(pidfile, this.#parts.succession.isInCharge ? null : this.#predecessorPid);
    try {
      this.#pidfile.write();
    } catch (error) {
      this.#parts.log.logger.fatal(messageOf(error));
      if (this.#parts.fleet.reload.state === 'idle')
        this.#parts.post({ type: 'stopRequested', kind: 'quick', status: exitStatus.failure });
      return false;
    }
    return true;
  }

  /** A new master had it, and is gone. */
  restorePidfile(): void {
    this.#pidfile = null;
    this.announce();
  }

  /** Nothing of it is left behind. */
  remove(): void {
    this.#parts.control.close();
    this.#parts.admin.close();
    this.#pidfile?.remove();
  }
}
