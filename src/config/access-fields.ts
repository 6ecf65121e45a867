/** The fields of a line of the access log in JSON, and what is asked for with `accessLogFields`. */
import { closest } from './closest.ts';

/** Those that a line has unless `accessLogFields` says otherwise, in their order. */
export const usualFields = [
  'time',
  'remoteAddress',
  'method',
  'url',
  'protocol',
  'status',
  'bytes',
  'durationMs',
  'aborted',
  'referer',
  'userAgent',
  'requestId',
  'trace_id',
  'span_id',
  'trace_flags',
  'pid',
  'name',
  'slot',
  'worker',
  'generation',
] as const;

/** Those that are there to be asked for: the URL in two parts. */
const furtherFields = ['path', 'query'] as const;

export type PlainField = (typeof usualFields)[number] | (typeof furtherFields)[number];

export type AccessField =
  | { readonly kind: 'plain'; readonly name: PlainField }
  /** A header; `key` is the field's name in the line, `name` the header's, in lower case. */
  | { readonly kind: 'request' | 'response'; readonly key: string; readonly name: string };

const plainFields: readonly PlainField[] = [...usualFields, ...furtherFields];
/** A name as RFC 9110 (5.6.2) has it. */
const header = /^(request|response)\.header\.([\w!#$%&'*+.^`|~-]{1,100})$/i;

/** @returns the field of this name, or what is wrong with the name, in words */
export function parseAccessField(text: string): AccessField | string {
  const name = plainFields.find((each) => each === text);
  if (name !== undefined) return { kind: 'plain', name };
  const [, side, given] = header.exec(text) ?? [];
  if (side !== undefined && given !== undefined) {
    const kind = side.toLowerCase() === 'request' ? 'request' : 'response';
    return { kind, key: `${kind}.header.${given.toLowerCase()}`, name: given.toLowerCase() };
  }
  return `there is no ${JSON.stringify(text.slice(0, 60))}${hint(text)}`;
}

function hint(text: string): string {
  if (text.length > 140) return '';
  // As other tools name headers.
  const [, side, name] = /^(req|res)[a-z]*[.:_](?:headers?[.:_])?([\w-]+)$/i.exec(text) ?? [];
  if (side !== undefined)
    return `; did you mean ${side.toLowerCase() === 'req' ? 'request' : 'response'}.header.${name}?`;
  const near = closest(text.toLowerCase(), plainFields, (field) => field.toLowerCase());
  return near === null ? ' (docs/logs.md has them all)' : `; did you mean ${near}?`;
}
