/** docs/settings.md is the table of settings, rendered; UPDATE_DOCS=1 renders it anew. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { flagOf, type Setting, type SettingName, settingNames, settingOf } from '../../../src/config/settings.ts';

const path = new URL('../../../docs/settings.md', import.meta.url);

const flagless: ReadonlySet<SettingName> = new Set(['app', 'args', 'onWorkerAbort', 'routeLabel']);

function takes({ kind }: Setting): string {
  switch (kind.type) {
    case 'choice':
      return kind.values.map((value) => `\`${value}\``).join(', ');
    case 'count':
      return kind.max >= 1e9 ? `whole number, at least ${kind.min}` : `whole number, ${kind.min} to ${kind.max}`;
    case 'time':
      return 'time';
    case 'size':
      return 'size';
    case 'surge':
      return "whole number, or a share such as `'25%'`";
    case 'address':
      return 'address';
    case 'boolean':
      return '`true` or `false`';
    case 'addresses':
      return 'address, or a list of them';
    case 'record':
      return 'object of texts';
    case 'texts':
      return 'list of texts';
    case 'mode':
      return 'octal permissions';
    case 'hook':
      return 'function';
    case 'app':
    case 'text':
      return 'text';
  }
}

function flags(name: SettingName): string {
  if (flagless.has(name)) return name === 'app' ? 'first argument' : name === 'args' ? 'after `--`' : '';
  const { short } = settingOf(name);
  return `${short === undefined ? '' : `\`-${short}\`, `}\`--${flagOf(name)}\``;
}

function render(): string {
  const groups = [...new Set(settingNames.map((name) => settingOf(name).group))];
  const sections = groups.map((group) => {
    const rows = settingNames
      .filter((name) => settingOf(name).group === group)
      .map((name) => {
        const setting = settingOf(name);
        const env = setting.env === undefined ? '' : ` Environment: \`${setting.env}\`.`;
        return `| \`${name}\` | ${flags(name)} | ${takes(setting)} | ${setting.default} | ${setting.doc}.${env} |`;
      });
    return `## ${group}\n\n| setting | flag | takes | default | what it is for |\n|---|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Settings

Rendered from \`src/config/settings.ts\`. Order: defaults, the environment (\`WEB_CONCURRENCY\`, \`PORT\`), the config file,
\`PREFORK_CMD_ARGS\`, the command line; the later wins. Times are seconds, or texts such as \`'500ms'\`, \`'30s'\`, \`'5m'\`,
\`'2h'\`. Sizes are bytes, or texts such as \`'512MB'\` (1 MB is 1024 x 1024 bytes). Addresses are \`host:port\`, \`:port\`,
\`port\`, \`[::1]:port\`, \`unix:/path\` or \`fd://N\`.

A reload (HUP) reads everything anew; \`queues\` and \`backlog\` of an address that stays take effect at the next start.

${sections.join('\n')}`;
}

test('docs/settings.md says what the table of settings says', () => {
  const rendered = render();
  if (process.env.UPDATE_DOCS !== undefined) writeFileSync(path, rendered);
  assert.equal(readFileSync(path, 'utf8'), rendered, 'run UPDATE_DOCS=1 npm run test:unit');
});
