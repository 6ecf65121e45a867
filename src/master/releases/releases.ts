/**
 * The release of each generation: what it was when the generation began, and what has become of it on disk since. Files are
 * looked at when a worker boots and when somebody asks; nobody watches them. See docs/decisions/0026-release-of-a-generation.md.
 */
import { whereNow } from '../../config/app.ts';
import type { Settings } from '../../config/resolved.ts';
import { changeText, type ReleaseIdentity, type ReleaseStatus } from '../../protocol/release-text.ts';
import { monotonic } from '../../system/monotonic.ts';
import { changedSince, folderOf, type Snapshot, snapshotOf } from './files.ts';
import { identityOf } from './identity.ts';

/** What is to be said of the release of a worker that boots. */
export interface ReleaseNote {
  readonly level: 'info' | 'warn';
  readonly message: string;
  /** All files that changed, relative to the release's folder. */
  readonly files: readonly string[];
}

/** The worker that is about to boot. */
export interface Booting {
  readonly id: number;
  readonly slot: number | null;
  readonly generation: number;
}

/** Milliseconds that what was seen is good enough for who looks again and again. */
const goodEnough = 15_000;
/** Milliseconds that it is good enough for who asks once. */
const justNow = 1_000;
/** Files that are named. */
const maxNamed = 5;

interface Release {
  readonly identity: ReleaseIdentity;
  readonly folder: string;
  /** Its files when its first worker booted; `null` before that. */
  before: Promise<Snapshot> | null;
  changed: Snapshot;
  moved: string | null;
  /** What was said of it last. */
  told: { readonly changed: string; readonly moved: string | null };
  looking: Promise<void> | null;
  /** Milliseconds of the monotonic clock. */
  lookedAt: number;
}

export class Releases {
  readonly #onNote: (note: ReleaseNote, worker: Booting) => void;
  /** By the settings that each generation has for itself. */
  readonly #known = new WeakMap<Settings, Release>();

  /** @param onNote is told once of each change, when a worker boots that meets it */
  constructor(onNote: (note: ReleaseNote, worker: Booting) => void) {
    this.#onNote = onNote;
  }

  /** @param settings of a generation: of the same object it is the same for ever */
  identityOf(settings: Settings): ReleaseIdentity {
    return this.#of(settings).identity;
  }

  /** A worker is about to boot: what of its release is not what it was is said. */
  booting(worker: Booting, settings: Settings): void {
    const release = this.#of(settings);
    if (release.before === null) {
      release.before = snapshotOf(settings.app.path, release.folder);
      return;
    }
    void this.#look(release, settings, 0).then(() => this.#tell(release, worker, settings));
  }

  /** What is known, the newest first; what is older than a while is looked at for the next time. */
  status(generations: ReadonlyMap<number, Settings>): ReleaseStatus[] {
    const newest = Math.max(...generations.keys());
    return [...generations]
      .sort(([a], [b]) => b - a)
      .map(([generation, settings]) => {
        const release = this.#of(settings);
        void this.#look(release, settings, goodEnough);
        const files = [...release.changed.keys()].sort();
        const changed = files.length === 0 ? null : { files: files.slice(0, maxNamed), count: files.length };
        // A newer one may be what the link points to.
        const moved = generation === newest ? release.moved : null;
        return { generation, ...release.identity, changed, moved };
      });
  }

  /** Looks at the files of these generations, unless that was just done. */
  async look(generations: ReadonlyMap<number, Settings>): Promise<void> {
    await Promise.all([...generations.values()].map((each) => this.#look(this.#of(each), each, justNow)));
  }

  #of(settings: Settings): Release {
    const known = this.#known.get(settings);
    if (known !== undefined) return known;
    const release: Release = {
      identity: identityOf(settings),
      folder: folderOf(settings.app.path),
      before: null,
      changed: new Map(),
      moved: null,
      told: { changed: '', moved: null },
      looking: null,
      lookedAt: Number.NEGATIVE_INFINITY,
    };
    this.#known.set(settings, release);
    return release;
  }

  /** @param maxAge milliseconds; one that is under way may have passed what matters, so with 0 another follows it */
  async #look(release: Release, settings: Settings, maxAge: number): Promise<void> {
    const { before, looking } = release;
    if (before === null || monotonic() - release.lookedAt < maxAge) return;
    if (looking !== null && maxAge > 0) return await looking;
    const look = (looking ?? Promise.resolve()).then(async () => {
      release.changed = await changedSince(await before, release.folder);
      const now = whereNow(settings.app);
      release.moved = now === null || now === settings.app.path ? null : now;
      release.lookedAt = monotonic();
      if (release.looking === look) release.looking = null;
    });
    release.looking = look;
    await look;
  }

  #tell(release: Release, worker: Booting, { app }: Settings): void {
    const { changed, moved, told } = release;
    const files = [...changed.keys()].sort();
    const key = JSON.stringify([...changed].sort());
    release.told = { changed: changed.size === 0 ? '' : key, moved };
    const from = `a worker of generation ${worker.generation} boots`;
    if (files.length > 0 && key !== told.changed) {
      const what = changeText({ files: files.slice(0, maxNamed), count: files.length });
      const message = `${from} with files that have changed on disk since that generation started: ${what}; until a reload it may run other code than the workers beside it`;
      this.#onNote({ level: 'warn', message, files }, worker);
    }
    if (moved !== null && moved !== told.moved) {
      const message = `${from} from ${app.path}, as its generation does; the link points to ${moved} now, and a reload goes there`;
      this.#onNote({ level: 'info', message, files: [] }, worker);
    }
  }
}
