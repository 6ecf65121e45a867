import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Observer, Observers } from '../../../../src/worker/traffic/observer.ts';

const names = [
  'onConnection',
  'onBegin',
  'onHeaders',
  'onRequest',
  'onFinished',
  'onStreamFinished',
  'onAborted',
  'onUpgrade',
  'onClosed',
] as const satisfies readonly (keyof Observer)[];

describe('observers', () => {
  it('are told in the order in which they joined, each as the object it is, with everything there is to tell', () => {
    const told: unknown[] = [];
    class Noting {
      readonly #name: string;
      constructor(name: string) {
        this.#name = name;
      }
      onFinished(...args: unknown[]): void {
        told.push([this.#name, ...args]);
      }
    }
    const observers = new Observers();
    for (const name of ['first', 'second', 'third']) observers.add(new Noting(name));
    Reflect.apply(observers.onFinished ?? assert.fail(), undefined, [1, 2, 3, 4]);
    assert.deepEqual(told, [
      ['first', 1, 2, 3, 4],
      ['second', 1, 2, 3, 4],
      ['third', 1, 2, 3, 4],
    ]);
  });

  for (const name of names) {
    it(`are told of ${name} if they have a method for it, and else it is null`, () => {
      const observers = new Observers();
      assert.equal(observers[name], null);
      let calls = 0;
      observers.add({ [name]: () => (calls += 1) });
      assert.deepEqual(
        names.filter((other) => observers[other] !== null),
        [name],
      );
      Reflect.apply(observers[name] ?? assert.fail(), undefined, []);
      assert.equal(calls, 1);
    });
  }
});
