/** What prefork's own package.json says. */
import { readFileSync } from 'node:fs';
import { ownFile } from './own-files.ts';

/** The version of prefork that is installed. */
export const version: string = (JSON.parse(readFileSync(ownFile('../package.json'), 'utf8')) as { version: string })
  .version;
