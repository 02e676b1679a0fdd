/** What was made of one value of a certificate header, and of the chain lines that came with it. */
interface Entry<T> {
  readonly value: string
  readonly chain: readonly string[]
  readonly result: T
  readonly octets: number
  readonly hash: number
  /** Used since the last time somebody looked for room. */
  used: boolean
}

/** Places where a value may be: who forges collisions drives out collisions, and nobody compares more than these. */
const probes = 4
const firstSlots = 1_024
const headCharacters = 1_024
const tailCharacters = 192
/** `%0A-----END%20CERTIFICATE-----%0A` and the like. */
const commonEnd = 41
/** Octets of an entry beside its strings and its result, and of the identity that hangs on it. */
const overhead = 2_560

/**
 * Remembers what header values were decoded to, bounded by octets. A `Map` keyed by the value would hash all of it on every request,
 * because the parser makes a new string each time: here some 48 characters make a hash, and the whole value is compared.
 *
 * Certificates are public, so a value with a given hash is easily made. It costs a comparison, never a wrong answer.
 */
export class HeaderMemory<T> {
  /** An open-addressed table. The hashes stand apart, side by side, so that what does not match is not touched. */
  #slots: (Entry<T> | undefined)[] = new Array(firstSlots).fill(undefined)
  #hashes = new Int32Array(firstSlots)
  readonly #capacity: number
  #octets = 0
  #size = 0
  #hand = 0

  /** @param capacity octets of all values and of what was made of them */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#size
  }

  get octets(): number {
    return this.#octets
  }

  find(value: string, chain: readonly string[]): T | undefined {
    const hash = sample(value)
    const mask = this.#hashes.length - 1
    for (let i = 0; i < probes; i++) {
      const slot = (hash + i) & mask
      if (this.#hashes[slot] !== hash) continue
      const entry = this.#slots[slot]
      if (entry !== undefined && entry.value === value && isSame(entry.chain, chain)) {
        entry.used = true
        return entry.result
      }
    }
    return undefined
  }

  /** @param octets what the result keeps in memory beside the value */
  remember(value: string, chain: readonly string[], result: T, octets: number): void {
    if (this.find(value, chain) !== undefined) return
    const size = chain.reduce((sum, line) => sum + line.length, value.length + octets + overhead)
    if (size > this.#capacity) return
    while (this.#octets + size > this.#capacity) this.#forgetOne()
    if (this.#size * 2 >= this.#slots.length) this.#grow()
    this.#put({ value, chain, result, octets: size, hash: sample(value), used: false })
  }

  #put(entry: Entry<T>): void {
    const slot = this.#slotFor(entry.hash)
    this.#forget(slot)
    this.#slots[slot] = entry
    this.#hashes[slot] = entry.hash
    this.#octets += entry.octets
    this.#size++
  }

  /** An empty place, or that of a value nobody used lately, or the first. */
  #slotFor(hash: number): number {
    const mask = this.#slots.length - 1
    let unused: number | undefined
    for (let i = 0; i < probes; i++) {
      const slot = (hash + i) & mask
      const entry = this.#slots[slot]
      if (entry === undefined) return slot
      if (!entry.used) unused ??= slot
    }
    return unused ?? hash & mask
  }

  /** The next value that was not used since the hand came by last; those that were are passed over once. */
  #forgetOne(): void {
    for (;;) {
      this.#hand = (this.#hand + 1) & (this.#slots.length - 1)
      const entry = this.#slots[this.#hand]
      if (entry === undefined) continue
      if (!entry.used) break
      entry.used = false
    }
    this.#forget(this.#hand)
  }

  #forget(slot: number): void {
    const entry = this.#slots[slot]
    if (entry === undefined) return
    this.#slots[slot] = undefined
    this.#octets -= entry.octets
    this.#size--
  }

  #grow(): void {
    const entries = this.#slots
    this.#slots = new Array(entries.length * 2).fill(undefined)
    this.#hashes = new Int32Array(entries.length * 2)
    this.#octets = 0
    this.#size = 0
    for (const entry of entries) if (entry !== undefined) this.#put(entry)
  }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false
  return true
}

/**
 * @internal A hash of some 48 characters and the length. Every format has the end entity first, with its serial number and key; what has no
 * chain behind it has its signature last, before an end that is the same for all.
 */
export function sample(value: string): number {
  const { length } = value
  let hash = length
  const head = Math.min(length, headCharacters)
  const step = Math.max(1, head >> 5)
  for (let at = head - 1; at >= 0; at -= step) hash = (Math.imul(hash, 31) + value.charCodeAt(at)) | 0
  if (length < headCharacters) return spread(hash)
  const from = length - commonEnd - tailCharacters
  for (let at = from; at < length - commonEnd; at += 12) hash = (Math.imul(hash, 31) + value.charCodeAt(at)) | 0
  return spread(hash)
}

/** The lower bits choose the place. */
const spread = (hash: number) => hash ^ (hash >>> 15)
