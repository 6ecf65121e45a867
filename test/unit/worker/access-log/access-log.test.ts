import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AccessField, parseAccessField, usualFields } from '../../../../src/config/access-fields.ts';
import { defaultAccessLogFormat, parseAccessFormat } from '../../../../src/config/access-format.ts';
import { escapeJson } from '../../../../src/system/plain.ts';
import { clfDate, escapeText, textFormatter, wantsOf } from '../../../../src/worker/access-log/format.ts';
import { fieldsFormatter, jsonFormatter, jsonWantsOf } from '../../../../src/worker/access-log/json.ts';
import type { AccessRecord } from '../../../../src/worker/access-log/record.ts';

const headers: Readonly<Record<string, string>> = {
  referer: 'http://a.example/"x',
  'user-agent': 'curl/8\u001b[2J',
  authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}`,
  'x-request-id': 'r-1',
};
const record: AccessRecord = {
  remote: '10.0.0.1',
  method: 'GET',
  url: '/a/b?c=d&e=%0a',
  protocol: 'HTTP/1.1',
  status: 200,
  bytes: 1234,
  milliseconds: 1_234.5678,
  isAborted: false,
  requestHeader: (name) => headers[name] ?? null,
  responseHeader: (name) => (name === 'etag' ? 'W/"1"' : null),
};
const now = Date.UTC(2026, 10, 21, 8, 15, 0);

function fieldsOf(names: readonly string[]): AccessField[] {
  return names.map((name) => {
    const field = parseAccessField(name);
    assert.ok(typeof field !== 'string', String(field));
    return field;
  });
}

function format(text: string, given: Partial<AccessRecord> = {}): string {
  const parts = parseAccessFormat(text);
  assert.ok(typeof parts !== 'string', String(parts));
  return textFormatter(parts)({ ...record, ...given }, now);
}

describe("Gunicorn's atoms", () => {
  const expected: Readonly<Record<string, string>> = {
    h: '10.0.0.1',
    l: '-',
    u: 'ann',
    t: `[${clfDate(now)}]`,
    r: 'GET /a/b?c=d&e=%0a HTTP/1.1',
    m: 'GET',
    U: '/a/b',
    q: 'c=d&e=%0a',
    H: 'HTTP/1.1',
    s: '200',
    B: '1234',
    b: '1234',
    f: 'http://a.example/\\"x',
    a: 'curl/8\\x1b[2J',
    T: '1',
    M: '1234',
    D: '1234568',
    L: '1.234568',
    p: `<${process.pid}>`,
    '{Referer}i': 'http://a.example/\\"x',
    '{X-None}i': '-',
    '{ETag}o': 'W/\\"1\\"',
    '{NO_SUCH_VARIABLE}e': '-',
  };
  for (const [atom, text] of Object.entries(expected)) {
    it(`%(${atom})s`, () => assert.equal(format(`<%(${atom})s>`), `<${text}>\n`));
  }

  it('in the default format, as Gunicorn writes it', () => {
    const line = format(defaultAccessLogFormat);
    assert.match(
      line,
      /^10\.0\.0\.1 - ann \[\d\d\/\w{3}\/2026:\d\d:15:00 [+-]\d{4}\] "GET \/a\/b\S* HTTP\/1\.1" 200 1234 "/,
    );
    assert.match(format('%(b)s %(B)s', { bytes: 0 }), /^- 0\n$/);
    assert.equal(format('100%% %(m)s'), '100% GET\n');
  });

  it('that there are none of are told', () => {
    for (const wrong of ['%(x)s', '%(h)', '%h', '%({a}x)s', '%', '%(h)s %(nonsense)s'])
      assert.match(String(parseAccessFormat(wrong)), /is no atom of it$/, wrong);
  });
});

describe('a line, whatever is in it', () => {
  const odd = [
    ...[
      '',
      ' ',
      '"',
      '\\',
      '\\"',
      'a"b\\c',
      '\n',
      '\r\n',
      '\t',
      '\u0000',
      '\u007f',
      '\u0080',
      '\u009b',
      '\u00a0',
      '\u00e9',
    ],
    ...[
      '\u00ad',
      '\u200b',
      '\u202e',
      '\u2028',
      '\u2029',
      '\ue000',
      '\ufeff',
      '\ud83d',
      '\udc4d',
      '\ud83d\udc4d',
      '\u5e97',
    ],
    ...['x'.repeat(5_000), `${'x'.repeat(5_000)}"`, '</script>', "'", '%(h)s', '__proto__', '\u{f0000}', '\u{e0001}'],
  ];
  const numbers = [
    0,
    -0,
    1,
    0.1 + 0.2,
    1e-7,
    999.9994,
    999.9995,
    1_234.5678,
    1e21,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ];
  const times = [0, 1, 9, 10, 99, 100, 999, 1_000, 59_999, now, now + 1, now + 999, now + 1_000, now - 1, now];
  const writer = { name: 'a "name"\u2028', slot: 0, worker: 17, generation: 2 };

  function given(index: number): AccessRecord {
    const text = (offset: number): string => odd[(index + offset) % odd.length] ?? '';
    const number = (offset: number): number => numbers[(index + offset) % numbers.length] ?? 0;
    return {
      remote: text(0),
      method: text(1),
      url: text(2),
      protocol: text(3),
      status: number(1),
      bytes: index % 7 === 0 ? null : number(2),
      milliseconds: number(3),
      isAborted: index % 2 === 0,
      requestHeader: (name) => (index % 5 === 0 ? null : text(name.length)),
      responseHeader: (name) => (index % 3 === 0 ? null : text(name.length + 1)),
    };
  }

  it('as JSON is what JSON.stringify makes of it', () => {
    const formatter = jsonFormatter(writer);
    const listed = fieldsFormatter(fieldsOf(usualFields), writer);
    for (let index = 0; index < odd.length * numbers.length; index++) {
      const each = given(index);
      const time = times[index % times.length] ?? 0;
      const whole = JSON.stringify({
        time: new Date(time).toISOString(),
        remoteAddress: each.remote,
        method: each.method,
        url: each.url,
        protocol: each.protocol,
        status: each.status,
        bytes: each.bytes,
        durationMs: Math.round(each.milliseconds * 1_000) / 1_000,
        ...(each.isAborted ? { aborted: true } : {}),
        referer: each.requestHeader('referer'),
        userAgent: each.requestHeader('user-agent'),
        requestId: each.requestHeader('x-request-id'),
        pid: process.pid,
        ...writer,
      });
      assert.equal(formatter(each, time), `${escapeJson(whole)}\n`);
      assert.equal(listed(each, time), `${escapeJson(whole)}\n`, 'the usual fields, asked for');
    }
  });

  it('as JSON has the fields that were asked for, in their order, and headers', () => {
    const names = ['request.header.Referer', 'query', 'path', 'response.header.etag', 'aborted', 'status', 'slot'];
    const line = fieldsFormatter(fieldsOf(names), writer)(record, now);
    assert.equal(
      line,
      `${JSON.stringify({
        'request.header.referer': headers.referer,
        query: 'c=d&e=%0a',
        path: '/a/b',
        'response.header.etag': 'W/"1"',
        status: 200,
        slot: 0,
      })}\n`,
    );
    const none = fieldsFormatter(fieldsOf(['request.header.x-none', 'trace_id']), writer)(record, now);
    assert.equal(none, '{"request.header.x-none":null}\n');
    assert.equal(fieldsFormatter(fieldsOf(['trace_id']), writer)(record, now), '{}\n');
    const evil = fieldsFormatter(fieldsOf(['url', 'request.header.user-agent']), writer);
    for (const text of odd) {
      const written = evil({ ...record, url: text, requestHeader: () => text }, now);
      assert.equal(written.indexOf('\n'), written.length - 1);
      assert.deepEqual(JSON.parse(written), { url: text, 'request.header.user-agent': text });
    }
  });

  it('as JSON has the trace that the request is a part of, and invents none', () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const of = (traceparent: string): Record<string, unknown> => {
      const requestHeader = (name: string): string | null => (name === 'traceparent' ? traceparent : null);
      const lines = [jsonFormatter(writer), fieldsFormatter(fieldsOf(usualFields), writer)].map((formatter) =>
        formatter({ ...record, requestHeader }, now),
      );
      assert.equal(lines[0], lines[1]);
      return JSON.parse(String(lines[0])) as Record<string, unknown>;
    };
    const { trace_id, span_id, trace_flags } = of(`00-${trace}-00f067aa0ba902b7-01`);
    assert.deepEqual([trace_id, span_id, trace_flags], [trace, '00f067aa0ba902b7', '01']);
    for (const wrong of ['', 'x', `ff-${trace}-00f067aa0ba902b7-01`, `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`])
      assert.deepEqual(
        Object.keys(of(wrong)).filter((name) => name.includes('_')),
        [],
        wrong,
      );
  });

  it('as text is its atoms in turn', () => {
    const atoms = [...'hlurmUqHsBbfaTMDLpt', '{X-A}i', '{X-B}o', '{PATH}e'].map((name) => `%(${name})s`);
    for (let index = 0; index < odd.length * numbers.length; index++) {
      const each = given(index);
      const alone = atoms.map((atom) => format(atom, each).slice(0, -1));
      assert.equal(format(`<${atoms.join('> "')}> 100%%`, each), `<${alone.join('> "')}> 100%\n`);
    }
    assert.equal(format(''), '\n');
    assert.equal(format('%%'), '%\n');
  });

  it('has each character as it is, or escaped', () => {
    const harmful = /^["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u{10000}-\u{10ffff}]$/u;
    for (let code = 0; code < 0x1_1000; code++) {
      const character = String.fromCodePoint(code);
      const text = escapeText(`a${character}b`);
      if (harmful.test(character)) assert.match(text, /^a\\(["\\]|x[\da-f]{2}|u[\da-f]{4}(\\u[\da-f]{4})?)b$/);
      else assert.equal(text, `a${character}b`);
    }
  });

  it('is made of what it needs, and of nothing that costs more', () => {
    const wants = (text: string): unknown => {
      const parts = parseAccessFormat(text);
      assert.ok(typeof parts !== 'string');
      return wantsOf(parts);
    };
    assert.deepEqual(wants(defaultAccessLogFormat), { remote: true, bytes: true });
    assert.deepEqual(wants('%(m)s %(s)s b'), { remote: false, bytes: false });
    assert.deepEqual(wants('%(B)s'), { remote: false, bytes: true });
    assert.deepEqual(wants('%(h)s'), { remote: true, bytes: false });
    assert.deepEqual(jsonWantsOf(null), { remote: true, bytes: true });
    assert.deepEqual(jsonWantsOf(fieldsOf(['time', 'bytes'])), { remote: false, bytes: true });
  });
});

describe('SEC-10', () => {
  const evil = '/"},{"level":"fatal\r\n\u001b[2J\u001b]0;x\u0007\u009b\u0085\u2028\u2029\\';

  it('what a client sends is one line of text, with no control character', () => {
    const line = format('%(r)s|%(U)s|%(a)s', { url: evil });
    assert.equal(line.indexOf('\n'), line.length - 1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    assert.equal(escapeText('a"b\\c'), 'a\\"b\\\\c');
  });

  it('as JSON it is one record, with what was sent', () => {
    const formatter = jsonFormatter({ name: 'app', slot: 1, worker: 2, generation: 3 });
    const line = formatter({ ...record, url: evil }, now);
    assert.equal(line.indexOf('\n'), line.length - 1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    const parsed = JSON.parse(line) as Record<string, unknown>;
    assert.equal(parsed.url, evil);
    assert.deepEqual(
      [parsed.slot, parsed.worker, parsed.generation, parsed.pid, parsed.requestId, parsed.status, parsed.time],
      [1, 2, 3, process.pid, 'r-1', 200, '2026-11-21T08:15:00.000Z'],
    );
    assert.ok(!line.includes('secret'));
  });
});
