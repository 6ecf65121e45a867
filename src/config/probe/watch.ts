/** Ends the child with its parent: config code that loops sees neither a closed channel nor a signal of ours. */
import { Worker } from 'node:worker_threads';

/** Milliseconds between two looks. */
const every = 250;

const script = `
  const { workerData: { parent, every } } = require('node:worker_threads');
  setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, every);`;

/** Costs a thread, and some 10 ms, of a process that lives for a moment. */
export function endWithParent(parent: number): void {
  const watch = new Worker(script, { eval: true, execArgv: [], workerData: { parent, every } });
  // Without it, config code goes on unwatched.
  watch.on('error', () => {});
  watch.unref();
}
