/** Makes a line of the access log: in Gunicorn's atoms, or as JSON. Nothing that a client sends makes two of it. */
import type { FormatPart } from '../../config/access-format.ts';
import { escapeJson, plain } from '../../system/plain.ts';
import type { AccessRecord } from './record.ts';

/** @param now milliseconds since 1970 */
export type Formatter = (record: AccessRecord, now: number) => string;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** What could end the quotes around it, what is unsafe anywhere (see `system/plain.ts`), and what takes two code units. */
function unsafe(): RegExp {
  // Not made before it is needed, as there.
  return /["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u{10000}-\u{10ffff}]/gu;
}

/** Escapes what a client sent: it can end neither the line nor the quotes around it, and controls no terminal. */
export function escapeText(text: string): string {
  return text.replace(unsafe(), (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    const code = character.charCodeAt(0);
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return [...Array(character.length).keys()].map((at) => `\\u${hex(character.charCodeAt(at))}`).join('');
  });
}

function hex(code: number): string {
  return code.toString(16).padStart(4, '0');
}

export function textFormatter(parts: readonly FormatPart[]): Formatter {
  const pieces = parts.map(pieceOf);
  return (record, now) => `${pieces.map((piece) => piece(record, now)).join('')}\n`;
}

function pieceOf(part: FormatPart): Formatter {
  switch (part.kind) {
    case 'text': {
      const text = plain(part.text);
      return () => text;
    }
    case 'i':
      return ({ requestHeader }) => escaped(requestHeader(part.name));
    case 'o':
      return ({ responseHeader }) => escaped(responseHeader(part.name));
    case 'e':
      return () => escaped(process.env[part.name] ?? null);
    case 'atom':
      return atomOf(part.atom);
  }
}

function escaped(text: string | null): string {
  return text === null || text === '' ? '-' : escapeText(text);
}

function atomOf(atom: Extract<FormatPart, { kind: 'atom' }>['atom']): Formatter {
  switch (atom) {
    case 'h':
      return ({ remote }) => remote;
    case 'l':
      return () => '-';
    case 'u':
      return ({ requestHeader }) => escaped(userOf(requestHeader('authorization')));
    case 't':
      return (_, now) => `[${clfDate(now)}]`;
    case 'r':
      return ({ method, url, protocol }) => escapeText(`${method} ${url} ${protocol}`);
    case 'm':
      return ({ method }) => escapeText(method);
    case 'U':
      return ({ url }) => escapeText(url.split('?', 1)[0] ?? '');
    case 'q':
      return ({ url }) => escapeText(url.includes('?') ? url.slice(url.indexOf('?') + 1) : '');
    case 'H':
      return ({ protocol }) => protocol;
    case 's':
      return ({ status }) => String(status);
    case 'B':
      return ({ bytes }) => String(bytes ?? 0);
    case 'b':
      return ({ bytes }) => (bytes === null || bytes === 0 ? '-' : String(bytes));
    case 'f':
      return ({ requestHeader }) => escaped(requestHeader('referer'));
    case 'a':
      return ({ requestHeader }) => escaped(requestHeader('user-agent'));
    case 'T':
      return ({ milliseconds }) => String(Math.floor(milliseconds / 1_000));
    case 'M':
      return ({ milliseconds }) => String(Math.floor(milliseconds));
    case 'D':
      return ({ milliseconds }) => String(Math.round(milliseconds * 1_000));
    case 'L':
      return ({ milliseconds }) => (milliseconds / 1_000).toFixed(6);
    case 'p':
      return () => `<${process.pid}>`;
  }
}

/** The name in Basic credentials (RFC 7617); never the password. */
function userOf(authorization: string | null): string | null {
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(authorization ?? '') ?? [];
  return encoded === undefined ? null : (Buffer.from(encoded, 'base64').toString().split(':', 1)[0] ?? null);
}

let lastSecond = 0;
let lastDate = '';

/** `21/Nov/2026:08:15:00 +0000`, made once a second. */
export function clfDate(now: number): string {
  const second = Math.floor(now / 1_000);
  if (second === lastSecond) return lastDate;
  const date = new Date(second * 1_000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${two(date.getDate())}/${months[date.getMonth()]}/${date.getFullYear()}`;
  lastSecond = second;
  lastDate = `${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
  return lastDate;
}

export interface Writer {
  readonly name: string;
  readonly slot: number;
  readonly worker: number;
  readonly generation: number;
}

export function jsonFormatter(writer: Writer): Formatter {
  const tail = { pid: process.pid, ...writer };
  return (record, now) => {
    const { remote, method, url, protocol, status, bytes, milliseconds, isAborted, requestHeader } = record;
    const text = JSON.stringify({
      time: new Date(now).toISOString(),
      remoteAddress: remote,
      method,
      url,
      protocol,
      status,
      bytes,
      durationMs: Math.round(milliseconds * 1_000) / 1_000,
      ...(isAborted ? { aborted: true } : {}),
      referer: requestHeader('referer'),
      userAgent: requestHeader('user-agent'),
      requestId: requestHeader('x-request-id'),
      ...tail,
    });
    return `${escapeJson(text)}\n`;
  };
}
