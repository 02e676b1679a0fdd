import type { AnyRequest } from '../source/source.js'
import { hasDecision, identityOf } from './guard.js'

const property = 'clientIdentity'

/**
 * Puts `clientIdentity` on what a framework hands to its handlers: a property that cannot be assigned. A property of each request costs V8 some
 * microseconds, because from then on it is an object of another shape to all code it comes to; so the prototype that a framework's requests have in
 * common gets it once, and a request has its own only where that does not do.
 */
export class Exposure<Carrier extends object> {
  /** Prototypes that have it. */
  readonly #prepared = new WeakSet<object>()
  /** Prototypes of carriers, which inherit it. */
  readonly #heirs = new WeakSet<object>()
  readonly #requestOf: (carrier: Carrier) => AnyRequest
  readonly #prototypeOf: (carrier: Carrier) => object | undefined
  readonly #descriptor: PropertyDescriptor & ThisType<Carrier>

  /**
   * @param requestOf what was decided about: also of what is derived from a carrier, or stands for one
   * @param prototypeOf what a carrier, near or far, inherits from, and others of its framework only
   */
  constructor(requestOf: (carrier: Carrier) => AnyRequest, prototypeOf: (carrier: Carrier) => object | undefined) {
    this.#requestOf = requestOf
    this.#prototypeOf = prototypeOf
    const isPrepared = (carrier: object) => this.#prepared.has(carrier)
    this.#descriptor = {
      // Whoever could put another in its place would speak for every request.
      configurable: false,
      enumerable: true,
      get() {
        return identityOf(requestOf(this))
      },
      set(value) {
        if (isPrepared(this) || hasDecision(requestOf(this))) throw new TypeError(`${property} cannot be assigned`)
        // Before the middleware it is a name like any other, and is overwritten there.
        Object.defineProperty(this, property, { configurable: true, enumerable: true, writable: true, value })
      },
    }
  }

  expose(carrier: Carrier): void {
    const near: object = Object.getPrototypeOf(carrier)
    const isHeir = this.#heirs.has(near) || this.#isNewHeir(carrier, near)
    if (isHeir && !Object.hasOwn(carrier, property)) return
    const value = identityOf(this.#requestOf(carrier))
    Object.defineProperty(carrier, property, { configurable: true, enumerable: true, writable: false, value })
  }

  #isNewHeir(carrier: Carrier, near: object): boolean {
    const prototype = this.#prototypeOf(carrier)
    if (prototype === undefined || !this.#prepare(prototype)) return false
    // Something nearer may have the name for something else.
    let at = near
    while (at !== prototype) {
      if (Object.hasOwn(at, property)) return false
      at = Object.getPrototypeOf(at)
    }
    this.#heirs.add(near)
    return true
  }

  #prepare(prototype: object): boolean {
    if (this.#prepared.has(prototype)) return true
    if (property in prototype || !Object.isExtensible(prototype)) return false
    Object.defineProperty(prototype, property, this.#descriptor)
    this.#prepared.add(prototype)
    return true
  }
}
