/** Where the tests find things. */
import { fileURLToPath } from 'node:url';

/** The absolute path of a file of the repository. */
export function fromRoot(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

export const root = fromRoot('.');
export const bin = fromRoot('bin/prefork.js');
/** The one-file app with every behaviour; see its head. */
export const fixtureApp = fromRoot('test/fixtures/app.cjs');

/** The absolute path of a file under test/fixtures. */
export function fixture(path: string): string {
  return fromRoot(`test/fixtures/${path}`);
}
