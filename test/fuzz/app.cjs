'use strict';
// The service that is fuzzed: an honest app in some slots, and in the others one that does what it likes.
const http = require('node:http');

const { hostilePort, honestPort, hostileSlots } = JSON.parse(process.env.FUZZ);

import(process.env.FUZZ_PREFORK_URL).then(({ worker }) => {
  const isHostile = worker.slot < hostileSlots;
  const server = http.createServer((_, response) => response.end(`${worker.slot}`));
  // Not on the address of the honest ones: what it does to clients of its own is its own affair.
  server.listen(isHostile ? hostilePort : honestPort, '127.0.0.1', () => {
    if (isHostile) require('./hostile.cjs').begin(worker.id);
  });
});
