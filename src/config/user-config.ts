/** The configuration as it is written in `supervisor.config.ts`. */
import type { SettingsTable, Written } from './settings.ts';

export type { WorkerAbort } from './hooks.ts';
export type { ServiceEvent } from './service-event.ts';

/** See docs/settings.md for defaults. */
export interface UserConfig extends Written<SettingsTable> {}
