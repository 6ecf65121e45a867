/** Renders docs/settings.md from the tables of settings and hooks. */
import { type Hook, type HookTable, hooks } from '../../src/config/hooks.ts';
import type { Setting, Table } from '../../src/config/settings/setting.ts';
import { defaultText, docText, flagOf, hasFlag, settings } from '../../src/config/settings.ts';

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function flags(name: string, setting: Setting): string {
  const { short, positional = '' } = setting;
  if (!hasFlag(setting)) return positional;
  return `${short === undefined ? '' : `\`-${short}\`, `}\`--${flagOf(name, setting)}\``;
}

function settingRow(name: string, setting: Setting): string {
  const { kind, env, at } = setting;
  const variable = env === undefined ? '' : ` Environment: \`${env}\`.`;
  return row(
    `\`${name}\``,
    flags(name, setting),
    kind.takes,
    defaultText(setting),
    at,
    `${docText(setting)}.${variable}`,
  );
}

function hookRow([name, { process, payload, moment, onThrow }]: [string, Hook]): string {
  const place = process === 'worker' ? 'each worker' : 'a process of its own';
  return row(`\`${name}\``, place, moment, payload, onThrow);
}

export function renderSettings(table: Table = settings, hookTable: HookTable = hooks): string {
  const entries = Object.entries(table);
  const groups = [...new Set(entries.map(([, { group }]) => group))];
  const sections = groups.map((group) => {
    const rows = entries.filter(([, setting]) => setting.group === group).map(([name, each]) => settingRow(name, each));
    const head = [
      row('setting', 'flag', 'takes', 'default', 'takes effect', 'what it is for'),
      '|---|---|---|---|---|---|',
    ];
    return `## ${group}\n\n${[...head, ...rows].join('\n')}\n`;
  });
  const variables = [...entries.flatMap(([, { env }]) => env ?? []), 'PORT'].map((name) => `\`${name}\``).join(', ');
  return `# Settings

Rendered from \`src/config/settings.ts\`. Order: defaults, the environment (${variables}), the config file,
\`PREFORK_CMD_ARGS\`, the command line; the later wins. Times are seconds, or strings such as \`'500ms'\`, \`'30s'\`, \`'5m'\`,
\`'2h'\`. Sizes are bytes, or strings such as \`'512MB'\` (1 MB is 1024 x 1024 bytes). Addresses are \`host:port\`, \`:port\`,
\`port\`, \`[::1]:port\`, \`unix:/path\` or \`fd://N\`.

A reload (HUP) reads everything anew. A setting that takes effect at the *start* keeps its value until prefork is stopped
and started again.

${sections.join('\n')}
## Hooks

Functions of the config file that prefork calls.

${row('hook', 'runs in', 'when', 'gets', 'if it throws')}
|---|---|---|---|---|
${Object.entries(hookTable).map(hookRow).join('\n')}
`;
}
