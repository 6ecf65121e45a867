/** Figures as people read them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytes, figureText, milliseconds, percent, rate, span } from '../../../src/protocol/figures-text.ts';

describe('figures', () => {
  it('figures are short, whatever they are', () => {
    assert.deepEqual(
      [0, 9.94, 9.96, 999, 1_500, 123_456].map((value) => milliseconds(value)),
      ['0.0ms', '9.9ms', '10ms', '999ms', '1.5s', '123s'],
    );
    assert.deepEqual(
      [0, 5 * 2 ** 20, 999 * 2 ** 20, 1_024 * 2 ** 20].map((value) => bytes(value)),
      ['-', '5.0MB', '999MB', '1.0GB'],
    );
    assert.deepEqual([rate(0), rate(999.94), rate(12_345.6), percent(0.426)], ['0.0', '999.9', '12346', '43%']);
  });

  it('have a gap before the unit if there is room for it', () => {
    assert.deepEqual(
      [milliseconds(12, ' '), milliseconds(1_500, ' '), bytes(2 ** 20, ' ')],
      ['12 ms', '1.5 s', '1.0 MB'],
    );
  });

  it('spans have two units', () => {
    assert.deepEqual([0.4, 59.9, 65, 3_660, 90_000].map(span), ['0s', '59s', '1m05s', '1h01m', '1d01h']);
  });

  it('of a row are written by their unit; what is not known, or not said by an older master, is -', () => {
    const row = { slot: 3, pid: null, phase: 'draining', reason: 'reload', rss: 0, cpu: 1.5, latencyP99: 12.34 };
    const texts = ['slot', 'pid', 'phase', 'rss', 'cpu', 'latencyP99', 'inFlight'].map((name) => figureText(row, name));
    assert.deepEqual(texts, ['3', '-', 'draining (reload)', '-', '150%', '12ms', '-']);
  });
});
