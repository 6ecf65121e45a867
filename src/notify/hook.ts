/** Calls the `on` hook of a config file, which is loaded once. */
import { isTypeScript, loadDefault } from '../config/probe/module.ts';
import { resolveOurselves } from '../config/probe/resolve-ourselves.ts';
import type { ServiceEvent } from '../config/service-event.ts';

/**
 * @param path of the config file
 * @returns calls the hook and waits for it; throws what it throws, or why the file cannot be loaded
 */
export function hookOf(path: string): (event: ServiceEvent) => Promise<void> {
  let loading: Promise<(event: ServiceEvent) => unknown> | null = null;
  return async (event) => {
    loading ??= load(path);
    const hook = await loading;
    await hook(event);
  };
}

async function load(path: string): Promise<(event: ServiceEvent) => unknown> {
  resolveOurselves();
  // Only tsx needs it, and does not say if it would have.
  if (isTypeScript(path)) process.setSourceMapsEnabled(true);
  const exported = await loadDefault(path);
  const config: unknown = typeof exported === 'function' ? await exported() : exported;
  const hook: unknown = typeof config === 'object' && config !== null ? Reflect.get(config, 'on') : undefined;
  // A configuration that is made by a function may have it at one time and not at another.
  return typeof hook === 'function' ? (event) => hook.call(config, event) as unknown : () => {};
}
