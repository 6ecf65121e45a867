/**
 * Pastes as files, one each. Several processes share the folder without a lock: a paste is written under another name
 * and renamed, never changed, and its id sorts by time. So every worker gives the same answer, whichever is asked.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface NewPaste {
  readonly title: string;
  readonly language: string;
  readonly text: string;
}

export interface Paste extends NewPaste {
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
}

export interface Page {
  readonly pastes: readonly Paste[];
  /** Ask for what is older than this; `null` at the end. */
  readonly next: string | null;
}

const idPattern = /^[0-9a-z]{16}$/;
const suffix = '.json';

export class PasteStore {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<PasteStore> {
    await mkdir(folder, { recursive: true });
    const store = new PasteStore(folder);
    await store.#addExamples();
    return store;
  }

  async add(paste: NewPaste): Promise<Paste> {
    const now = new Date();
    // Eight base-36 digits of milliseconds keep their length, and so their order, until the year 2059.
    const id = `${now.getTime().toString(36)}${randomBytes(4).toString('hex')}`;
    return await this.#write({ id, createdAt: now.toISOString(), ...paste });
  }

  async get(id: string): Promise<Paste | null> {
    if (!idPattern.test(id)) return null;
    try {
      return JSON.parse(await readFile(this.#path(id), 'utf8')) as Paste;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  /** True where there was one. */
  async remove(id: string): Promise<boolean> {
    if ((await this.get(id)) === null) return false;
    await rm(this.#path(id), { force: true });
    return true;
  }

  /** The newest first; those older than `before` where it is given. */
  async list(limit: number, before: string | null = null): Promise<Page> {
    const ids = (await this.#ids()).filter((id) => before === null || id < before);
    const found = await Promise.all(ids.slice(0, limit).map((id) => this.get(id)));
    // One that was removed between the two looks is simply not there.
    const pastes = found.filter((paste): paste is Paste => paste !== null);
    return { pastes, next: ids.length > limit ? (pastes.at(-1)?.id ?? null) : null };
  }

  async count(): Promise<number> {
    return (await this.#ids()).length;
  }

  /** Every paste, newest first, reading one at a time. */
  async *all(): AsyncGenerator<Paste> {
    for (const id of await this.#ids()) {
      const paste = await this.get(id);
      if (paste !== null) yield paste;
    }
  }

  async #ids(): Promise<string[]> {
    const names = await readdir(this.#folder);
    return names
      .filter((name) => name.endsWith(suffix))
      .map((name) => name.slice(0, -suffix.length))
      .sort()
      .reverse();
  }

  async #write(paste: Paste): Promise<Paste> {
    const temporary = `${this.#path(paste.id)}.${process.pid}.tmp`;
    await writeFile(temporary, JSON.stringify(paste));
    await rename(temporary, this.#path(paste.id));
    return paste;
  }

  /** The same in every worker, so it does not matter which of them writes last. */
  async #addExamples(): Promise<void> {
    if ((await this.#ids()).length > 0) return;
    const createdAt = '2026-01-01T00:00:00.000Z';
    await Promise.all(
      examples.map((paste, index) => this.#write({ id: `0000000000000${100 + index}`, createdAt, ...paste })),
    );
  }

  #path(id: string): string {
    return join(this.#folder, `${id}${suffix}`);
  }
}

const examples: readonly NewPaste[] = [
  { title: 'Reload without losing a request', language: 'sh', text: 'kill -HUP $(cat demo/prefork.pid)' },
  { title: 'Load to run beside it', language: 'sh', text: 'npx autocannon -c 50 -d 20 http://127.0.0.1:8000/pastes' },
  { title: 'Which worker am I?', language: 'js', text: 'console.log(process.title, process.pid);' },
];

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
