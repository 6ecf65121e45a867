/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  // A loop without an effect would be removed by the bundler.
  while (Date.now() > 0) globalThis.lastTurn = Date.now();
}

export function GET() {
  blockForever();
}
