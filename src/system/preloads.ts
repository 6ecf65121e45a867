/** What NODE_OPTIONS has Node load before the main module. See https://nodejs.org/api/cli.html#node_optionsoptions. */

const preload = /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader)(?:[=\s]|$)/;
/** A path in double quotes: Node takes a backslash before a character away. */
const first = /^--require "((?:[^"\\]|\\.)*)" /;

/** Whether these options load code. */
export function hasPreloads(options = ''): boolean {
  return preload.test(options);
}

/** The options without those that load code. */
export function withoutPreloads(options: string): string {
  const kept: string[] = [];
  let isValue = false;
  for (const [token] of options.matchAll(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g)) {
    const isPreload: boolean = !isValue && hasPreloads(token);
    if (!isPreload && !isValue) kept.push(token);
    isValue = isPreload && !token.includes('=');
  }
  return kept.join(' ');
}

/** Has Node load a CommonJS file before all others that the options name. */
export function preloadFirst(path: string, options: string): string {
  return `--require "${path.replace(/[\\"]/g, '\\$&')}" ${options}`;
}

/** Undoes {@link preloadFirst}. @returns the file and the options as they were; `null` if there is no such file */
export function splitFirst(options = ''): { readonly path: string; readonly options: string } | null {
  const match = first.exec(options);
  if (match?.[1] === undefined) return null;
  return { path: match[1].replace(/\\(.)/g, '$1'), options: options.slice(match[0].length) };
}
