import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DerError, DerReader } from '../../src/der/reader.js'
import { readUsualEntry, serialNumberAt, usualEntryEnd } from '../../src/revocation/usual-entry.js'
import { readCrlEntry } from '../../src/x509/crl-entry.js'
import { entry, invalidityDate, reasonCode, unknownExtension } from '../support/crl-der.js'
import { concat, generalizedTime, integer, seq, tlv, utcTime } from '../support/der-builder.js'

/**
 * Two readers of one thing: the one that knows two shapes by their words, and the one that reads every well-formed entry. What the first says,
 * the second says too.
 */

const viewOf = (octets: Uint8Array) => new DataView(octets.buffer, octets.byteOffset, octets.length)

/** What the quick reader makes of an entry: where it ends, `false` where it leaves it to the other, or why it is malformed. */
function quickly(octets: Uint8Array, version: number): number | false | string {
  try {
    return usualEntryEnd(octets, viewOf(octets), 0, octets.length, version > 1) || false
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return error.message
  }
}

function thoroughly(octets: Uint8Array, version: number): number | string {
  const reader = new DerReader(octets)
  try {
    readCrlEntry(reader, version)
    return reader.position
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return error.message
  }
}

const samples = [
  entry(1),
  entry(2n ** 159n - 1n, reasonCode(1)),
  entry(2n ** 160n - 1n, reasonCode(9)),
  entry(-5, reasonCode(0)),
  entry(1, invalidityDate('20260101000000Z')),
  entry(1, unknownExtension(true)),
  seq(integer(7), generalizedTime('20260101000000Z')),
  seq(integer(7), utcTime('240229235959Z')),
]

describe('entries of the usual shapes are known by their words', () => {
  test('and end where they end', () => {
    for (const sample of samples.slice(0, 4)) expect(quickly(concat(sample, entry(1)), 2)).toBe(sample.length)
    expect(quickly(samples[7] as Uint8Array, 2)).toBe(samples[7]?.length)
  })

  test('and those of others are left to the thorough reader', () => {
    for (const sample of samples.slice(4, 7)) expect(quickly(sample, 2)).toBe(false)
  })

  test('version 1 has no extensions', () => {
    expect(quickly(entry(1, reasonCode(1)), 1)).toBe(false)
    expect(quickly(entry(1, reasonCode(1)), 2)).toBe(entry(1, reasonCode(1)).length)
    expect(quickly(entry(1), 1)).toBe(entry(1).length)
  })

  test('what they say is read without the thorough reader, and the same', () => {
    for (const sample of samples) {
      const { revocationDate, reason, serialNumber, invalidityDate: since } = readCrlEntry(new DerReader(sample), 2)
      const usual = readUsualEntry(sample, viewOf(sample), 0)
      if (usual !== undefined) expect(usual).toEqual({ revocationDate, reason })
      expect(usual === undefined).toBe(!samples.slice(0, 4).includes(sample) && sample !== samples[7])
      if (since !== undefined) expect(usual).toBeUndefined()
      const start = serialNumberAt(sample, 0)
      expect(sample.subarray(start, start + serialNumber.length)).toEqual(serialNumber)
    }
  })
})

describe('both readers agree', () => {
  const agree = (octets: Uint8Array) => {
    for (const version of [1, 2]) {
      const quick = quickly(octets, version)
      if (quick !== false && quick !== thoroughly(octets, version)) {
        throw new Error(`${quick}, not ${thoroughly(octets, version)}: ${Buffer.from(octets).toString('hex')}`)
      }
    }
  }

  test('with every bit of every sample turned over', () => {
    for (const sample of samples) {
      for (let bit = 0; bit < sample.length * 8; bit++) {
        const octets = Uint8Array.from(sample)
        octets[bit >> 3] = (octets[bit >> 3] as number) ^ (0x80 >> (bit & 7))
        agree(octets)
      }
    }
  })

  test('with every octet of an entry with a reason set to every value', () => {
    const sample = entry(0x1234, reasonCode(1))
    for (let at = 0; at < sample.length; at++) {
      for (let value = 0; value < 256; value++) {
        const octets = Uint8Array.from(sample)
        octets[at] = value
        agree(octets)
      }
    }
  })

  test('cut off anywhere, and followed by anything', () => {
    for (const sample of samples) {
      for (let length = 0; length <= sample.length; length++) agree(sample.subarray(0, length))
      agree(concat(sample, [0xff, 0xff]))
    }
  })

  test('with any serial number, date and reason', () => {
    const digits = fc.array(fc.constantFrom(...'0123456789'), { minLength: 12, maxLength: 12 })
    const date = fc.oneof(
      digits.map((list) => `${list.join('')}Z`),
      fc
        .tuple(fc.nat(99), fc.nat(13), fc.nat(32), fc.nat(24), fc.nat(60), fc.nat(60))
        .map((numbers) => `${numbers.map((number) => String(number).padStart(2, '0')).join('')}Z`),
      fc.string({ minLength: 13, maxLength: 13 }),
    )
    const octets = fc.record({
      serial: fc.uint8Array({ maxLength: 23 }),
      date,
      extensions: fc.option(fc.nat(300).map((code) => seq(reasonCode(code)))),
    })
    let usual = 0
    fc.assert(
      fc.property(octets, ({ serial, date: text, extensions }) => {
        const sample = seq(tlv(2, serial), utcTime(text), ...(extensions ? [extensions] : []))
        agree(sample)
        if (typeof quickly(sample, 2) === 'number') usual++
      }),
      { numRuns: 5_000, interruptAfterTimeLimit: 15_000 },
    )
    expect(usual).toBeGreaterThan(20)
  })
})
