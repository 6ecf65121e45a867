/** The demo: a paste service, as one would write it to run under plain `node`. It knows nothing of prefork. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { buildApp } from './app.ts';
import { PasteStore } from './store.ts';

const folder = process.env.PASTES ?? fileURLToPath(new URL('./data/', import.meta.url));
const packageFile = new URL('../package.json', import.meta.url);
const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };

const app = buildApp(await PasteStore.open(folder), process.env.VERSION ?? version);

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void app.close());

await app.listen({ port: Number(process.env.PORT ?? 3000) });
