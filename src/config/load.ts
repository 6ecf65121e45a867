/** Reads all sources and gives the settings of one generation. */
import { availableParallelism } from 'node:os';
import { ConfigError } from '../errors.ts';
import { containerLimits } from '../system/cgroup.ts';
import { withoutServiceManager } from '../system/passed.ts';
import { type Layer, merge } from './merge.ts';
import { type OnPrinted, toStderr } from './probe/printed.ts';
import { findConfigFile, readConfigFile } from './probe/run.ts';
import { type Draft, resolveSettings } from './resolve.ts';
import type { LoadRequest, Settings } from './resolved.ts';
import type { Table } from './settings/setting.ts';
import { settings } from './settings.ts';
import { functionMarker } from './show.ts';

/**
 * Defaults < environment < file < PREFORK_CMD_ARGS < command line.
 *
 * @param onPrinted is told what the config file's code prints
 * @throws ConfigError with every problem found
 */
export async function loadSettings(
  request: LoadRequest,
  table: Table = settings,
  onPrinted: OnPrinted = toStderr,
): Promise<Settings> {
  const { env, cwd } = request;
  const configFile = findConfigFile(request.configFile, cwd);
  const fileValues =
    configFile === null ? {} : await readConfigFile(configFile, cwd, { ...withoutServiceManager(env) }, onPrinted);
  const layers: Layer[] = [
    ...environmentLayers(env, table),
    ...(configFile === null ? [] : [{ source: configFile, values: fileValues, isText: false }]),
    { source: 'PREFORK_CMD_ARGS', values: request.cmdArgs, isText: true },
    { source: 'command line', values: request.flags, isText: true },
  ];
  const { values, problems, doubts } = merge(layers, cwd, table);
  const cores = availableParallelism();
  const limits = containerLimits();
  const draft: Draft = {
    values,
    problems,
    doubts,
    env,
    cwd,
    configFile,
    hooks: Object.keys(fileValues).filter((name) => fileValues[name] === functionMarker),
    cores: limits.cpus === null ? cores : Math.max(1, Math.min(cores, Math.floor(limits.cpus))),
    memory: limits.memory,
    umask: request.umask ?? 0o022,
    passed: request.passed ?? [],
  };
  const resolved = resolveSettings(draft, table);
  if (resolved.problems.length > 0) throw new ConfigError(resolved.problems);
  return resolved.settings;
}

function environmentLayers(env: LoadRequest['env'], table: Table): Layer[] {
  return Object.entries(table).flatMap(([name, { env: variable }]) => {
    const value = variable === undefined ? undefined : env[variable];
    // An empty variable is how shells and platforms say "not set".
    if (variable === undefined || value === undefined || value === '') return [];
    return [{ source: `environment variable ${variable}`, values: { [name]: value }, isText: true }];
  });
}
