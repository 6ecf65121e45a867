/** Where a generated line came from, by the source maps of the scripts that a worker has loaded. */
import { readFile } from 'node:fs/promises';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Session } from './inspector.ts';

const maxBytes = 20 * 1024 * 1024;

export class SourceMaps {
  readonly #scripts = new Map<string, { readonly url: string; readonly map: string | null }>();
  readonly #maps = new Map<string, Promise<SourceMap | null>>();

  /** Collects what the session says about scripts; to be made before `Debugger.enable`. */
  constructor(session: Session) {
    session.on('Debugger.scriptParsed', ({ scriptId, url, sourceMapURL }) => {
      if (typeof scriptId !== 'string') return;
      const map = typeof sourceMapURL === 'string' && sourceMapURL !== '' ? sourceMapURL : null;
      this.#scripts.set(scriptId, { url: String(url), map });
    });
  }

  /**
   * @param line zero-based, as are `column` and the protocol
   * @returns `file:line:column` for people: of the source if there is a map, else as it was loaded
   */
  async place(scriptId: string, line: number, column: number): Promise<string> {
    const map = await this.#load(scriptId);
    const entry = map?.findEntry(line, column);
    if (entry !== undefined && 'originalSource' in entry && entry.originalSource !== undefined) {
      return `${this.#sourcePath(scriptId, entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    }
    return `${pathOf(this.#scripts.get(scriptId)?.url ?? '<unknown>')}:${line + 1}:${column + 1}`;
  }

  #load(scriptId: string): Promise<SourceMap | null> {
    const loaded = this.#maps.get(scriptId) ?? this.#read(scriptId);
    this.#maps.set(scriptId, loaded);
    return loaded;
  }

  async #read(scriptId: string): Promise<SourceMap | null> {
    const script = this.#scripts.get(scriptId);
    if (script === undefined || script.map === null) return null;
    try {
      const text = await textOf(script.map, script.url);
      return text.length > maxBytes ? null : new SourceMap(JSON.parse(text) as SourceMapPayload);
    } catch {
      return null;
    }
  }

  #sourcePath(scriptId: string, source: string): string {
    if (source.startsWith('file:')) return pathOf(source);
    return resolve(dirname(pathOf(this.#scripts.get(scriptId)?.url ?? '/')), source);
  }
}

async function textOf(mapUrl: string, scriptUrl: string): Promise<string> {
  if (!mapUrl.startsWith('data:')) return readFile(resolve(dirname(pathOf(scriptUrl)), pathOf(mapUrl)), 'utf8');
  const comma = mapUrl.indexOf(',');
  const body = mapUrl.slice(comma + 1);
  return mapUrl.slice(0, comma).endsWith(';base64') ? Buffer.from(body, 'base64').toString() : decodeURIComponent(body);
}

function pathOf(url: string): string {
  return url.startsWith('file:') ? fileURLToPath(url) : url;
}
