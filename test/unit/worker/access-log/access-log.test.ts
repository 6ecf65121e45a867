import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultAccessLogFormat, parseAccessFormat } from '../../../../src/config/access-format.ts';
import { clfDate, escapeText, jsonFormatter, textFormatter } from '../../../../src/worker/access-log/format.ts';
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
