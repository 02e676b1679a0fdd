const slots = 1024
/** Longer ones are never remembered. */
export const longestRemembered = 32

/**
 * A direct-mapped memory of what short octets were read as: certificates repeat the same few identifiers. Its size is fixed and the octets are
 * compared in full, so that a peer can neither grow it nor be taken for another.
 */
export class OctetMemory<T> {
  readonly #octets: (Uint8Array | undefined)[] = new Array(slots).fill(undefined)
  readonly #values: (T | undefined)[] = new Array(slots).fill(undefined)

  /** What `bytes[start..end)` were read as, if that is remembered. */
  recall(bytes: Uint8Array, start: number, end: number): T | undefined {
    if (end - start > longestRemembered) return undefined
    const slot = slotOf(bytes, start, end)
    const known = this.#octets[slot]
    if (known === undefined || known.length !== end - start) return undefined
    for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return undefined
    return this.#values[slot]
  }

  /** Remembers it, where the octets are few enough, in place of whatever had its slot. */
  remember(bytes: Uint8Array, start: number, end: number, value: T): void {
    if (end - start > longestRemembered) return
    const slot = slotOf(bytes, start, end)
    // A copy: `slice` of a Buffer, which TLS hands us, would be a view that changes with it.
    this.#octets[slot] = new Uint8Array(bytes.subarray(start, end))
    this.#values[slot] = value
  }
}

/** @internal By length and last octets, in which identifiers differ. Test: 'the identifiers of X.509 are all remembered at once'. */
export function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let word = end - start
  for (let i = Math.max(start, end - 3); i < end; i++) word = (word << 8) | (bytes[i] as number)
  return Math.imul(word, 0x9e38af07) >>> 22
}
