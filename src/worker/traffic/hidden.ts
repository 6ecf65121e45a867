/** What is remembered of the app's objects, where the app cannot see it: not as a property, nor as a symbol. */

/** A value for each of any number of objects. It lives as long as its object. */
export interface Hidden<T> {
  of(object: object | null | undefined): T | null;
  put(object: object, value: T): void;
}

/** A constructor that returns what it is given: a private field of a subclass ends up on that object. */
const Given = class {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is its purpose
    return object;
  }
};

/**
 * Makes a place for values. They are private fields of the objects themselves: as fast as a property, which a WeakMap
 * with an entry for every connection and request is not, and out of reach of reflection, inspection and copies.
 */
export function hidden<T>(): Hidden<T> {
  class Place extends Given {
    #value: T | null = null;

    static of(object: object | null | undefined): T | null {
      return object !== null && object !== undefined && #value in object ? object.#value : null;
    }

    static put(object: object, value: T): void {
      const place = #value in object ? object : (new Place(object) as Place);
      place.#value = value;
    }
  }
  return Place;
}
