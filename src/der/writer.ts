import { explicit as explicitTag, Tag } from './reader.js'

/** One element in DER (X.690 §10.1): identifier, length in the fewest octets, contents. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of contents) length += part.length
  const header = length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x1_0000 ? 4 : 5
  if (length > 0xff_ffff) throw new RangeError('a DER element of more than 16 MiB is not written here')
  const octets = new Uint8Array(header + length)
  octets[0] = tag
  if (header === 2) octets[1] = length
  else {
    octets[1] = 0x80 | (header - 2)
    for (let at = header - 1, rest = length; at > 1; at--, rest >>>= 8) octets[at] = rest & 0xff
  }
  let at = header
  for (const part of contents) {
    octets.set(part, at)
    at += part.length
  }
  return octets
}

export const sequence = (...members: readonly Uint8Array[]): Uint8Array => element(Tag.sequence, ...members)

/** `[n] EXPLICIT`. */
export const explicit = (n: number, content: Uint8Array): Uint8Array => element(explicitTag(n), content)

export const octetString = (octets: Uint8Array): Uint8Array => element(Tag.octetString, octets)

/** INTEGER of contents that are two's complement in the fewest octets already: what a reader returned. */
export const integer = (contents: Uint8Array): Uint8Array => element(Tag.integer, contents)

export const nullElement: Uint8Array = element(Tag.null)

/** OBJECT IDENTIFIER of dotted text (X.690 §8.19); arcs below 2^31, which every identifier that is written here has. */
export function objectIdentifier(dotted: string): Uint8Array {
  const [top = 0, second = 0, ...arcs] = dotted.split('.').map(Number)
  return element(Tag.oid, Uint8Array.from([top * 40 + second, ...arcs].flatMap(arcOctets)))
}

function arcOctets(arc: number): number[] {
  const octets = [arc & 0x7f]
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) octets.unshift(0x80 | (rest & 0x7f))
  return octets
}
