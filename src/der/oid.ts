import { limits } from '../limits.js'
import { DerError } from './der-error.js'
import { OctetMemory } from './octet-memory.js'

/** Certificates repeat the same twenty. */
const known = new OctetMemory<string>(32)

/**
 * OBJECT IDENTIFIER contents as dotted text, X.690 §8.19: each arc in the fewest octets. Arcs of any size are exact
 * (CVE-2025-66030 was a truncated arc read as another identifier).
 */
export function decodeOid(bytes: Uint8Array, start: number, end: number): string {
  const remembered = known.recall(bytes, start, end)
  if (remembered !== undefined) return remembered
  if (end - start > limits.oidBytes) throw new DerError('OBJECT IDENTIFIER is too long', start)
  // As the name of a property V8 keeps each text once, so that comparing two of them, or looking one up, compares no characters.
  const text = Object.keys({ [decode(bytes, start, end)]: true })[0] as string
  known.remember(bytes, start, end, () => text)
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
