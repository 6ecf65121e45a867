/** Makes a line of the access log in Gunicorn's atoms. Nothing that a client sends makes two of it. */
import type { FormatPart } from '../../config/access-format.ts';
import { plain } from '../../system/plain.ts';
import type { AccessRecord } from './record.ts';

/** @param now milliseconds since 1970 */
export type Formatter = (record: AccessRecord, now: number) => string;

/** Who a request is from. */
export type ClientOf = (record: AccessRecord) => string;

/** Whoever is connected. */
export const peerOf: ClientOf = ({ remote }) => remote;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** What could end the quotes around it, what is unsafe anywhere (see `system/plain.ts`), and what takes two code units. */
function unsafe(): RegExp {
  // Not made before it is needed, as there.
  return /["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u{10000}-\u{10ffff}]/gu;
}

/** Of this nothing has to be looked at twice: printable ASCII but for quotes and backslashes, as most of all text. */
export const harmless = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** Escapes what a client sent: it can end neither the line nor the quotes around it, and controls no terminal. */
export function escapeText(text: string): string {
  if (harmless.test(text)) return text;
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

/** What the formatter asks of a record that costs something even if it is not asked. */
export interface Wants {
  /** The client's address. */
  readonly remote: boolean;
  /** How long a body was. */
  readonly bytes: boolean;
}

export function wantsOf(parts: readonly FormatPart[]): Wants {
  const has = (...atoms: string[]): boolean => parts.some((part) => part.kind === 'atom' && atoms.includes(part.atom));
  return { remote: has('h'), bytes: has('b', 'B') };
}

/** A part of a line that is another for each record, behind one that never is. */
interface Piece {
  readonly before: string;
  readonly of: Formatter;
}

export function textFormatter(parts: readonly FormatPart[], clientOf: ClientOf = peerOf): Formatter {
  const pieces: Piece[] = [];
  let before = '';
  for (const part of parts) {
    const piece = pieceOf(part, clientOf);
    if (typeof piece === 'string') before += piece;
    else {
      pieces.push({ before, of: piece });
      before = '';
    }
  }
  const end = `${before}\n`;
  return (record, now) => {
    let line = '';
    for (const piece of pieces) line += piece.before + piece.of(record, now);
    return line + end;
  };
}

function pieceOf(part: FormatPart, clientOf: ClientOf): Formatter | string {
  switch (part.kind) {
    case 'text':
      return plain(part.text);
    case 'i':
      return (record) => escaped(record.requestHeader(part.name));
    case 'o':
      return (record) => escaped(record.responseHeader(part.name));
    case 'e':
      return () => escaped(process.env[part.name] ?? null);
    case 'atom':
      return part.atom === 'h' ? clientOf : atomOf(part.atom);
  }
}

function escaped(text: string | null): string {
  return text === null || text === '' ? '-' : escapeText(text);
}

type Atom = Extract<FormatPart, { kind: 'atom' }>['atom'];

function atomOf(atom: Exclude<Atom, 'h'>): Formatter | string {
  switch (atom) {
    case 'l':
      return '-';
    case 'u':
      return (record) => escaped(userOf(record.requestHeader('authorization')));
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
      return (record) => escaped(record.requestHeader('referer'));
    case 'a':
      return (record) => escaped(record.requestHeader('user-agent'));
    case 'T':
      return ({ milliseconds }) => String(Math.floor(milliseconds / 1_000));
    case 'M':
      return ({ milliseconds }) => String(Math.floor(milliseconds));
    case 'D':
      return ({ milliseconds }) => String(Math.round(milliseconds * 1_000));
    case 'L':
      return ({ milliseconds }) => (milliseconds / 1_000).toFixed(6);
    case 'p':
      return `<${process.pid}>`;
  }
}

/** The name in Basic credentials (RFC 7617); never the password. */
function userOf(authorization: string | null): string | null {
  if (authorization === null) return null;
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(authorization) ?? [];
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
