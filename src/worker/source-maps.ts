/**
 * Where a generated line came from. The maps are read with the rights of this process, and within limits: the event loop
 * of a service may be waiting.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { findSourceMap, SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Of a file, and of all files together. */
const maxBytes = 20 * 1024 * 1024;
const maxTotal = 2 * maxBytes;
/** Milliseconds, after which lines are told as they were loaded. */
const maxTime = 1_000;

/** What names a file's map. */
const comment = /\/\/[#@]\s*sourceMappingURL=([^\s'"]+)/g;

export class SourceMaps {
  readonly #maps = new Map<string, SourceMap | null>();
  readonly #until = performance.now() + maxTime;
  #left = maxTotal;

  /**
   * @param script path or URL, as V8 knows it
   * @param line one-based, as is `column`
   * @returns `file:line:column` for people: of the source if there is a map, else as it was loaded
   */
  place(script: string, line: number, column: number): string {
    try {
      const map = script.startsWith('node:') ? null : this.#mapOf(script);
      const entry = map?.findEntry(line - 1, column - 1);
      if (entry !== undefined && 'originalSource' in entry && entry.originalSource !== undefined) {
        const source = sourcePath(script, entry.originalSource);
        return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
      }
    } catch {
      // A map that is none.
    }
    return `${pathOf(script)}:${line}:${column}`;
  }

  #mapOf(script: string): SourceMap | null {
    const known = this.#maps.get(script);
    if (known !== undefined) return known;
    // Looked for once, however that ends.
    this.#maps.set(script, null);
    if (performance.now() > this.#until) return null;
    // Node has it if source maps are enabled, as they are by tsx.
    const map = findSourceMap(script) ?? this.#read(script);
    this.#maps.set(script, map);
    return map;
  }

  #read(script: string): SourceMap | null {
    const path = pathOf(script);
    if (!path.startsWith('/')) return null;
    // The last one counts. A search that begins with "anything" would take a minute for a large file that has none.
    const [, url] = [...this.#textOf(path).matchAll(comment)].at(-1) ?? [];
    if (url === undefined) return null;
    const text = url.startsWith('data:') ? inlineText(url) : this.#textOf(resolve(dirname(path), pathOf(url)));
    return new SourceMap(JSON.parse(text) as SourceMapPayload);
  }

  /** @throws Error if it is no regular file, cannot be read or is too large */
  #textOf(path: string): string {
    // A pipe without a writer would never open.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > Math.min(maxBytes, this.#left)) throw new Error(`${path} is not read`);
      this.#left -= stat.size;
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  }
}

function inlineText(url: string): string {
  const comma = url.indexOf(',');
  const body = url.slice(comma + 1);
  return url.slice(0, comma).endsWith(';base64') ? Buffer.from(body, 'base64').toString() : decodeURIComponent(body);
}

function sourcePath(script: string, source: string): string {
  return source.startsWith('file:') ? pathOf(source) : resolve(dirname(pathOf(script)), source);
}

function pathOf(url: string): string {
  return url.startsWith('file:') ? fileURLToPath(url) : url;
}
