/** The kind of the setting `canary`: how a new release is judged by its traffic. */
import type { CanaryPolicy, LatencyLimit } from '../../core/model.ts';
import { closest } from '../closest.ts';
import { choice, count, type Kind, type ParseContext, type Parsed, positiveTime, type Time } from './kinds.ts';

/** As a config file says it; what is left out is the default. */
export interface WrittenCanary {
  /** How long the canary is compared: seconds, or a string such as `'2m'`. */
  readonly for?: Time;
  /** Answers with status 5xx, in percent, that it may have beyond the old release: `'1%'`. `null` is not judged. */
  readonly maxErrorRate?: string | null;
  /** What its 99th percentile may be: `'2x'` that of the old release, or `'500ms'`. `null` is not judged. */
  readonly maxP99?: string | null;
  /** With fewer requests there is no verdict. */
  readonly minRequests?: number;
  /** What becomes of a canary that had fewer: `promote`, `reject` or `hold`. */
  readonly onUndecided?: CanaryPolicy['onUndecided'];
}

const defaults: CanaryPolicy = {
  for: 120_000,
  maxErrorRate: 0.01,
  maxP99: { times: 2 },
  minRequests: 200,
  onUndecided: 'promote',
};

type Part = Pick<Kind, 'parse'>;

/** Percent of requests; a bare number might be a share as well. */
const share: Part = {
  parse(value): Parsed<number> {
    const percent = Number(
      /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(typeof value === 'string' ? value : '')?.[1] ?? Number.NaN,
    );
    return percent <= 100
      ? { ok: true, value: percent / 100 }
      : { ok: false, expected: "percent of the requests such as '1%', from '0%' to '100%'" };
  },
};

/** A bare number might be a factor or seconds. */
const latency: Part = {
  parse(value, context): Parsed<LatencyLimit> {
    const times = Number(/^(\d{1,6}(?:\.\d{1,6})?)x$/.exec(typeof value === 'string' ? value : '')?.[1] ?? Number.NaN);
    if (times >= 1) return { ok: true, value: { times } };
    const time = typeof value === 'string' ? positiveTime.parse(value, { ...context, isText: false }) : null;
    if (time?.ok === true) return { ok: true, value: { milliseconds: time.value } };
    return { ok: false, expected: "a factor of at least 1 such as '2x', or a time such as '500ms'" };
  },
};

/** One that may be turned off. */
const orNone = ({ parse }: Part): Part => ({
  parse: (value, context) =>
    value === null || (context.isText && value === 'none') ? { ok: true, value: null } : parse(value, context),
});

const parts: Readonly<Record<keyof CanaryPolicy, Part>> = {
  for: positiveTime,
  maxErrorRate: orNone(share),
  maxP99: orNone(latency),
  minRequests: count(1),
  onUndecided: choice(['promote', 'reject', 'hold']),
};
const names = Object.keys(parts);

export const canary: Kind<WrittenCanary | null, CanaryPolicy | null> = {
  takes: 'object of `for`, `maxErrorRate`, `maxP99`, `minRequests`, `onUndecided`',
  flag: 'value',
  parse(value, context) {
    if (context.isText && value === 'none') return { ok: true, value: null };
    const given = context.isText ? fieldsOf(value) : value;
    if (given === 'twice') return { ok: false, expected: 'each of its fields once' };
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      return { ok: false, expected: form(context) };
    return readParts(given, context);
  },
  format: (value) => (value === null ? 'none' : format(value)),
};

function form({ isText }: ParseContext): string {
  return isText ? 'for=2m,maxErrorRate=1%,maxP99=2x,minRequests=200, or none' : `an object of ${names.join(', ')}`;
}

function readParts(given: object, context: ParseContext): Parsed<CanaryPolicy> {
  const read: Record<string, unknown> = { ...defaults };
  let doubt = {};
  for (const [name, value] of Object.entries(given)) {
    const part = Object.hasOwn(parts, name) ? parts[name as keyof CanaryPolicy] : undefined;
    if (part === undefined) {
      const meant = closest(name.slice(0, 40).toLowerCase(), names, (known) => known.toLowerCase());
      const hint = meant === null ? '' : ` (did you mean ${meant}?)`;
      return { ok: false, expected: `only ${names.join(', ')}${hint}`, part: { name: '', value: name } };
    }
    // Unset on purpose, as any setting; but a limit that is null is turned off.
    if (value === undefined || (value === null && name !== 'maxErrorRate' && name !== 'maxP99')) continue;
    const parsed = part.parse(value, context);
    if (!parsed.ok) return { ok: false, expected: parsed.expected, part: { name, value } };
    if (parsed.doubt !== undefined) doubt = { doubt: `${name}: ${parsed.doubt}` };
    read[name] = parsed.value;
  }
  const policy = read as unknown as CanaryPolicy;
  return policy.maxErrorRate === null && policy.maxP99 === null
    ? { ok: false, expected: 'maxErrorRate or maxP99 to judge by' }
    : { ok: true, value: policy, ...doubt };
}

/** `for=2m,maxErrorRate=1%` as an object; `null` if it is something else, `twice` if nobody knows which of two is meant. */
function fieldsOf(value: unknown): Readonly<Record<string, string>> | 'twice' | null {
  if (typeof value !== 'string' || value.length > 300) return null;
  const pairs = value.split(',').map((pair) => /^(\w+)=(.+)$/.exec(pair.trim()));
  if (pairs.some((pair) => pair === null)) return null;
  const fields = Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? '']));
  return Object.keys(fields).length < pairs.length ? 'twice' : fields;
}

function format({ for: within, maxErrorRate, maxP99, minRequests, onUndecided }: CanaryPolicy): string {
  const p99 =
    maxP99 === null ? 'none' : 'times' in maxP99 ? `${maxP99.times}x` : positiveTime.format(maxP99.milliseconds);
  const rate = maxErrorRate === null ? 'none' : `${Number((maxErrorRate * 100).toFixed(6))}%`;
  const time = positiveTime.format(within);
  return `for=${time},maxErrorRate=${rate},maxP99=${p99},minRequests=${minRequests},onUndecided=${onUndecided}`;
}
