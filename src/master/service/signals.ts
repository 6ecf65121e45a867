/** Signals to the master, as Gunicorn reads them. */
import type { Event } from '../../core/events.ts';
import { isInForeground } from '../../system/terminal.ts';

const table: Readonly<Partial<Record<NodeJS.Signals, Event>>> = {
  SIGHUP: { type: 'reloadRequested' },
  SIGTERM: { type: 'stopRequested', kind: 'graceful' },
  SIGINT: { type: 'stopRequested', kind: 'quick' },
  SIGQUIT: { type: 'stopRequested', kind: 'quick' },
  SIGTTIN: { type: 'scaleRequested', by: 1 },
  SIGTTOU: { type: 'scaleRequested', by: -1 },
  SIGWINCH: { type: 'poolDismissed' },
  SIGUSR1: { type: 'reopenRequested' },
  SIGUSR2: { type: 'upgradeRequested' },
};

/** Signals that would end Node or be misunderstood, and mean nothing here. */
const ignored: readonly NodeJS.Signals[] = [
  'SIGPIPE',
  'SIGALRM',
  'SIGVTALRM',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGIO',
  'SIGPWR',
  'SIGPROF',
  'SIGSTKFLT',
];

export interface SignalOptions {
  /** nodemon has started this master: its SIGUSR2 asks it to leave. */
  readonly nodemon: boolean;
}

/**
 * Listens from now on.
 *
 * @param onSignal is given the signal and the event it stands for
 * @returns ends it
 */
export function listenToSignals(
  { nodemon }: SignalOptions,
  onSignal: (signal: NodeJS.Signals, event: Event) => void,
): () => void {
  const meanings = { ...table, ...(nodemon ? { SIGUSR2: table.SIGTERM } : {}) };
  const listeners = (Object.entries(meanings) as [NodeJS.Signals, Event][]).map(([signal, event]) => {
    const listener = () => {
      // A terminal sends WINCH for every change of its window's size, to whatever runs in its foreground.
      if (signal !== 'SIGWINCH' || !isInForeground()) onSignal(signal, event);
    };
    process.on(signal, listener);
    return () => process.removeListener(signal, listener);
  });
  for (const signal of ignored) {
    try {
      process.on(signal, () => {});
    } catch {
      // This platform does not have it.
    }
  }
  return () => {
    for (const stop of listeners) stop();
  };
}
