/**
 * Where what comes of a look into a worker is written. A file has its name once it is complete: until then it is beside it,
 * and if it does not come to an end nothing is left of it, nor is a file that was there before.
 */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { ControlError } from '../../errors.ts';

export interface Output {
  /** As it is told to the operator. */
  readonly name: string;
  /** @throws ControlError if it cannot be written any more */
  write(chunk: Buffer): Promise<void>;
  /** All is written. @throws ControlError */
  finish(): void;
  /** There is no more: what was written is removed. Never throws. */
  abandon(): void;
}

/**
 * Opens it now, so that nothing is begun that nobody could keep.
 *
 * @param file `-` is stdout
 * @throws ControlError if it cannot be written
 */
export function openOutput(file: string, cwd: string): Output {
  if (file === '-') return toStdout();
  const path = resolve(cwd, file);
  const found = lookAt(path);
  if (found?.isDirectory() === true) throw new ControlError(`cannot write ${file}: it is a folder`);
  // A device or a pipe stays what it is.
  const isFile = found === null || found.isFile();
  const part = isFile ? `${path}.${process.pid}.part` : path;
  const fd = attempt(file, () => {
    if (found !== null) accessSync(path, constants.W_OK);
    // What is in a worker is nobody else's to read.
    return openSync(part, isFile ? 'wx' : 'w', 0o600);
  });
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  return {
    name: file,
    write: (chunk) =>
      Promise.resolve(
        attempt(file, () => {
          for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        }),
      ),
    finish: () =>
      attempt(file, () => {
        close();
        if (isFile) renameSync(part, path);
      }),
    abandon: () => {
      try {
        close();
      } catch {
        // It is removed all the same.
      }
      if (isFile) rmSync(part, { force: true });
    },
  };
}

function toStdout(): Output {
  const { stdout } = process;
  if (stdout.isTTY)
    throw new ControlError('what comes is not for a terminal to show: give a file (-o FILE), or a pipe (-o - | ...)');
  let failure: Error | null = null;
  stdout.on('error', (error) => {
    failure = error;
  });
  return {
    name: 'stdout',
    write: (chunk) =>
      new Promise((done, reject) => {
        const fail = (error: Error): void => reject(new ControlError(`cannot write stdout: ${error.message}`));
        if (failure !== null) return fail(failure);
        stdout.write(chunk, (error) => (error === null || error === undefined ? done() : fail(error)));
      }),
    finish: () => {},
    abandon: () => {},
  };
}

function lookAt(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function attempt<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ControlError(`cannot write ${file}: ${reasons[code ?? ''] ?? message}`, { cause: error });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'its folder is not there',
  ENOTDIR: 'its folder is none',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: "the user's quota of the disk is used up",
  ENAMETOOLONG: 'its name is too long',
};
