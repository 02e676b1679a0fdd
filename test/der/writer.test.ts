import { describe, expect, test } from '@jest/globals'
import { DerReader, explicit, Tag } from '../../src/der/reader.js'
import * as writer from '../../src/der/writer.js'

const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex')

describe('what is written is what the strict reader reads', () => {
  test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536, 100_000])(
    'an OCTET STRING of %i octets, its length in the fewest',
    (length) => {
      const octets = new Uint8Array(length).fill(7)
      const reader = new DerReader(writer.octetString(octets))
      expect(reader.octetString()).toEqual(octets)
      reader.finish()
    },
  )

  test('the longest length that takes three octets is written; its twin of one more is refused', () => {
    expect(hex(writer.element(Tag.octetString, new Uint8Array(0xff_ffff)).subarray(0, 5))).toBe('0483ffffff')
    expect(() => writer.element(Tag.octetString, new Uint8Array(0x100_0000))).toThrow(RangeError)
  })

  test.each([
    '1.3.14.3.2.26',
    '2.16.840.1.101.3.4.2.1',
    '1.3.6.1.5.5.7.48.1.2',
    '2.999.3',
    '0.39.127.128.16383.16384.2097151.2147483647',
  ])('the identifier %s', (dotted) => {
    const reader = new DerReader(writer.objectIdentifier(dotted))
    expect(reader.oid()).toBe(dotted)
    reader.finish()
  })

  test('a sequence of everything else', () => {
    const reader = new DerReader(
      writer.sequence(
        writer.nullElement,
        writer.integer(Uint8Array.of(0, 0x80)),
        writer.explicit(2, writer.nullElement),
      ),
    ).enter()
    reader.null()
    expect(reader.nonNegative()).toBe(128)
    reader.enter(explicit(2)).null()
    reader.finish()
  })
})
