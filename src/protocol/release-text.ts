/** What is said of the release that a generation is. */

export interface ReleaseIdentity {
  /** Of the app's file, symlinks resolved: what its workers boot from. */
  readonly path: string;
  /** Of `APP_VERSION` in the workers' environment, else of the nearest package.json; `null` if neither says one. */
  readonly version: string | null;
  /** Short hash of the git commit that was checked out when the generation began; `null` if there is none. */
  readonly commit: string | null;
}

/** A release that has workers, or is in force. */
export interface ReleaseStatus extends ReleaseIdentity {
  readonly generation: number;
  /** Files of it that are not what they were when the generation began: its next worker boots other code. */
  readonly changed: ReleaseChange | null;
  /** Where the path that was given leads now, if it is elsewhere: a symlink was moved, and a reload goes there. */
  readonly moved: string | null;
}

/** What has changed on disk. */
export interface ReleaseChange {
  /** The first of them, relative to the release's folder. */
  readonly files: readonly string[];
  /** How many there are. */
  readonly count: number;
}

/** `1.4.0, commit 1a2b3c4`; empty if neither is known. */
export function versionText({ version, commit }: Pick<ReleaseIdentity, 'version' | 'commit'>): string {
  return [version === null ? [] : version, commit === null ? [] : `commit ${commit}`].flat().join(', ');
}

/** With the path. */
export function releaseText(release: ReleaseIdentity): string {
  const version = versionText(release);
  return version === '' ? release.path : `${version}, ${release.path}`;
}

/** `server.js, lib/a.js and 3 more`. */
export function changeText({ files, count }: ReleaseChange): string {
  const more = count > files.length ? ` and ${count - files.length} more` : '';
  return `${files.join(', ')}${more}`;
}

/** What an operator is to know of what has become of it on disk; `null` if there is nothing. */
export function driftText({ generation, changed, moved }: ReleaseStatus): string | null {
  const release = `generation ${generation}`;
  if (changed !== null)
    return `${release}: changed on disk since it started: ${changeText(changed)}; new workers of it boot what is there now, a reload brings all to it`;
  return moved === null ? null : `${release}: the link points elsewhere now: ${moved}; a reload goes there`;
}

/** A line for each release, and one for what has become of it. */
export function releaseLines(release: ReleaseStatus): string[] {
  const drift = driftText(release);
  return [`generation ${release.generation}: ${releaseText(release)}`, ...(drift === null ? [] : [drift])];
}

/** `generation 2 (1.4.0, commit 1a2b3c4)`, of the one in force. */
export function generationText(generation: number, releases: readonly ReleaseStatus[] = []): string {
  const release = releases.find((each) => each.generation === generation);
  const version = release === undefined ? '' : versionText(release);
  return version === '' ? `generation ${generation}` : `generation ${generation} (${version})`;
}

/** The drift of the newest release that has one. */
export function firstDrift(releases: readonly ReleaseStatus[] = []): string | null {
  for (const release of releases) {
    const drift = driftText(release);
    if (drift !== null) return drift;
  }
  return null;
}
