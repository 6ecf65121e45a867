#!/usr/bin/env node
'use strict';
// CommonJS in old syntax: a Node that is too old for the rest must be able to run this, and say so.
var refusal = require('./node-version.js').refusalOf(process.version);
var unreadable = require('./unreadable.js').unreadable;
if (refusal === null) {
  try {
    require('./run.js');
  } catch (error) {
    if (error.syscall === undefined) throw error;
    console.error('prefork: %s', unreadable(error));
    process.exitCode = 1;
  }
} else {
  console.error('prefork: %s', refusal);
  process.exitCode = 1;
}
