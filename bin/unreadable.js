'use strict';
// In the syntax of 2009, as prefork.js is.

/**
 * What is said if the files of prefork cannot be read: too few file descriptors, for example.
 *
 * @param {NodeJS.ErrnoException} error
 * @returns {string}
 */
exports.unreadable = unreadable;

function unreadable(error) {
  var advice = error.code === 'EMFILE' ? '; raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)' : '';
  return 'it cannot be read: '.concat(error.message, advice);
}
