/**
 * The release of each generation: what it was when the generation began, and what has become of it on disk since. Files are
 * looked at when a worker boots and when somebody asks; nobody watches them. See docs/decisions/0026-release-of-a-generation.md.
 */
import { whereNow } from '../../config/app.ts';
import type { Settings } from '../../config/resolved.ts';
import { changeText, type ReleaseIdentity, type ReleaseStatus } from '../../protocol/release-text.ts';
import { monotonic } from '../../system/monotonic.ts';
import { type Changed, changedSince, folderOf, type Snapshot, snapshotOf } from './files.ts';
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
/** Milliseconds between two looks: workers that boot together are one reason to look. */
const together = 200;
/** Looks at a large release take one part in so many of the time, also in a crash loop; but none is put off for longer. */
const lookShare = 50;
const longestPause = 5_000;
/** Files that are named. */
const maxNamed = 5;

interface Release {
  readonly identity: ReleaseIdentity;
  readonly folder: string;
  /** Its files when its first worker booted; `null` before that. */
  before: Promise<Snapshot> | null;
  changed: ReadonlyMap<string, Changed>;
  moved: string | null;
  /** What was said of it last. */
  told: { readonly changed: string; readonly moved: string | null };
  looking: Promise<void> | null;
  /** The worker that booted last, of which nothing was said yet. */
  waits: (Booting & { readonly at: number }) | undefined;
  timer: NodeJS.Timeout | null;
  /** When the last look began, milliseconds of the monotonic clock. */
  lookedAt: number;
  /** How long it took, milliseconds. */
  took: number;
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
      release.lookedAt = monotonic();
      return;
    }
    release.waits = { ...worker, at: Date.now() };
    release.timer ??= setTimeout(
      () => {
        release.timer = null;
        const { waits } = release;
        if (waits !== undefined)
          void this.#look(release, settings).then(() => this.#tell(release, waits, waits.at, settings));
      },
      Math.max(0, release.lookedAt + pauseAfter(release) - monotonic()),
    ).unref();
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

  /** Looks at the files of a release. @returns those that have changed since its first worker booted, sorted */
  async changedFiles(settings: Settings): Promise<string[]> {
    const release = this.#of(settings);
    await this.#look(release, settings);
    return [...release.changed.keys()].sort();
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
      waits: undefined,
      timer: null,
      lookedAt: Number.NEGATIVE_INFINITY,
      took: 0,
    };
    this.#known.set(settings, release);
    return release;
  }

  /** @param maxAge milliseconds that it may have been since the last look */
  async #look(release: Release, settings: Settings, maxAge = 0): Promise<void> {
    const { before, looking } = release;
    if (before === null || monotonic() - release.lookedAt < maxAge) return;
    if (looking !== null) {
      await looking;
      // It may have passed what has changed since.
      if (maxAge === 0) await this.#look(release, settings);
      return;
    }
    release.lookedAt = monotonic();
    release.looking = (async () => {
      release.changed = await changedSince(await before, release.folder);
      const now = whereNow(settings.app);
      release.moved = now === null || now === settings.app.path ? null : now;
    })();
    try {
      await release.looking;
    } finally {
      release.looking = null;
      release.took = monotonic() - release.lookedAt;
    }
  }

  /** @param at when the worker booted, milliseconds since 1970: what changed later is none of its business */
  #tell(release: Release, worker: Booting, at: number, { app }: Settings): void {
    const { moved, told } = release;
    const changed = [...release.changed].filter((each) => each[1].at <= at).sort();
    const files = changed.map(([path]) => path);
    const key = changed.map(([path, { now }]) => `${path} ${now}`).join('\n');
    release.told = { changed: key, moved };
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

function pauseAfter({ took }: Release): number {
  return Math.max(together, Math.min(longestPause, took * lookShare));
}
