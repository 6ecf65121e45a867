/**
 * A strict reader of Prometheus's text format and of OpenMetrics, written from their specifications and with nothing of
 * what writes them. Throws at the first thing that either would not allow.
 */
export interface Read {
  readonly types: ReadonlyMap<string, string>;
  /** By name and labels, as `name{a="b"}` with the labels sorted. */
  readonly samples: ReadonlyMap<string, number>;
}

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const labelPart = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

export function readExposition(text: string, isOpenMetrics = false): Read {
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  let family = '';
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Error('the last line has no end');
  if (isOpenMetrics && lines.pop() !== '# EOF') throw new Error('OpenMetrics ends with # EOF');
  for (const line of lines) {
    if (line === '') {
      if (isOpenMetrics) throw new Error('OpenMetrics has no empty lines');
      continue;
    }
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') continue;
    if (kind === 'TYPE') {
      if (types.has(name)) throw new Error(`family ${name} is there twice`);
      types.set(name, rest);
      family = name;
      continue;
    }
    if (line.startsWith('#')) throw new Error(`odd comment: ${line}`);
    const [, full = '', labelText = '', valueText = ''] = sampleLine.exec(line) ?? [];
    if (full === '') throw new Error(`no sample: ${line}`);
    const type = types.get(family) ?? 'untyped';
    const allowed = isOpenMetrics && type === 'counter' ? ['_total'] : (suffixes[type] ?? []);
    if (!allowed.some((suffix) => full === `${family}${suffix}`))
      throw new Error(`${full} is not of ${family} (${type})`);
    const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText);
    if (Number.isNaN(value) && valueText !== 'NaN') throw new Error(`no number: ${line}`);
    const key = `${full}{${labelsOf(labelText, line).join(',')}}`;
    if (samples.has(key)) throw new Error(`sample ${key} is there twice`);
    samples.set(key, value);
  }
  checkHistograms(types, samples);
  return { types, samples };
}

function labelsOf(text: string, line: string): string[] {
  const found: string[] = [];
  labelPart.lastIndex = 0;
  while (labelPart.lastIndex < text.length) {
    const match = labelPart.exec(text);
    if (match === null) throw new Error(`labels cannot be read: ${line}`);
    found.push(`${match[1]}="${match[2]}"`);
  }
  if (new Set(found.map((label) => label.split('=')[0])).size < found.length) throw new Error(`a label twice: ${line}`);
  return found.sort();
}

function checkHistograms(types: ReadonlyMap<string, string>, samples: ReadonlyMap<string, number>): void {
  const last = new Map<string, number>();
  for (const [key, value] of samples) {
    const [, name = '', labels = ''] = /^(.*)_bucket\{(.*)\}$/.exec(key) ?? [];
    if (types.get(name) !== 'histogram') continue;
    const others = labels
      .split(/,(?=[a-zA-Z_]\w*=")/)
      .filter((label) => !label.startsWith('le='))
      .join(',');
    const series = `${name}{${others}}`;
    if (value < (last.get(series) ?? 0)) throw new Error(`buckets of ${series} do not ascend`);
    last.set(series, value);
    if (labels.includes('le="+Inf"') && samples.get(`${name}_count{${others}}`) !== value)
      throw new Error(`${series}: +Inf is not the count`);
  }
}

/** Sum of the samples of a name whose labels hold all of these. */
export function sumOf({ samples }: Read, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const [key, value] of samples) {
    if (!key.startsWith(`${name}{`)) continue;
    if (Object.entries(labels).every(([label, text]) => key.includes(`${label}="${text}"`))) sum += value;
  }
  return sum;
}
