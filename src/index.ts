/**
 * What a config file imports, and what an app may.
 *
 * @packageDocumentation
 */
import type { UserConfig } from './config/user-config.ts';

export {
  type CheckOptions,
  type CheckResult,
  health,
  onDrain,
  onShutdown,
  onStart,
  waitUntil,
  worker,
} from './app/api.ts';
export type { UserConfig, WorkerAbort } from './config/user-config.ts';
export {
  AlreadyRunningError,
  BindError,
  ConfigError,
  ControlError,
  FileError,
  PreforkError,
  type Problem,
  ReleaseError,
  UnsupportedNodeError,
} from './errors.ts';

/** A configuration, or a function that makes one. */
export type ConfigExport = UserConfig | (() => UserConfig | Promise<UserConfig>);

/** Gives what it is given; it is there so that an editor knows the type, and a misspelled setting is an error. */
export function defineConfig(config: ConfigExport): ConfigExport {
  return config;
}
