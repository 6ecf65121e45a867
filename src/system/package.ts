/** What prefork's own package.json says. */
import { readFileSync } from 'node:fs';

/** The version of prefork that is installed. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
