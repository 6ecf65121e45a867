/** The inspectors that the operator has asked for (`--inspect` among nodeArgs, or in NODE_OPTIONS): one a worker. */
import { url } from 'node:inspector';
import type { Settings } from '../../config/resolved.ts';
import { type InspectorAddress, inspectorAsked } from '../../system/inspector-option.ts';
import { interruptible, uninterruptible } from '../../system/node-internals.ts';

/** Where a worker's inspector was asked for; `null` if it was not. */
export function inspectorOf({ nodeArgs, env }: Pick<Settings, 'nodeArgs' | 'env'>): InspectorAddress | null {
  return inspectorAsked(nodeArgs, env.NODE_OPTIONS);
}

/** Options of Node, to come after all others, and the port that they name. */
export interface InspectorOptions {
  readonly options: readonly string[];
  readonly port: number;
}

/** Gives each worker a port of its own: the one asked for, or the next that no other worker has. */
export class Inspectors {
  readonly #ports = new Map<number, number>();

  optionsFor(id: number, settings: Pick<Settings, 'nodeArgs' | 'env' | 'captures'>): InspectorOptions {
    const asked = inspectorOf(settings);
    if (asked === null) return { options: settings.captures ? interruptible : uninterruptible(), port: 0 };
    const port = asked.port === 0 ? 0 : this.#free(asked.port);
    if (port > 0) this.#ports.set(id, port);
    return { options: [`--inspect-port=${asked.host}:${port}`], port };
  }

  /** The worker is gone. */
  forget(id: number): void {
    this.#ports.delete(id);
  }

  #free(from: number): number {
    // The master may have been started with an inspector too.
    const taken = new Set([...this.#ports.values(), Number(new URL(url() ?? 'ws://none:0').port)]);
    let port = from;
    while (taken.has(port) && port < 65_535) port += 1;
    return port;
  }
}
