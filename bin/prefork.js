#!/usr/bin/env node
'use strict';
// CommonJS in old syntax: a Node that is too old for the rest must be able to run this, and say so.
var refusal = require('./node-version.js').refusalOf(process.version);
if (refusal === null) {
  require('./run.js');
} else {
  console.error('prefork: %s', refusal);
  process.exitCode = 1;
}
