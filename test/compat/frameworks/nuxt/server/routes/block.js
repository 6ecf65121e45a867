/** Never returns: the stack of a stuck worker has to name it. */
function blockForever() {
  for (;;);
}

export default defineEventHandler(blockForever);
