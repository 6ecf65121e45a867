/** Runs a test as the one worker of node:cluster: what fails here too is no difference of prefork's own. */
const cluster = require('node:cluster');

const [exec, ...execArgv] = process.argv.slice(2);
cluster.setupPrimary({ exec, execArgv: [...execArgv, '--require', require.resolve('./cluster-worker.cjs')] });
cluster.fork().on('exit', (code, signal) => {
  process.exitCode = signal === null ? code : 1;
});
