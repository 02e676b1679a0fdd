import { areOctetsAt } from './octets.js'

const slots = 1024

/**
 * A direct-mapped memory of what short octets were read as: certificates repeat the same few. Its size is fixed and the octets are
 * compared in full, so that a peer can neither grow it nor be taken for another. What comes for the second time is remembered: most of
 * what is read comes once.
 */
export class OctetMemory<T> {
  readonly #longest: number
  readonly #octets: (Uint8Array | undefined)[] = new Array(slots).fill(undefined)
  readonly #values: (T | undefined)[] = new Array(slots).fill(undefined)
  readonly #seen = new Int32Array(slots)

  /** @param longest how many octets are remembered; more never are */
  constructor(longest: number) {
    this.#longest = longest
  }

  /** What `bytes[start..end)` were read as, if that is remembered. */
  recall(bytes: Uint8Array, start: number, end: number): T | undefined {
    if (end - start > this.#longest) return undefined
    const slot = slotOf(bytes, start, end)
    const known = this.#octets[slot]
    if (known === undefined || known.length !== end - start) return undefined
    return areOctetsAt(known, 0, bytes, start, end) ? this.#values[slot] : undefined
  }

  /**
   * Remembers what `read` makes of the octets, in place of whatever had their slot; undefined where it does not. It is given a copy, so
   * that what is remembered keeps nothing else alive.
   *
   * Whoever reads the same octets gets the same value, whoever's they are: it has to be frozen, and to give its octets away as copies. Where
   * it cannot be, `read` returns undefined.
   */
  remember(bytes: Uint8Array, start: number, end: number, read: (copy: Uint8Array) => T | undefined): T | undefined {
    if (end - start > this.#longest) return undefined
    const mixed = mix(bytes, start, end)
    const slot = mixed >>> 22
    if (this.#seen[slot] !== mixed) {
      this.#seen[slot] = mixed
      return undefined
    }
    // Not `slice`: that of a Buffer, which TLS hands us, is a view.
    const copy = new Uint8Array(bytes.subarray(start, end))
    const value = read(copy)
    if (value === undefined) return undefined
    this.#values[slot] = value
    this.#octets[slot] = copy
    return value
  }
}

/** @internal Test: 'the identifiers of X.509 are all remembered at once'. */
export const slotOf = (bytes: Uint8Array, start: number, end: number): number => mix(bytes, start, end) >>> 22

/** Of the length and the last octets, in which identifiers differ, and of some before them, in which what is longer does. */
function mix(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  let word = length
  for (let i = Math.max(start, end - 3); i < end; i++) word = (word << 8) | (bytes[i] as number)
  if (length > 16) {
    const between =
      ((bytes[end - 6] as number) << 16) | ((bytes[end - 10] as number) << 8) | (bytes[end - 14] as number)
    word = Math.imul(word, 0x9e38af07) ^ between
  }
  return Math.imul(word, 0x9e38af07)
}
