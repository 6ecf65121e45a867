/**
 * Closes an inspector that was not asked for. A SIGUSR1 that arrives before our first line has run makes Node open one, on
 * the well-known port; a newer Node has `--disable-sigusr1`, but a program cannot give itself options.
 */
import { close, url } from 'node:inspector';
import { asksForInspector } from '../../system/inspector-option.ts';

/** Milliseconds: a signal from before our listener is acted upon at one of the first turns of the event loop. */
const looks = [0, 50, 500];

export function guardInspector(): void {
  if (asksForInspector()) return;
  closeOpened();
  for (const look of looks) setTimeout(closeOpened, look).unref();
}

function closeOpened(): void {
  if (url() !== undefined) close();
}
