/** Who a request is from, behind proxies that are trusted and with headers that anybody may write. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTrustProxy, type TrustProxy } from '../../../../src/config/trust-proxy.ts';
import { trusting } from '../../../../src/worker/access-log/client-address.ts';
import type { AccessRecord } from '../../../../src/worker/access-log/record.ts';

type Headers = Readonly<Record<string, string>>;

function recordOf(remote: string, headers: Headers): AccessRecord {
  return {
    ...{ remote, method: 'GET', url: '/', protocol: 'HTTP/1.1', status: 200, bytes: 0, milliseconds: 1 },
    isAborted: false,
    requestHeader: (name) => headers[name] ?? null,
    responseHeader: () => null,
  };
}

/** @param trust as it is written in a config file */
function client(trust: unknown, remote: string, headers: Headers): string {
  const parsed = parseTrustProxy(trust, false);
  assert.ok(typeof parsed !== 'object' || !('problem' in parsed), JSON.stringify(parsed));
  const clientOf = trusting(parsed as TrustProxy);
  return clientOf === null ? remote : clientOf(recordOf(remote, headers));
}

const xff = (value: string): Headers => ({ 'x-forwarded-for': value });
const forwarded = (value: string): Headers => ({ forwarded: value });

describe('TRC-03: the client behind proxies', () => {
  it('is whoever is connected if nobody is trusted', () => {
    for (const trust of [false, 0, []]) assert.equal(client(trust, '10.0.0.1', xff('1.2.3.4')), '10.0.0.1');
    assert.equal(trusting(false), null, 'nothing is looked at');
  });

  it('is the first from here that is not trusted', () => {
    const trust = ['loopback', '10.0.0.0/8', '2001:db8::/32'];
    const rows: readonly (readonly [remote: string, header: string, expected: string])[] = [
      ['10.0.0.1', '1.2.3.4', '1.2.3.4'],
      ['10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'],
      ['10.0.0.1', '6.6.6.6, 1.2.3.4, 10.9.9.9', '1.2.3.4'],
      ['10.0.0.1', '6.6.6.6,1.2.3.4,127.0.0.1,10.9.9.9', '1.2.3.4'],
      ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
      ['9.9.9.9', '1.2.3.4', '9.9.9.9'],
      ['::1', '1.2.3.4', '1.2.3.4'],
      ['2001:db8::1', '2001:db9::1', '2001:db9::1'],
      ['2001:db9::1', '1.2.3.4', '2001:db9::1'],
      ['10.0.0.1', '2001:db9::1, 2001:db8::7', '2001:db9::1'],
    ];
    for (const [remote, header, expected] of rows)
      assert.equal(client(trust, remote, xff(header)), expected, `${remote} ${header}`);
  });

  it('is so many hops away, or the first that was named', () => {
    const header = xff('5.5.5.5, 6.6.6.6, 7.7.7.7');
    assert.deepEqual(
      [1, 2, 3, 4, true, '*'].map((trust) => client(trust, '10.0.0.1', header)),
      ['7.7.7.7', '6.6.6.6', '5.5.5.5', '5.5.5.5', '5.5.5.5', '5.5.5.5'],
    );
    assert.equal(client(1, '10.0.0.1', {}), '10.0.0.1');
  });

  it('is believed of the peer of a unix socket, which is who may open it', () => {
    for (const trust of [true, 1, ['10.0.0.0/8']]) assert.equal(client(trust, '-', xff('1.2.3.4')), '1.2.3.4');
    assert.equal(client(['10.0.0.0/8'], '-', xff('1.2.3.4, 10.0.0.7')), '1.2.3.4');
    assert.equal(client(true, '-', {}), '-');
    assert.equal(client(false, '-', xff('1.2.3.4')), '-');
  });

  it('is read in each way that proxies write it', () => {
    const rows: Readonly<Record<string, string>> = {
      '1.2.3.4:5678': '1.2.3.4',
      '[2001:DB8::17]:4711': '2001:db8::17',
      '[2001:db8::17]': '2001:db8::17',
      '::ffff:1.2.3.4': '1.2.3.4',
      '::FFFF:1.2.3.4': '1.2.3.4',
      '  1.2.3.4\t': '1.2.3.4',
    };
    for (const [text, expected] of Object.entries(rows)) assert.equal(client(1, '10.0.0.1', xff(text)), expected, text);
  });

  it('is read from Forwarded (RFC 7239) if there is no X-Forwarded-For', () => {
    const rows: Readonly<Record<string, string>> = {
      'for=1.2.3.4': '1.2.3.4',
      'For="[2001:db8:cafe::17]:4711"': '2001:db8:cafe::17',
      'for=1.2.3.4;proto=http;by=203.0.113.43': '1.2.3.4',
      'proto=http; by="a;b" ;for="1.2.3.4:_port"': '1.2.3.4',
      'for=6.6.6.6, for=1.2.3.4': '1.2.3.4',
      'for="6.6.6.6, for=7.7.7.7", for=1.2.3.4': '1.2.3.4',
      // What a client has begun and not ended takes nothing away of what the proxy says.
      'for="6.6.6.6, for=1.2.3.4': '1.2.3.4',
      'for="\\", for=1.2.3.4': '1.2.3.4',
      // Whoever it was, it was not who is named before.
      'for=6.6.6.6, for=unknown': '10.0.0.1',
      'for=6.6.6.6, for=_hidden': '10.0.0.1',
      'for=6.6.6.6, for=': '10.0.0.1',
      'for=6.6.6.6, by=1.2.3.4': '10.0.0.1',
      'for=6.6.6.6;': '6.6.6.6',
      '1.2.3.4': '10.0.0.1',
      '': '10.0.0.1',
    };
    for (const [text, expected] of Object.entries(rows))
      assert.equal(client(1, '10.0.0.1', forwarded(text)), expected, text);
    const both = { ...xff('1.2.3.4'), ...forwarded('for=6.6.6.6') };
    assert.equal(client(1, '10.0.0.1', both), '1.2.3.4', 'the one that proxies add to');
    assert.equal(client(['10.0.0.0/8'], '10.0.0.1', forwarded('for=6.6.6.6, for=1.2.3.4, for=10.0.0.2')), '1.2.3.4');
  });

  it('is the last that is known, whatever else is written there', () => {
    const odd = [
      ...[
        '',
        ' ',
        ',',
        ',,,,',
        'unknown',
        '_secret',
        'localhost',
        'a.example',
        '1.2.3',
        '1.2.3.4.5',
        '256.1.1.1',
        '01.2.3.4',
      ],
      ...[
        '1.2.3.4/8',
        '::g',
        '[::1',
        '::1]',
        '[1.2.3.4',
        '1.2.3.4:',
        '1.2.3.4:80:80',
        'fe80::1%eth0',
        '1.2.3.4\n5.6.7.8',
      ],
      ...[
        '"><script>',
        '\u001b[2J',
        '\u202e1.2.3.4',
        '$(reboot)',
        '0x7f000001',
        '2130706433',
        '1.2.3.4 6.6.6.6',
        '١.٢.٣.٤',
      ],
      ...['x'.repeat(1e5), '['.repeat(1e5), ':'.repeat(1e5), '"'.repeat(1e5), ','.repeat(1e5), '1.'.repeat(5e4)],
    ];
    for (const text of odd) {
      for (const headers of [xff(text), forwarded(text), forwarded(`for=${text}`), forwarded(`for="${text}"`)]) {
        assert.equal(
          client(true, '10.0.0.1', headers),
          '10.0.0.1',
          JSON.stringify([text.slice(0, 40), Object.keys(headers)]),
        );
      }
      assert.equal(client(true, '10.0.0.1', xff(`${text}, 1.2.3.4`)), '1.2.3.4', text.slice(0, 40));
      assert.equal(client(['10.0.0.1'], '10.0.0.1', xff(`6.6.6.6, ${text}`)), '10.0.0.1', text.slice(0, 40));
    }
  });

  it('costs no more than a few hops, however many are written', () => {
    const many = Array<string>(2_000).fill('10.0.0.2').join(',');
    assert.equal(client(['10.0.0.0/8'], '10.0.0.1', xff(`6.6.6.6,${many}`)), '10.0.0.2');
    const hostile = [
      xff(many),
      xff(','.repeat(16_000)),
      forwarded('"'.repeat(16_000)),
      forwarded('for="'.repeat(4_000)),
    ];
    const start = performance.now();
    for (let round = 0; round < 1_000; round++) for (const headers of hostile) client(true, '10.0.0.1', headers);
    const each = (performance.now() - start) / 4_000;
    assert.ok(each < 2, `${each} ms for one header`);
  });

  it('trusts who is in a range, and nobody beside it', () => {
    const trusts = (range: string, remote: string): boolean => client([range], remote, xff('1.2.3.4')) === '1.2.3.4';
    const rows: readonly (readonly [range: string, inside: readonly string[], outside: readonly string[]])[] = [
      ['loopback', ['127.0.0.1', '127.255.255.255', '::1'], ['128.0.0.1', '::2', '-1', 'localhost']],
      ['LinkLocal', ['169.254.1.1', 'fe80::1', 'fe80::1%eth0', 'febf::1'], ['169.255.0.1', 'fec0::1']],
      ['uniquelocal', ['10.1.1.1', '172.31.0.1', '192.168.0.1', 'fd00::1'], ['172.32.0.1', '192.169.0.1', 'fe00::1']],
      ['203.0.113.7', ['203.0.113.7'], ['203.0.113.8']],
      ['203.0.113.7/24', ['203.0.113.1', '203.0.113.255'], ['203.0.114.1']],
      ['0.0.0.0/0', ['8.8.8.8'], ['2001:db8::1']],
      ['::/0', ['2001:db8::1'], []],
      ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::1']],
      ['::ffff:10.0.0.0/104', ['10.255.0.1'], ['11.0.0.1']],
      ['[2001:db8::1]', ['2001:db8::1', '2001:0db8:0::1'], ['2001:db8::2']],
    ];
    for (const [range, inside, outside] of rows) {
      for (const remote of inside) assert.ok(trusts(range, remote), `${range} has ${remote}`);
      for (const remote of outside) assert.ok(!trusts(range, remote), `${range} does not have ${remote}`);
    }
  });
});

describe('trustProxy', () => {
  const wrong: readonly (readonly [unknown, RegExp | null])[] = [
    ['', /is no address/],
    ['nginx', /"nginx" is no address/],
    ['loopbak', /did you mean loopback\?/],
    ['unique-local', /did you mean uniquelocal\?/],
    ['10.0.0.0/33', /more than 32 bits/],
    ['::/129', /more than 128 bits/],
    ['10.0.0/8', /is no address/],
    ['10.0.0.0/8/8', /is no address/],
    ['10.0.0.0/255.0.0.0', /is no address/],
    ['10.0.0.0/-1', /is no address/],
    [['loopback', '__proto__'], /"__proto__" is no address/],
    [['*', '10.0.0.1'], /"\*" is no address/],
    [-1, /hops are 0 to 32/],
    [1.5, /hops are 0 to 32/],
    [1e9, /hops are 0 to 32/],
    [Number.NaN, /hops are 0 to 32/],
    [[1], /^$/],
    [{}, /^$/],
    [null, /^$/],
    [() => true, /^$/],
    [['x'.repeat(1e5)], /is no address/],
  ];
  for (const [value, says] of wrong) {
    it(`is not ${String(JSON.stringify(value) ?? value).slice(0, 40)}`, () => {
      const parsed = parseTrustProxy(value, false);
      assert.ok(typeof parsed === 'object' && 'problem' in parsed, JSON.stringify(parsed));
      assert.match(parsed.problem, says ?? /./);
      assert.ok(parsed.problem.length < 200);
    });
  }

  it('is text on the command line', () => {
    assert.deepEqual(
      [['true'], ['false'], ['2'], ['*'], ['loopback,10.0.0.0/8'], ['10.0.0.1', '::1']].map((value) =>
        parseTrustProxy(value, true),
      ),
      [true, false, 2, true, ['127.0.0.0/8', '::1/128', '10.0.0.0/8'], ['10.0.0.1/32', '::1/128']],
    );
  });
});
