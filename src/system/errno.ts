/** The operating system's error numbers, for what speaks to libuv. */

/** The names that are needed here, see errno(3). */
export type Errno = 'EADDRINUSE' | 'EMFILE' | 'EPIPE';

/**
 * libuv's number for an error, which is negative.
 *
 * node:os is loaded at the first error, and not before: most workers never see one.
 */
export function libuvError(name: Errno): number {
  return -process.getBuiltinModule('node:os').constants.errno[name];
}
