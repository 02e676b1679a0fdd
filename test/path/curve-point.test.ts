import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { DerReader } from '../../src/der/reader.js'
import { isOfSmallOrder, isOnCurve } from '../../src/path/curve-point.js'
import { importPublicKey } from '../../src/path/import-key.js'
import { SubjectPublicKeyInfo } from '../../src/x509/algorithm.js'
import { bitString, oid, seq } from '../support/der-builder.js'

const spki = (namedCurve: string) =>
  Uint8Array.from(generateKeyPairSync('ec', { namedCurve }).publicKey.export({ type: 'spki', format: 'der' }))
const read = (der: Uint8Array) => new SubjectPublicKeyInfo(new DerReader(der))

/** The same with one bit changed, so many octets from the end. */
function changed(der: Uint8Array, fromEnd: number): Uint8Array {
  const copy = Uint8Array.from(der)
  const at = copy.length - 1 - fromEnd
  copy[at] = (copy[at] as number) ^ 1
  return copy
}

/** AlgorithmIdentifier of a key of this curve. */
const algorithmOf = (curve: string) => new DerReader(spki(curve)).enter().element()

describe.each([
  { curve: 'P-256', octets: 32 },
  { curve: 'P-384', octets: 48 },
  { curve: 'P-521', octets: 66 },
])('a point of $curve (SEC 1 §3.2.2.1)', ({ curve, octets }) => {
  test('is on its curve as OpenSSL made it', () => {
    for (let i = 0; i < 20; i++) expect(isOnCurve(read(spki(curve)))).toBe(true)
  })

  test('is not with one bit of any octet changed', () => {
    const der = spki(curve)
    for (let fromEnd = 0; fromEnd < 2 * octets; fromEnd++) {
      expect([fromEnd, isOnCurve(read(changed(der, fromEnd)))]).toEqual([fromEnd, false])
    }
  })

  test('is on its curve without its y, and is not where no y belongs to its x (SEC 1 §2.3.4)', () => {
    const compressed = (x: Uint8Array) => read(seq(algorithmOf(curve), bitString(0, [2], x)))
    let without = 0
    for (let i = 0; i < 40; i++) {
      const x = spki(curve).slice(-2 * octets, -octets)
      expect(isOnCurve(compressed(x))).toBe(true)
      x[octets - 1] = (x[octets - 1] as number) ^ 1
      const isReadable = importPublicKey(compressed(x)) !== undefined
      expect(isOnCurve(compressed(x))).toBe(isReadable)
      if (!isReadable) without++
    }
    expect(without).toBeGreaterThan(5)
    expect(without).toBeLessThan(35)
    expect(isOnCurve(compressed(new Uint8Array(octets).fill(0xff)))).toBe(false)
  })

  test('is not with coordinates that are larger than the field', () => {
    const der = spki(curve)
    der.fill(0xff, der.length - 2 * octets)
    expect(isOnCurve(read(der))).toBe(false)
  })
})

describe('an Edwards key of small order (RFC 8032 §5.1.7)', () => {
  /** y in little-endian order, with the sign of x. */
  const encoded = (y: bigint, octets: number, sign = 0) => {
    const key = Buffer.from(y.toString(16).padStart(octets * 2, '0'), 'hex').reverse()
    key[octets - 1] = (key[octets - 1] as number) | (sign << 7)
    return Uint8Array.from(key)
  }
  const key = (type: string, octets: Uint8Array) => read(seq(seq(oid(type)), bitString(0, octets)))
  const p = 2n ** 255n - 19n
  const q = 2n ** 448n - 2n ** 224n - 1n
  // Order 8: the root of d·y⁴ + 2·y² = 1 in the field, and its negative.
  const eighth = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n

  test.each([
    { name: 'order 1', y: 1n },
    { name: 'order 2', y: p - 1n },
    { name: 'order 4', y: 0n },
    { name: 'order 8', y: eighth },
    { name: 'order 8, negative', y: p - eighth },
    { name: 'order 4, written as p', y: p },
    { name: 'order 1, written as p + 1', y: p + 1n },
  ])('Ed25519: $name, with either sign', ({ y }) => {
    for (const sign of [0, 1]) expect(isOfSmallOrder(key('1.3.101.112', encoded(y, 32, sign)))).toBe(true)
  })

  test.each([
    { name: 'order 1', y: 1n },
    { name: 'order 2', y: q - 1n },
    { name: 'order 4', y: 0n },
    { name: 'order 4, written as p', y: q },
  ])('Ed448: $name, with either sign', ({ y }) => {
    for (const sign of [0, 1]) expect(isOfSmallOrder(key('1.3.101.113', encoded(y, 57, sign)))).toBe(true)
  })

  test('no key that somebody made is one, nor a neighbour of such a point', () => {
    for (const type of ['ed25519', 'ed448'] as const) {
      for (let i = 0; i < 20; i++) {
        const { publicKey } = type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ed448')
        expect(isOfSmallOrder(read(Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' }))))).toBe(false)
      }
    }
    for (const y of [2n, p - 2n, eighth + 1n]) {
      expect(isOfSmallOrder(key('1.3.101.112', encoded(y, 32)))).toBe(false)
    }
    expect(isOfSmallOrder(key('1.3.101.113', encoded(eighth, 57)))).toBe(false)
  })
})
