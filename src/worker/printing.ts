/** Nothing may read what this process prints any more: the service goes on. */

/**
 * Has errors of standard output and standard error ignored. Node makes each stream when it is first asked for it, with what
 * the stream needs: an app that prints nothing needs none of it, so the event listener is added when the stream is made.
 */
export function outlivePrinting(): void {
  for (const name of ['stdout', 'stderr'] as const) ignoreErrors(name);
}

function ignoreErrors(name: 'stdout' | 'stderr'): void {
  const own = Object.getOwnPropertyDescriptor(process, name);
  const get = own?.get;
  if (get === undefined) {
    // It is there already.
    process[name].on('error', ignore);
    return;
  }
  let isHeard = false;
  function getStream(): NodeJS.WriteStream {
    const stream = Reflect.apply(get as () => NodeJS.WriteStream, process, []);
    if (!isHeard) {
      isHeard = true;
      stream.on('error', ignore);
    }
    return stream;
  }
  Object.defineProperty(getStream, 'name', { value: get.name });
  Object.defineProperty(process, name, { ...own, get: getStream });
}

function ignore(): void {
  // Nobody reads it.
}
