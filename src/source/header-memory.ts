/** What was made of one value of a certificate header, and of the chain lines that came with it. */
interface Entry<T> {
  readonly value: string
  readonly chain: readonly string[]
  readonly result: T
  readonly octets: number
  readonly hash: number
  /** Used since the last time room was made. */
  used: boolean
}

/** Values that share a hash, at most. Who forges collisions drives out collisions, and nobody compares more than these. */
const probes = 4
const headCharacters = 1_024
const tailCharacters = 192
/** `%0A-----END%20CERTIFICATE-----%0A` and the like. */
const commonEnd = 41
const overhead = 512

/**
 * Remembers what header values were decoded to, bounded by octets. A `Map` keyed by the value would hash all of it on every request,
 * because the parser makes a new string each time: here some 48 characters make a hash, and the whole value is compared.
 *
 * Certificates are public, so a value with a given hash is easily made. It costs a comparison, never a wrong answer.
 */
export class HeaderMemory<T> {
  /** In the order they came, so that the oldest are first. */
  readonly #buckets = new Map<number, Entry<T>[]>()
  readonly #capacity: number
  #octets = 0
  #size = 0

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
    const bucket = this.#buckets.get(sample(value))
    if (bucket === undefined) return undefined
    for (const entry of bucket) {
      if (entry.value === value && isSame(entry.chain, chain)) {
        entry.used = true
        return entry.result
      }
    }
    return undefined
  }

  /** @param octets what the result keeps in memory beside the value */
  remember(value: string, chain: readonly string[], result: T, octets: number): void {
    if (this.find(value, chain) !== undefined) return
    const hash = sample(value)
    const size = chain.reduce((sum, line) => sum + line.length, value.length + octets + overhead)
    if (size > this.#capacity) return
    const bucket = this.#buckets.get(hash) ?? []
    if (bucket.length === probes) this.#forget(bucket.shift() as Entry<T>)
    this.#makeRoom(size)
    // Making room may have emptied the bucket and taken it away.
    this.#buckets.set(hash, bucket)
    bucket.push({ value, chain, result, octets: size, hash, used: false })
    this.#octets += size
    this.#size++
  }

  /** The oldest bucket none of whose values was used since last time goes; the others are passed over once. */
  #makeRoom(size: number): void {
    while (this.#octets + size > this.#capacity) {
      const [hash, bucket] = this.#buckets.entries().next().value as [number, Entry<T>[]]
      this.#buckets.delete(hash)
      if (bucket.some(({ used }) => used)) {
        for (const entry of bucket) entry.used = false
        this.#buckets.set(hash, bucket)
      } else for (const entry of bucket.splice(0)) this.#forget(entry)
    }
  }

  #forget({ octets }: Entry<T>): void {
    this.#octets -= octets
    this.#size--
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
  if (length < headCharacters) return hash
  const from = length - commonEnd - tailCharacters
  for (let at = from; at < length - commonEnd; at += 12) hash = (Math.imul(hash, 31) + value.charCodeAt(at)) | 0
  return hash
}
