'use strict';
// Before anything else: without a listener, SIGUSR1 makes Node open its inspector (node:process, "Signal events").
process.on('SIGUSR1', () => {});
const { unreadable } = require('./unreadable.js');
const { pathToFileURL } = require('node:url');
const entry = pathToFileURL(require('node:path').join(__dirname, '../dist/cli/main.js'));

/** Waiting for something that keeps no process alive is the end of a process, with status 0: a failure must not pass for a success. */
const endEarly = () => {
  console.error('prefork: this is a bug in prefork, please report it: it ended before it was done');
  process.exit(1);
};

// Workers preload an ES module with --require. NODE_OPTIONS can switch that off.
if (process.features.require_module === false) {
  console.error('prefork: require() of ES modules is switched off (--no-experimental-require-module); workers need it');
  process.exit(1);
}

const fail = (text) => {
  console.error('prefork: %s', text);
  process.exit(1);
};

const load = () =>
  import(entry.href).catch((error) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND' && error.url === entry.href)
      fail(`it is not built: run \`npm run build\` in ${require('node:path').join(__dirname, '..')}`);
    if (error.syscall !== undefined) fail(unreadable(error));
    throw error;
  });

process.once('beforeExit', endEarly);
load()
  .then(({ main }) => main(process.argv.slice(2)))
  .then(() => process.removeListener('beforeExit', endEarly));
