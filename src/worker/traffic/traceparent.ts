/**
 * The header `traceparent`, which says of which trace a request is a part.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */

export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** The span of the caller, which is the parent of whatever happens here: 16 hexadecimal digits. */
  readonly spanId: string;
  /** Two hexadecimal digits; the last bit says whether the caller has recorded the trace. */
  readonly flags: string;
}

/** Characters of version 00, and of the beginning of every later one. */
const length = 55;
const known = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})$/;

/**
 * Reads it as the recommendation says: lower case only, no version ff, no id of zeros. Later versions may have more
 * behind a dash; what is known of them is read as in version 00. A header that came twice is none.
 *
 * @param value as Node has the header
 * @returns `null` if there is none, or none that is valid
 */
export function parseTraceparent(value: unknown): TraceParent | null {
  if (typeof value !== 'string' || value.length < length) return null;
  const [, version, traceId, spanId, flags] = known.exec(value.slice(0, length)) ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (value.length > length && (version === '00' || value[length] !== '-')) return null;
  return { traceId, spanId, flags };
}
