/** Whether the operator has asked for an inspector, and where: what Node's command line and NODE_OPTIONS say of it. */

/** Where Node's inspector listens. Port 0 is any. */
export interface InspectorAddress {
  readonly host: string;
  readonly port: number;
}

/** Node's own defaults (node:cli, `--inspect`). */
const defaults: InspectorAddress = { host: '127.0.0.1', port: 9229 };

/** Whether this process was started with an inspector, and did not get one by a signal. */
export function asksForInspector(): boolean {
  return inspectorAsked(process.execArgv, process.env.NODE_OPTIONS) !== null;
}

/**
 * @param args options of Node, as on its command line, which come after those of `nodeOptions`
 * @param nodeOptions the value of NODE_OPTIONS
 * @returns `null` if they ask for no inspector
 */
export function inspectorAsked(args: readonly string[], nodeOptions = ''): InspectorAddress | null {
  const options = [...nodeOptions.split(/\s+/), ...args];
  let isAsked = false;
  let address = defaults;
  for (const [index, option] of options.entries()) {
    const [, name, value] = /^--(inspect(?:-brk|-wait|-port)?|debug-port)(?:=(.*))?$/.exec(option) ?? [];
    if (name === undefined) continue;
    const isPort = name.endsWith('-port');
    isAsked ||= !isPort;
    address = { ...address, ...read(value ?? (isPort ? options[index + 1] : undefined)) };
  }
  return isAsked ? address : null;
}

/** `port`, `host` or `host:port`; an IPv6 host is in brackets if a port follows. */
function read(value = ''): Partial<InspectorAddress> {
  if (/^\d+$/.test(value)) return { port: Number(value) };
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(value) ?? [];
  return { ...(host === '' ? {} : { host }), ...(port === undefined ? {} : { port: Number(port) }) };
}
