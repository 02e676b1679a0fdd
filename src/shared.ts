/**
 * What the ESM and the CommonJS copy of this package must share within one process, although tools that do not know the `module-sync`
 * condition may load both: maps from objects of Node (requests, TLS sessions) to what was found out about them. No map admits anybody by
 * being empty.
 */
const key = Symbol.for('mtls-identity/1')

export const sharedMap = <V>(name: string): WeakMap<object, V> => shared(name, () => new WeakMap<object, V>())

/** What is attached to objects of others: to them alone, not to a copy or a wrapper, and nobody else can see or forge it. */
export interface Attachment<V> {
  get(object: object): V | undefined
  set(object: object, value: V): void
}

/** A map of this kind for objects that come and go with every request, where a `WeakMap` costs the garbage collector more than the request. */
export const sharedAttachment = <V>(name: string): Attachment<V> => shared(name, attachment<V>)

function shared<T>(name: string, make: () => T): T {
  const holder = globalThis as { [key]?: Map<string, unknown> }
  if (holder[key] === undefined) Object.defineProperty(holder, key, { value: new Map() })
  const things = holder[key] as Map<string, unknown>
  if (!things.has(name)) things.set(name, make())
  return things.get(name) as T
}

/** @internal Whose subclasses put their private fields on an object that is there already. */
export class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: what a constructor returns is what private fields are put on
    return object
  }
}

function attachment<V>(): Attachment<V> {
  class Attached extends Given {
    #value: V

    constructor(object: object, value: V) {
      super(object)
      this.#value = value
    }

    static get(object: object): V | undefined {
      // As a WeakMap answers: what is no object has nothing.
      return typeof object === 'object' && object !== null && #value in object ? object.#value : undefined
    }

    static set(object: object, value: V): void {
      if (#value in object) object.#value = value
      else new Attached(object, value)
    }
  }
  return Attached
}
