/**
 * Where prefork's own files are. The only place in what the master runs that asks where it is itself: the build joins the
 * master's modules into one file, which lies in a folder of the root as this one does.
 */
import { fileURLToPath } from 'node:url';

/** The folder `dist`; or `src`, if prefork runs from its sources, as its tests do. */
const root = new URL('..', import.meta.url);
const isSource = import.meta.url.endsWith('.ts');

/** @param path below the root, as it is called in the sources without its extension, such as `worker/agent` */
export function ownModule(path: string): string {
  return fileURLToPath(new URL(`${path}.${isSource ? 'ts' : 'js'}`, root));
}

/** @param path below the root; `../package.json` is the package's */
export function ownFile(path: string): URL {
  return new URL(path, root);
}

/** What Node needs in front of a module of ours to run it. */
export function ownLoader(): readonly string[] {
  return isSource ? ['--import', tsxLoader()] : [];
}

/** The URL of tsx, for `--import`. */
export function tsxLoader(): string {
  return import.meta.resolve('tsx');
}
