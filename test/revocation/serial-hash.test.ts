import { describe, expect, test } from '@jest/globals'
import { hashIssuer, hashSerial, isHashable, serialView } from '../../src/revocation/serial-hash.js'

const hashOf = (octets: readonly number[], issuer = 0) =>
  hashSerial(serialView(Uint8Array.from(octets)), 0, octets.length, hashIssuer(issuer))

describe('the hash of a serial number', () => {
  test('is one number of 32 bits for one serial number of one issuer', () => {
    const octets = Array.from({ length: 21 }, (_, n) => n)
    expect(hashOf(octets)).toBe(hashOf(octets))
    expect(hashOf(octets)).toBeGreaterThanOrEqual(0)
    expect(hashOf(octets)).toBeLessThan(2 ** 32)
  })

  test('does not depend on what lies before or after it', () => {
    const surrounded = Uint8Array.from([9, 9, 1, 2, 3, 4, 5, 8, 7, 6])
    const hash = hashSerial(new DataView(surrounded.buffer), 2, 5, hashIssuer(0))
    hashOf(new Array(21).fill(0xff))
    expect(hashOf([1, 2, 3, 4, 5])).toBe(hash)
  })

  test('differs with every octet, with their number, and with the issuer', () => {
    // By chance two of these meet once in a hundred thousand runs.
    const variants = [
      ...Array.from({ length: 20 }, (_, at) => new Array(20).fill(0).with(at, 1)),
      ...Array.from({ length: 20 }, (_, length) => new Array(length + 1).fill(0)),
      // The same words, in which some octets are not the serial number's.
      [1, 2, 3, 4, 5],
      [1, 2, 3, 4, 0, 5],
      [1, 2, 3, 4, 0, 0, 5],
      [1, 2, 3, 4, 0, 0, 0, 5],
    ]
    const hashes = [...variants.map((octets) => hashOf(octets)), ...[1, 255, 256, 1_023].map((n) => hashOf([1], n))]
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  test('is for serial numbers of 20 octets, and one for the sign', () => {
    expect([0, 1, 20, 21, 22].map((length) => isHashable(new Uint8Array(length)))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
  })
})
