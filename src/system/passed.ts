/** Sockets that a service manager opened before it started us: sd_listen_fds(3). */

/** A listening socket that was there before us. */
export interface PassedSocket {
  readonly fd: number;
  /** `FileDescriptorName=` of the socket unit, else the unit's name; `null` where nobody gave one. */
  readonly name: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The first descriptor after stdin, stdout and stderr: SD_LISTEN_FDS_START. */
const firstFd = 3;
/** More than anybody passes; what is beyond it is a mistake, not sockets. */
const maxPassed = 1_024;

/** What a service manager says to one process, and nobody else is to hear. */
const variables = /^(LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|WATCHDOG_(USEC|PID))$/;

/** @returns the sockets that are meant for the process `pid`, in their order */
export function passedSockets(env: Environment, pid: number): readonly PassedSocket[] {
  const { LISTEN_FDS = '', LISTEN_PID, LISTEN_FDNAMES } = env;
  if (LISTEN_PID !== String(pid) || !/^\d{1,4}$/.test(LISTEN_FDS)) return [];
  const count = Math.min(Number(LISTEN_FDS), maxPassed);
  const names = LISTEN_FDNAMES?.split(':') ?? [];
  return Array.from({ length: count }, (_, index) => ({ fd: firstFd + index, name: nameOf(names[index]) }));
}

/** What systemd passes for a socket without a name of its own is as good as none. */
function nameOf(given: string | undefined): string | null {
  return given === undefined || given === '' || given === 'unknown' ? null : given;
}

/** The environment without what a service manager said to us. */
export function withoutServiceManager<T extends Environment>(env: T): T {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !variables.test(name))) as T;
}
