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
  onLeader,
  onShutdown,
  onSlot,
  onStart,
  waitUntil,
  worker,
} from './app/api.ts';
export { requestId, traceId } from './app/requests.ts';
export type { ServiceEvent, UserConfig, WorkerAbort } from './config/user-config.ts';
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

/** A configuration, or a function that returns one. */
export type ConfigExport = UserConfig | (() => UserConfig | Promise<UserConfig>);

/** Returns its argument: with it an editor knows the type, and a misspelled setting is a type error. */
export function defineConfig(config: ConfigExport): ConfigExport {
  return config;
}
