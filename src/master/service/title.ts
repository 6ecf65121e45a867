/** What `ps` shows for the master: `prefork: master [name]`. */
export function masterTitle(name: string): string {
  return name === '' ? 'prefork: master' : `prefork: master [${name}]`;
}
