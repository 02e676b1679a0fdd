import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { DerReader } from '../../src/der/reader.js'
import { isOnCurve } from '../../src/path/curve-point.js'
import { SubjectPublicKeyInfo } from '../../src/x509/algorithm.js'

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

  test('is not with coordinates that are larger than the field', () => {
    const der = spki(curve)
    der.fill(0xff, der.length - 2 * octets)
    expect(isOnCurve(read(der))).toBe(false)
  })
})
