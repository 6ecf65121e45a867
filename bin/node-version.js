'use strict';
// In the syntax of 2009, as prefork.js is: any Node there is has to come to the message.

/**
 * Why prefork cannot run on a Node, in one line; null if it can. Workers preload an ES module with --require, which needs
 * Node 20.19, or 22.12: see "Loading ECMAScript modules using require()" in the documentation of Node.
 *
 * @param {string} version as process.version has it: v18.20.8
 * @returns {string | null}
 */
function refusalOf(version) {
  var parts = /^v?(\d+)\.(\d+)/.exec(version) || [];
  var major = Number(parts[1]);
  var minor = Number(parts[2]);
  var isFit = major === 20 ? minor >= 19 : major === 22 ? minor >= 12 : major > 22;
  if (isFit) return null;
  return (
    'prefork needs Node 20.19 or newer' +
    (major === 21 || major === 22 ? ' (of Node 22: 22.12)' : '') +
    ', this is ' +
    version
  );
}

exports.refusalOf = refusalOf;
