#!/usr/bin/env node
// Before anything else: without a listener, SIGUSR1 makes Node open its inspector (node:process, "Signal events").
process.on('SIGUSR1', () => {});
const { main } = await import('../dist/cli/main.js');
await main(process.argv.slice(2));
