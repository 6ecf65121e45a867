/**
 * What `require('prefork')` gives, with types for CommonJS: the same objects as `import` gives, not a second copy.
 *
 * With `module: node16` or `node18` TypeScript does not let a CommonJS file import an ES module, although Node has been
 * able to since 20.19 (https://nodejs.org/docs/latest-v20.x/api/modules.html#loading-ecmascript-modules-using-require).
 * The declaration of this file names the ES module in types only, which it does allow.
 *
 * @packageDocumentation
 */
import type * as esm from './index.ts' with { 'resolution-mode': 'import' };

// A list of names, because a namespace of types cannot be re-exported whole; a test holds it against index.ts.
declare namespace prefork {
  export type AlreadyRunningError = esm.AlreadyRunningError;
  export type BindError = esm.BindError;
  export type CheckOptions = esm.CheckOptions;
  export type CheckResult = esm.CheckResult;
  export type ConfigError = esm.ConfigError;
  export type ConfigExport = esm.ConfigExport;
  export type ControlError = esm.ControlError;
  export type FileError = esm.FileError;
  export type PreforkError = esm.PreforkError;
  export type Problem = esm.Problem;
  export type ReleaseError = esm.ReleaseError;
  export type ServiceEvent = esm.ServiceEvent;
  export type UnsupportedNodeError = esm.UnsupportedNodeError;
  export type UserConfig = esm.UserConfig;
  export type WorkerAbort = esm.WorkerAbort;
}

const prefork: typeof esm = require('./index.js');

// @ts-expect-error TS1294: Node cannot strip this syntax from a source file, and it never meets it: this file is compiled.
export = prefork;
