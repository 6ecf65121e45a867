/** What a worker gets with its birth. */
import { isWorkerHook } from '../../config/hooks.ts';
import type { Settings } from '../../config/resolved.ts';
import type { Table } from '../../config/settings/setting.ts';
import { settings as everySetting, settingsFor } from '../../config/settings.ts';
import type { BootInfo } from '../../protocol/messages.ts';
import type { QueueDescriptors } from '../../protocol/migration.ts';

/** The worker's copy of the master's stdout, if its own goes elsewhere: the place it has in the pool's `stdio`. */
const spareStdout = 5;

/** Who is born, and with which settings. */
export interface Birth {
  readonly id: number;
  /** `null` for a spare. */
  readonly slot: number | null;
  readonly generation: number;
  readonly settings: Settings;
  /** Where the worker finds the queue between workers. */
  readonly queue: QueueDescriptors | null;
  /** Not if it is left out. */
  readonly held?: boolean;
  /** None if it is left out. */
  readonly cache?: BootInfo['compileCache'];
  /** Whether it is the first worker of its generation, and that may be tried. */
  readonly isCanary?: boolean;
}

/** @param heartbeat milliseconds between two */
export function bootInfo(
  { id, slot, generation, settings, queue, held = false, cache = null, isCanary = false }: Birth,
  heartbeat: number,
  table: Table = everySetting,
): BootInfo {
  const { configFile, hooks } = settings;
  return {
    id,
    slot,
    generation,
    settings: settingsFor('worker', settings, table),
    defaultBind: settings.defaultBind,
    heartbeat,
    ...(held ? { held } : {}),
    accessLog: accessLogOf(settings),
    metrics: metricsOf(settings, isCanary),
    queue,
    compileCache: cache,
    hooks:
      configFile === null
        ? {}
        : Object.fromEntries(hooks.filter((name) => isWorkerHook(name)).map((name) => [name, configFile])),
  };
}

/** Requests are counted for whoever reads the metrics, and to judge a generation by them. */
function metricsOf(
  { metrics, admin, statsd, canary, minReadySeconds }: Settings,
  isCanary: boolean,
): BootInfo['metrics'] {
  if (!metrics && canary === null) return null;
  return {
    app: metrics && (admin !== null || statsd !== null),
    latencies: canary !== null,
    trial: canary !== null && isCanary ? canary.for + minReadySeconds : null,
  };
}

function accessLogOf(settings: Settings): BootInfo['accessLog'] {
  const { accessLog, accessLogFormat: format, accessLogFields: fields, accessLogSkip: skip, trustProxy } = settings;
  if (accessLog === null) return null;
  const target = accessLog !== '-' ? accessLog : settings.captureOutput ? spareStdout : 1;
  return { target, format, fields, skip, trustProxy };
}
