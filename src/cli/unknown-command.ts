/** What is said of a word that is neither a command nor an app: most likely it was meant as a command. */
import { closest } from '../config/closest.ts';
import { ConfigError } from '../errors.ts';
import { commands } from './commands/index.ts';

/** Words of other tools, and what does the same here. */
const elsewhere: Readonly<Record<string, string>> = {
  start: 'prefork ./server.js starts a service',
  serve: 'prefork ./server.js starts a service',
  run: 'prefork ./server.js starts a service',
  restart: 'prefork reload replaces every worker',
  kill: 'prefork stop ends the service',
  quit: 'prefork stop ends the service',
  delete: 'prefork stop ends the service',
  list: 'prefork status and prefork workers show what runs',
  ls: 'prefork status and prefork workers show what runs',
  ps: 'prefork status and prefork workers show what runs',
  monit: 'prefork top shows the workers',
  logs: 'the log goes to stderr, or to the file of --error-log',
  test: 'prefork check tries the configuration and the app',
  help: 'see prefork --help',
  version: 'see prefork --version',
};

/**
 * @param error what became of a command line that was read as a start
 * @param word the first one that is no option
 * @returns the error; or, if the word looks like a command and there is no app of that name, one that says so, and nothing
 *   of the options, which were meant for that command
 */
export function explainWord(error: ConfigError, word: string | undefined): ConfigError {
  if (word === undefined || !/^[a-z][a-z-]{1,20}$/i.test(word)) return error;
  const problem = error.problems.find(({ setting, source }) => setting === 'app' && source === 'command line');
  if (problem === undefined) return error;
  const source = 'command line';
  const wanted = word.toLowerCase();
  const names = commands.map(({ name }) => name);
  const own = Object.hasOwn(elsewhere, wanted) ? wanted : null;
  const command =
    own !== null
      ? null
      : (names.find((name) => wanted.length > 2 && name.startsWith(wanted)) ?? closest(wanted, names));
  const other = own ?? (command === null ? closest(wanted, Object.keys(elsewhere)) : null);
  const advice = command !== null ? `did you mean ${command}?` : other === null ? undefined : elsewhere[other];
  if (advice !== undefined) {
    const message = `there is no command ${word}, nor an app of that name; ${advice}`;
    return new ConfigError([{ setting: null, source, message }]);
  }
  const message = `${problem.message}; if it is meant as a command, prefork --help lists them`;
  return new ConfigError(error.problems.map((each) => (each === problem ? { ...each, message } : each)));
}
