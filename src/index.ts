/**
 * What a config file imports.
 *
 * @packageDocumentation
 */
import type { UserConfig } from './config/user-config.ts';

export type { UserConfig, WorkerAbort } from './config/user-config.ts';
export {
  AlreadyRunningError,
  BindError,
  ConfigError,
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
