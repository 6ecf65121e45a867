/**
 * The main module if one named export of the app is served: the app is imported, so that what it does only as
 * the main module stays undone.
 */
import { pathToFileURL } from 'node:url';
import { takeHost } from './hosting.ts';

// The agent has made the app's path the script's.
takeHost()(import(pathToFileURL(process.argv[1] ?? '').href));
