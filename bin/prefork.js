#!/usr/bin/env node
// Before anything else: without a listener, SIGUSR1 makes Node open its inspector (node:process, "Signal events").
process.on('SIGUSR1', () => {});
const entry = new URL('../dist/cli/main.js', import.meta.url);
const { main } = await import(entry.href).catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || error.url !== entry.href) throw error;
  console.error(`prefork: it is not built: run \`npm run build\` in ${new URL('..', import.meta.url).pathname}`);
  process.exit(1);
});
await main(process.argv.slice(2));
