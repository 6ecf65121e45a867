/** `prefork init`: a first configuration, for the app that is there. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlError } from '../../errors.ts';
import { command } from '../command.ts';

const file = 'supervisor.config.ts';
const candidates = ['server', 'app', 'index', 'main'].flatMap((name) =>
  ['', 'src/', 'dist/'].flatMap((folder) => ['ts', 'mjs', 'js', 'cjs'].map((ext) => `./${folder}${name}.${ext}`)),
);

export const init = command({
  name: 'init',
  help: 'Write a supervisor.config.ts for the app in this folder',
  switches: { yes: { doc: 'Ask nothing', short: 'y' } },
  /** @throws ControlError if there is a configuration already */
  async run({ yes }, { cwd }) {
    const path = join(cwd, file);
    if (existsSync(path)) throw new ControlError(`${path} exists already; it is left as it is`);
    const found = await findEntry(cwd);
    const app = yes || !process.stdin.isTTY ? found : await ask('App', found);
    writeFileSync(path, textFor(app ?? './server.js'), { flag: 'wx' });
    const { escapeText } = await import('../../system/plain.ts');
    console.log(escapeText(`wrote ${path}${app === null ? '; set app in it' : ` for ${app}`}`));
    console.log('check it with: npx prefork check');
    console.log('serve with:    npx prefork');
  },
});

async function ask(what: string, suggestion: string | null): Promise<string | null> {
  const { escapeText } = await import('../../system/plain.ts');
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const answer = (await lines.question(`${what} [${escapeText(suggestion ?? './server.js')}]: `)).trim();
  lines.close();
  return answer === '' ? suggestion : answer;
}

/** What `npm start` runs, the package's main file, or a file with a usual name. */
async function findEntry(cwd: string): Promise<string | null> {
  const { entriesOf, manifestIn } = await import('../../system/manifest.ts');
  const named = entriesOf(manifestIn(cwd) ?? {});
  return [...named, ...candidates].find((name) => existsSync(join(cwd, name))) ?? null;
}

function textFor(app: string): string {
  return `import { defineConfig } from 'prefork';

// All settings: docs/settings.md of prefork, or an editor's completion.
export default defineConfig({
  app: ${JSON.stringify(app)},
  // Where to serve; without it the app's own listen() decides.
  // bind: '127.0.0.1:8000',
  // 2 x cores + 1 unless told.
  // workers: 5,
  // Time for requests in flight to finish at a reload or stop.
  gracefulTimeout: '30s',
  // A worker whose event loop blocks this long is killed and replaced; the log says where it was stuck.
  timeout: '30s',
  // For prefork reload, status and the like.
  pidfile: './prefork.pid',
  // Answers /health/live and /health/ready on the service's own port.
  // health: true,
  // Once per reload, before any new worker.
  // release: 'npm run migrate',
});
`;
}
