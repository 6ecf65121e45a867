/** One event is one line of plain text in every format, whatever is in it and however it came there. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseAccessFormat } from '../../../../src/config/access-format.ts';
import { type Logger, openLog } from '../../../../src/master/log/logger.ts';
import { textFormatter } from '../../../../src/worker/access-log/format.ts';
import { jsonFormatter } from '../../../../src/worker/access-log/json.ts';
import type { AccessRecord } from '../../../../src/worker/access-log/record.ts';
import { hostileTexts, unplain } from '../../../support/hostile-text.ts';

/** The ways by which text of others comes into a line. */
const ways: Readonly<Record<string, (logger: Logger, text: string) => void>> = {
  'the message': (logger, text) => logger.info(text),
  'a field': (logger, text) => logger.warn({ slot: 1, pid: 7, reason: text }, 'said'),
  'a field that is nested': (logger, text) => logger.info({ requests: [{ url: text }], stack: [text] }, 'said'),
  'the name of a field': (logger, text) => logger.info({ [text]: { [text]: 1 } }, 'said'),
  'an error, as the system throws it': (logger, text) => logger.error({ err: new Error(text) }, 'failed'),
  'an error, as a worker reports it': (logger, text) =>
    logger.error({ err: Object.assign(Object.create(null), { name: text, message: text, stack: text }) }, text),
  'fields that pose as the log’s own': (logger, text) =>
    logger.error({ type: 'Error', stack: text, hostname: text, caller: text, pid: text }, text),
};

async function write(format: 'pretty' | 'json', name: string, log: (logger: Logger) => void): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'prefork-log-'));
  try {
    const file = join(folder, 'log');
    const opened = await openLog({ name, level: 'info', format, file });
    log(opened.logger);
    await opened.flush();
    return readFileSync(file, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('one event is one line', () => {
  for (const format of ['pretty', 'json'] as const)
    for (const [way, log] of Object.entries(ways))
      it(`${format}: ${way}`, async () => {
        for (const [kind, text] of Object.entries(hostileTexts)) {
          const written = await write(format, text, (logger) => log(logger, text));
          assert.ok(written.endsWith('\n'));
          const line = written.slice(0, -1);
          assert.equal(unplain.exec(line), null, `${kind}: ${JSON.stringify(line)}`);
          assert.match(line, format === 'json' ? /^\{"level":\d0,/ : /^\[\S+\] [A-Z]+( \(7\))?: /, kind);
        }
      });

  it('means what it was in JSON, and can be read as it was meant', async () => {
    for (const text of [...Object.values(hostileTexts).slice(0, -1), 'grün 店舗 👍\tx']) {
      const line = JSON.parse(await write('json', 'x', (logger) => logger.info({ reason: text }, text))) as object;
      assert.deepEqual([Reflect.get(line, 'msg'), Reflect.get(line, 'reason')], [text, text]);
    }
    assert.match(await write('pretty', 'x', (logger) => logger.info('grün 店舗 👍')), / INFO: grün 店舗 👍\n$/);
    assert.match(await write('pretty', 'x', (logger) => logger.info('a\nb\u202ec')), / INFO: a\\nb\\u202ec\n$/);
  });
});

describe('one request is one line', () => {
  const record = (text: string): AccessRecord => ({
    ...{ remote: '127.0.0.1', method: text, url: text, protocol: 'HTTP/1.1', status: 200, bytes: 1 },
    ...{ milliseconds: 1, isAborted: false, requestHeader: () => text, responseHeader: () => text },
  });
  const atoms = parseAccessFormat('%(h)s %(u)s "%(r)s" %(m)s %(U)s %(q)s "%(f)s" "%(a)s" %({x}i)s %({x}o)s %({X}e)s');
  assert.ok(Array.isArray(atoms));

  for (const [kind, text] of Object.entries(hostileTexts)) {
    it(`with ${kind} everywhere`, () => {
      process.env.X = text.replaceAll('\u0000', '');
      for (const [format, line] of [
        ['text', textFormatter(atoms)(record(`/a?${text}`), 0)],
        ['json', jsonFormatter({ name: text, slot: 0, worker: 1, generation: 1 })(record(text), 0)],
      ] as const) {
        assert.ok(line.endsWith('\n'));
        assert.equal(unplain.exec(line.slice(0, -1)), null, `${format}: ${JSON.stringify(line)}`);
      }
    });
  }

  it('also if the format itself has line ends', () => {
    const parts = parseAccessFormat('%(s)s\r\n\u2028%(m)s\u001b[0m');
    assert.ok(Array.isArray(parts));
    assert.equal(textFormatter(parts)(record('GET'), 0), '200 GET [0m\n');
  });
});
