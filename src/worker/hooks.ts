/** Loads the hooks of the config file that run in the worker. */
import type { HookCall, WorkerHookName } from '../config/hooks.ts';

/**
 * @param file the config file that has the hook
 * @returns the hook, bound to its configuration; `null` if it cannot be loaded, which stderr then says
 */
export async function loadHook<Name extends WorkerHookName>(name: Name, file: string): Promise<HookCall<Name> | null> {
  try {
    const exported = await loadConfig(file);
    const config: unknown = typeof exported === 'function' ? await exported() : exported;
    const hook: unknown = typeof config === 'object' && config !== null ? Reflect.get(config, name) : undefined;
    return typeof hook === 'function' ? (hook.bind(config) as HookCall<Name>) : null;
  } catch (error) {
    console.error(`prefork: ${name} cannot be loaded from ${file}: ${String(error)}`);
    return null;
  }
}

/** As the master has loaded it; but nothing of this process is changed for it without need. */
async function loadConfig(file: string): Promise<unknown> {
  // Workers that need none of it load none of it.
  const { loadDefault } = await import('../config/probe/module.ts');
  try {
    return await loadDefault(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | null)?.code;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    const { resolveOurselves } = await import('../config/probe/resolve-ourselves.ts');
    resolveOurselves();
    return await loadDefault(file, true);
  }
}
