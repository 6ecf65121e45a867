/** The folder of heap snapshots, in which workers write: it is theirs, and nobody else's to read. */
import { existsSync, lstatSync, rmdirSync } from 'node:fs';
import type { Settings } from '../../config/resolved.ts';
import { FileError } from '../../errors.ts';
import { privateFolder } from '../../system/private-folder.ts';

type Given = Pick<Settings, 'heapSnapshots' | 'identity'>;

/** Rights of an owner to write to a folder, and to find what is in it. */
const ownWrite = 0o300;
/** Rights of the group and of others to read. */
const foreignRead = 0o044;

/**
 * Makes the folder if it is not there.
 *
 * @throws FileError if workers could not write there, or others could read or replace what they write
 */
export function prepareSnapshotFolder({ heapSnapshots: folder, identity }: Given): void {
  if (folder === null) return;
  const uid = identity?.uid ?? process.geteuid?.() ?? 0;
  const reason = privateFolder(folder, uid) ?? refusal(folder, uid);
  if (reason !== null) throw new FileError(`heapSnapshots: ${folder} cannot be used: ${reason}`);
}

/** The same, and nothing is left behind. @throws FileError */
export function checkSnapshotFolder(given: Given): void {
  const { heapSnapshots: folder } = given;
  if (folder === null) return;
  const wasThere = existsSync(folder);
  prepareSnapshotFolder(given);
  if (!wasThere) rmdirSync(folder);
}

function refusal(folder: string, uid: number): string | null {
  const { uid: owner, mode } = lstatSync(folder);
  if (owner !== uid) return `it belongs to uid ${owner}, and workers run as uid ${uid}`;
  if ((mode & foreignRead) !== 0) return 'others than its owner can read it, and a snapshot has secrets: chmod 700';
  return uid !== 0 && (mode & ownWrite) !== ownWrite ? 'its owner cannot write to it: chmod 700' : null;
}
