/**
 * What NODE_OPTIONS has Node load belongs to the app (an exporter of metrics, a tracer), and is for workers: in the master
 * it would take their ports and see none of their requests. Node loads it before the first line of ours, so the master
 * starts once more without it, in the same process, where Node can do that (22.15 and newer).
 */
import { existsSync } from 'node:fs';
import { hasPreloads, withoutPreloads } from '../../system/preloads.ts';

/** Holds the app's options while NODE_OPTIONS is without what it preloads. */
const variable = 'PREFORK_NODE_OPTIONS';

/** Whether what NODE_OPTIONS names has run in this process. */
let hasRun = false;

/** To be called first. Does not return if the process starts once more. */
export function leavePreloads(): void {
  const { env } = process;
  const kept = env[variable];
  if (kept !== undefined) {
    delete env[variable];
    // For workers, and for the child that reads the configuration.
    env.NODE_OPTIONS = kept;
    return;
  }
  hasRun = hasPreloads(env.NODE_OPTIONS);
  const { execve } = process as { execve?: (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never };
  // A parent's channel would not survive, and a Node that was replaced meanwhile cannot be started.
  if (!hasRun || typeof execve !== 'function' || process.channel !== undefined || !existsSync(process.execPath)) return;
  // It calls itself experimental, which is no news for the operator.
  process.emitWarning = () => {};
  const args = [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
  execve.call(process, process.execPath, args, withoutOwnPreloads(env));
}

/** The environment for a further master, so that it need not start twice. */
export function withoutOwnPreloads(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_OPTIONS } = env;
  if (NODE_OPTIONS === undefined || !hasPreloads(NODE_OPTIONS)) return env;
  return { ...env, NODE_OPTIONS: withoutPreloads(NODE_OPTIONS), [variable]: NODE_OPTIONS };
}

/** A warning if the app's preloads run in the master. */
export function preloadNotice(): string | null {
  return hasRun
    ? 'what NODE_OPTIONS has Node load runs in the master as well: where it listens, workers find its port in use; name it in nodeArgs instead, which is for workers alone'
    : null;
}
