/** The users, files and lives of the processes. */
import { boolean, mode, path, positiveTime, string } from './kinds.ts';
import { computed, inGroup } from './setting.ts';

const setting = inGroup('Process');

export const processes = {
  user: setting({ kind: string, default: null, short: 'u', doc: 'User the workers run as', elsewhere: ['uid'] }),
  group: setting({
    kind: string,
    default: null,
    defaultAs: "the user's",
    short: 'g',
    doc: 'Group the workers run as',
    elsewhere: ['gid'],
  }),
  /** `'022'` or `0o022`. */
  umask: setting({ kind: mode, default: computed("the caller's"), doc: 'File mode mask of the workers, octal' }),
  /** `user`, `user:group` or `:group`. */
  socketOwner: setting({
    kind: string,
    default: computed("the workers' user"),
    doc: 'Owner of unix sockets: user, user:group or :group',
  }),
  daemon: setting({
    kind: boolean,
    default: false,
    short: 'D',
    at: 'start',
    doc: 'Go to the background once the service is ready',
  }),
  envFile: setting({
    kind: path,
    default: null,
    doc: 'File of NAME=value lines for the environment of the app',
  }),
  upgradeTimeout: setting({
    kind: positiveTime,
    default: 120_000,
    for: ['core'],
    doc: 'Time in which a new master must be ready at an upgrade (SIGUSR2)',
  }),
  upgradeByHand: setting({
    kind: boolean,
    default: false,
    for: ['core'],
    doc: "An upgrade leaves the old master to the operator's WINCH and TERM, as Gunicorn does",
  }),
};
