/** Makes a line of the access log as JSON. Nothing that a client sends makes two of it. */
import type { AccessField, PlainField } from '../../config/access-fields.ts';
import { escapeJson } from '../../system/plain.ts';
import { parseTraceparent } from '../traffic/traceparent.ts';
import { type ClientOf, type Formatter, harmless, peerOf, type Wants } from './format.ts';
import type { AccessRecord } from './record.ts';

export interface Writer {
  readonly name: string;
  readonly slot: number;
  readonly worker: number;
  readonly generation: number;
}

export function jsonWantsOf(fields: readonly AccessField[] | null): Wants {
  const has = (name: PlainField): boolean =>
    fields?.some((field) => field.kind === 'plain' && field.name === name) ?? true;
  return { remote: has('remoteAddress'), bytes: has('bytes') };
}

/** The same bytes as `JSON.stringify` gives for an object of it, made of what a line has of its own and what all have. */
export function jsonFormatter(writer: Writer, clientOf: ClientOf = peerOf): Formatter {
  const tail = `,${escapeJson(JSON.stringify({ pid: process.pid, ...writer })).slice(1)}\n`;
  return (record, now) => {
    const { method, url, protocol, status, bytes } = record;
    return (
      `{"time":"${isoDate(now)}","remoteAddress":${jsonText(clientOf(record))},"method":${jsonText(method)},` +
      `"url":${jsonText(url)},"protocol":${jsonText(protocol)},"status":${jsonNumber(status)},` +
      `"bytes":${jsonNumber(bytes)},"durationMs":${jsonNumber(Math.round(record.milliseconds * 1_000) / 1_000)},` +
      `${record.isAborted ? '"aborted":true,' : ''}"referer":${jsonText(record.requestHeader('referer'))},` +
      `"userAgent":${jsonText(record.requestHeader('user-agent'))},` +
      `"requestId":${jsonText(record.requestHeader('x-request-id'))}${traceOf(record)}${tail}`
    );
  };
}

/** By the names that OpenTelemetry gives them: https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/ */
function traceOf(record: AccessRecord): string {
  const header = record.requestHeader('traceparent');
  const trace = header === null ? null : parseTraceparent(header);
  if (trace === null) return '';
  return `,"trace_id":"${trace.traceId}","span_id":"${trace.spanId}","trace_flags":"${trace.flags}"`;
}

/** The same of fields that were asked for, in their order. */
export function fieldsFormatter(
  fields: readonly AccessField[],
  writer: Writer,
  clientOf: ClientOf = peerOf,
): Formatter {
  const pieces = fields.map((field) => pieceOf(field, writer, clientOf));
  return (record, now) => {
    let line = '';
    for (const piece of pieces) line += piece(record, now);
    return `{${line.slice(1)}}\n`;
  };
}

/** @returns what makes the field with a comma before it, or nothing where the field is left out */
function pieceOf(field: AccessField, writer: Writer, clientOf: ClientOf): Formatter {
  if (field.kind !== 'plain') {
    const { key, name } = field;
    const start = `,${JSON.stringify(key)}:`;
    return field.kind === 'request'
      ? (record) => start + jsonText(record.requestHeader(name))
      : (record) => start + jsonText(record.responseHeader(name));
  }
  const start = `,"${field.name}":`;
  const value = jsonOf(field.name, writer, clientOf);
  return (record, now) => {
    const text = value(record, now);
    return text === null ? '' : start + text;
  };
}

/** @returns what makes the value as JSON; `null` leaves the field out */
function jsonOf(
  field: PlainField,
  writer: Writer,
  clientOf: ClientOf,
): (record: AccessRecord, now: number) => string | null {
  switch (field) {
    case 'time':
      return (_, now) => `"${isoDate(now)}"`;
    case 'remoteAddress':
      return (record) => jsonText(clientOf(record));
    case 'method':
    case 'url':
    case 'protocol':
      return (record) => jsonText(record[field]);
    case 'path':
      return ({ url }) => jsonText(url.split('?', 1)[0] ?? '');
    case 'query':
      return ({ url }) => jsonText(url.includes('?') ? url.slice(url.indexOf('?') + 1) : '');
    case 'status':
    case 'bytes':
      return (record) => jsonNumber(record[field]);
    case 'durationMs':
      return ({ milliseconds }) => jsonNumber(Math.round(milliseconds * 1_000) / 1_000);
    case 'aborted':
      return ({ isAborted }) => (isAborted ? 'true' : null);
    case 'referer':
      return (record) => jsonText(record.requestHeader('referer'));
    case 'userAgent':
      return (record) => jsonText(record.requestHeader('user-agent'));
    case 'requestId':
      return (record) => jsonText(record.requestHeader('x-request-id'));
    case 'trace_id':
      return ofTrace('traceId');
    case 'span_id':
      return ofTrace('spanId');
    case 'trace_flags':
      return ofTrace('flags');
    case 'pid':
      return constant(process.pid);
    case 'name':
    case 'slot':
    case 'worker':
    case 'generation':
      return constant(writer[field]);
  }
}

function ofTrace(part: 'traceId' | 'spanId' | 'flags'): (record: AccessRecord) => string | null {
  return (record) => {
    const text = parseTraceparent(record.requestHeader('traceparent'))?.[part];
    return text === undefined ? null : `"${text}"`;
  };
}

function constant(value: string | number): () => string {
  const text = escapeJson(JSON.stringify(value));
  return () => text;
}

function jsonText(text: string | null): string {
  if (text === null) return 'null';
  return harmless.test(text) ? `"${text}"` : escapeJson(JSON.stringify(text));
}

function jsonNumber(value: number | null): string {
  return Number.isFinite(value) ? String(value) : 'null';
}

let isoSecond = 0;
let isoStart = '';

/** `2026-11-21T08:15:00.000Z`; all but the milliseconds is made once a second. */
function isoDate(now: number): string {
  const second = Math.floor(now / 1_000);
  if (second !== isoSecond || isoStart === '') {
    isoSecond = second;
    isoStart = new Date(second * 1_000).toISOString().slice(0, -4);
  }
  const rest = Math.floor(now - second * 1_000);
  return `${isoStart}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
}
