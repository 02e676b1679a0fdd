/** A map of bounded size that forgets what was used longest ago. */
export class LruMap<K, V> {
  readonly #entries = new Map<K, V>()
  readonly #capacity: number
  /** Asked for again and again, it is the youngest already. */
  #youngest: K | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined || key === this.#youngest) return value
    // A Map keeps insertion order: to insert again is to become the youngest.
    this.#entries.delete(key)
    this.#entries.set(key, value)
    this.#youngest = key
    return value
  }

  /** Those used longest ago first. */
  values(): IterableIterator<V> {
    return this.#entries.values()
  }

  delete(key: K): void {
    this.#entries.delete(key)
  }

  set(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    this.#youngest = key
    if (this.#entries.size > this.#capacity) this.#entries.delete(this.#entries.keys().next().value as K)
  }
}
