/** Which release a generation is: read once, when it begins, for files change. */
import { dirname } from 'node:path';
import type { Settings } from '../../config/resolved.ts';
import type { ReleaseIdentity } from '../../protocol/release-text.ts';
import { commitOf } from '../../system/git.ts';
import { manifestsOf } from '../../system/manifest.ts';

/** What somebody writes into a package.json may have any length. */
const maxVersion = 100;

/** The setting `env`, an env file or the caller's environment: what the workers see. */
const versionVariable = 'APP_VERSION';

/** @returns the release that is at the app's real path at this moment */
export function identityOf({ app, env }: Pick<Settings, 'app' | 'env'>): ReleaseIdentity {
  return { path: app.path, version: versionOf(app.path, env), commit: commitOf(dirname(app.path)) };
}

/** `APP_VERSION` says it on purpose; else it is what the nearest package.json that has one says. */
function versionOf(path: string, env: Settings['env']): string | null {
  const said = env[versionVariable]?.trim() ?? '';
  if (said !== '') return short(said);
  for (const { version } of manifestsOf(path)) if (typeof version === 'string') return short(version);
  return null;
}

function short(version: string): string {
  return version.length <= maxVersion ? version : `${version.slice(0, maxVersion - 3)}...`;
}
