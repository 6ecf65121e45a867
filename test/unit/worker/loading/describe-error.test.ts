import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeError } from '../../../../src/worker/loading/describe-error.ts';
import { ExportError, kindOf } from '../../../../src/worker/loading/failure.ts';

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

describe('an error, as Node prints it', () => {
  it('has the line it was thrown from', () => {
    const text = describeError(new Error('here'));
    assert.match(
      text,
      /describe-error\.test\.ts:\d+\n {4}const text = describeError\(new Error\('here'\)\);\n +\^\n\nError: here\n/,
    );
  });

  it('has none twice, nor one from within Node', () => {
    const fromNode = caught(() => Buffer.alloc(-1));
    assert.match(describeError(fromNode), /^RangeError \[ERR_OUT_OF_RANGE\]/);
  });

  it('keeps causes and properties', () => {
    const text = describeError(Object.assign(new Error('outer', { cause: new TypeError('inner') }), { port: 80 }));
    assert.match(text, /\[cause\]: TypeError: inner/);
    assert.match(text, /port: 80/);
  });

  it('is not misled by a message that looks like a stack', () => {
    const text = describeError(new Error('a\n    at /etc/hostname:1:1'));
    assert.match(text, /^\S*describe-error\.test\.ts:\d+\n/);
  });

  it('is something, whatever was thrown', () => {
    assert.equal(describeError('text'), "Uncaught:\n'text'");
    assert.equal(describeError(undefined), 'Uncaught:\nundefined');
    assert.match(describeError({ code: 1 }), /code: 1/);
    const hostile = new Error('x');
    Object.defineProperty(hostile, 'stack', {
      get: () => {
        throw new Error('no stack for you');
      },
    });
    assert.match(describeError(hostile), /^Uncaught: \[object Error\]/);
    const trap = new Proxy(new Error('x'), {
      get: () => {
        throw new Error('nor anything else');
      },
    });
    assert.match(describeError(trap), /./);
    const empty = new Error('no stack');
    delete empty.stack;
    assert.match(describeError(empty), /no stack/);
  });
});

describe('the kind of a failure', () => {
  it('is load where the app cannot even be loaded', () => {
    assert.equal(kindOf(new ExportError('no such export')), 'load');
    assert.equal(kindOf(Object.assign(new Error('x'), { code: 'ERR_MODULE_NOT_FOUND' })), 'load');
    assert.equal(kindOf(Object.assign(new Error('x'), { code: 'MODULE_NOT_FOUND' })), 'load');
    assert.equal(kindOf(Object.assign(new Error('x'), { name: 'TransformError' })), 'load');
  });

  it('is boot where it fails on its way', () => {
    assert.equal(kindOf(new Error('x')), 'boot');
    assert.equal(kindOf(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), 'boot');
    assert.equal(kindOf(caught(() => JSON.parse('{'))), 'boot');
    assert.equal(kindOf(caught(() => new Function('('))), 'boot');
    assert.equal(kindOf('text'), 'boot');
    assert.equal(kindOf(null), 'boot');
  });
});
