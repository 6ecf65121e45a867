'use strict';
// Before anything else: without a listener, SIGUSR1 makes Node open its inspector (node:process, "Signal events").
process.on('SIGUSR1', () => {});
// What follows would make V8's young generation larger for ever: see src/master/service/young-generation.ts.
const { setFlagsFromString } = require('node:v8');
setFlagsFromString('--semi-space-growth-factor=1');
// V8's optimizing compiler is 3 to 5 MB as soon as it runs once. What is really hot is still optimized, a little later.
// V8 complains of a flag that it does not know, and names differ: only Nodes that were tried get one.
const later = { 20: '--interrupt-budget=2000000', 22: '--invocation-count-for-turbofan=30000' }[
  process.versions.node.split('.')[0]
];
if (later !== undefined) setFlagsFromString(later);
const { unreadable } = require('./unreadable.js');
/** All of the command line and of the master in one file: as modules they would need more memory, and longer to load. */
const entry = require('node:path').join(__dirname, '../dist/cli/main.cjs');

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

const load = () => {
  try {
    return require(entry);
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND' && error.message.includes(entry))
      fail(`it is not built: run \`npm run build\` in ${require('node:path').join(__dirname, '..')}`);
    if (error.syscall !== undefined) fail(unreadable(error));
    throw error;
  }
};

const { main } = load();
process.once('beforeExit', endEarly);
main(process.argv.slice(2)).then(() => process.removeListener('beforeExit', endEarly));
