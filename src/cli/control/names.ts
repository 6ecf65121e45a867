/** Words that are commands where they come first; a file of such a name is served as `./status`. */
export const commandNames: ReadonlySet<string> = new Set([
  'status',
  'top',
  'reload',
  'upgrade',
  'stop',
  'scale',
  'recycle',
  'workers',
  'config',
  'reopen',
  'init',
  'completion',
]);
