/**
 * Closes an inspector that was not asked for. A SIGUSR1 that arrives before our first line has run makes Node open one, on
 * the well-known port; a newer Node has `--disable-sigusr1`, but a program cannot give itself options.
 */
import { close, url } from 'node:inspector';
import { asksForInspector } from '../../system/inspector-option.ts';
import { inspectorNotice, isInspectorNotice } from '../../system/node-internals.ts';

/** Milliseconds: a signal from before our listener is acted upon at one of the first turns of the event loop. */
const looks = [0, 50, 500];
/** Milliseconds after which that is over, on a machine with far too much to do as well. */
const late = 60_000;

export function guardInspector(): void {
  if (asksForInspector()) return;
  closeOpened();
  for (const look of looks) setTimeout(closeOpened, look).unref();
  const onNotice = (raw: unknown): void => {
    // It is not yet open to the full.
    if (isInspectorNotice(raw)) setImmediate(closeOpened);
  };
  process.on(inspectorNotice, onNotice);
  setTimeout(() => process.off(inspectorNotice, onNotice), late).unref();
}

function closeOpened(): void {
  if (url() !== undefined) close();
}
