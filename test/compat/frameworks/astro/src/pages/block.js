/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  while (Date.now() > 0);
}

export function GET() {
  blockForever();
}
