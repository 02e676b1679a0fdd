import { limits } from '../limits.js'
import { DerError } from './der-error.js'

/**
 * OBJECT IDENTIFIER contents as dotted text, X.690 §8.19: each arc in the fewest octets. Arcs of any size are exact
 * (CVE-2025-66030 was a truncated arc read as another identifier).
 */
export function decodeOid(bytes: Uint8Array, start: number, end: number): string {
  const remembered = recall(bytes, start, end)
  if (remembered !== undefined) return remembered
  if (end - start > limits.oidBytes) throw new DerError('OBJECT IDENTIFIER is too long', start)
  const text = decode(bytes, start, end)
  remember(bytes, start, end, text)
  return text
}

function decode(bytes: Uint8Array, start: number, end: number): string {
  if (start === end) throw new DerError('OBJECT IDENTIFIER is empty', start)
  if (((bytes[end - 1] as number) & 0x80) !== 0) throw new DerError('OBJECT IDENTIFIER ends inside an arc', end - 1)
  let text = ''
  let arc = 0n
  let small = 0
  let arcStart = start
  for (let i = start; i < end; i++) {
    const octet = bytes[i] as number
    if (i === arcStart && octet === 0x80) throw new DerError('OBJECT IDENTIFIER arc is not minimal', i)
    const wide = i - arcStart >= 4
    if (i - arcStart === 4) arc = BigInt(small)
    if (wide) arc = (arc << 7n) | BigInt(octet & 0x7f)
    else small = (small << 7) | (octet & 0x7f)
    if ((octet & 0x80) !== 0) continue
    if (text === '') text = firstArcs(wide ? arc : BigInt(small))
    else text += `.${wide ? arc : small}`
    small = 0
    arcStart = i + 1
  }
  return text
}

/** The first subidentifier holds two arcs: X.690 §8.19.4. */
function firstArcs(value: bigint): string {
  const top = value < 40n ? 0n : value < 80n ? 1n : 2n
  return `${top}.${value - 40n * top}`
}

/**
 * A direct-mapped memory of decoded identifiers: certificates repeat the same twenty, no two of which share a slot. Its size is fixed and the octets
 * are compared in full, so that a peer can neither grow it nor be taken for another identifier.
 */
const slots = 1024
const rememberedBytes: (Uint8Array | undefined)[] = new Array(slots).fill(undefined)
const rememberedText: string[] = new Array(slots).fill('')

/** @internal For the test that says so. */
export function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  // 10: no two identifiers of X.509 share a slot. Test: 'the identifiers of X.509 are all remembered at once'.
  return (hash ^ (hash >>> 10)) & (slots - 1)
}

function recall(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > 16) return undefined
  const slot = slotOf(bytes, start, end)
  const known = rememberedBytes[slot]
  if (known === undefined || known.length !== end - start) return undefined
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return undefined
  return rememberedText[slot]
}

function remember(bytes: Uint8Array, start: number, end: number, text: string): void {
  if (end - start > 16) return
  const slot = slotOf(bytes, start, end)
  // A copy: `slice` of a Buffer, which TLS hands us, would be a view that changes with it.
  rememberedBytes[slot] = Uint8Array.from(bytes.subarray(start, end))
  // As the name of a property V8 keeps each text once, so that comparing two of them, or looking one up, compares no characters.
  rememberedText[slot] = Object.keys({ [text]: true })[0] as string
}
