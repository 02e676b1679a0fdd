import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { slotOf } from '../../src/der/octet-memory.js'
import { decodeOid } from '../../src/der/oid.js'
import { DerError, DerReader } from '../../src/der/reader.js'
import { limits } from '../../src/limits.js'
import { attributeTypes, oid as knownOids } from '../../src/x509/oid.js'
import { hex, oidOctets, tlv } from '../support/der-builder.js'

const read = (octets: readonly number[] | Uint8Array) => new DerReader(tlv(6, octets)).oid()

function reasonAgainst(octets: readonly number[] | Uint8Array): string | undefined {
  try {
    read(octets)
    return undefined
  } catch (error) {
    if (error instanceof DerError) return error.message
    throw error
  }
}

describe('OBJECT IDENTIFIER (X.690 §8.19)', () => {
  test.each([
    { name: 'the least', given: '00', value: '0.0' },
    { name: '0.39', given: '27', value: '0.39' },
    { name: '1.0, one more', given: '28', value: '1.0' },
    { name: '1.39', given: '4f', value: '1.39' },
    { name: '2.0, one more', given: '50', value: '2.0' },
    { name: '2.39', given: '77', value: '2.39' },
    { name: '2.47', given: '7f', value: '2.47' },
    { name: '2.48, in two octets', given: '8100', value: '2.48' },
    { name: '2.999', given: '8837', value: '2.999' },
    { name: 'basicConstraints', given: '551d13', value: '2.5.29.19' },
    { name: 'an arc of 2^28 - 1, the last in four octets', given: '55ffffff7f', value: `2.5.${2 ** 28 - 1}` },
    { name: 'an arc of 2^28, the first in five', given: '558180808000', value: `2.5.${2 ** 28}` },
    { name: 'an arc of 2^31', given: '558880808000', value: `2.5.${2 ** 31}` },
    { name: 'an arc of 2^32 + 19', given: '559080808013', value: `2.5.${2 ** 32 + 19}` },
    { name: 'a small arc after a wide one', given: '55908080801303', value: `2.5.${2 ** 32 + 19}.3` },
    { name: 'an arc of 2^53 + 1', given: '559080808080808001', value: '2.5.9007199254740993' },
    { name: 'an arc of 2^64', given: '5582808080808080808000', value: '2.5.18446744073709551616' },
    { name: 'a first subidentifier of 63 bits', given: 'ffffffffffffffff7f', value: `2.${2n ** 63n - 1n - 80n}` },
  ])('$name', ({ given, value }) => {
    expect(read(hex(given))).toBe(value)
  })

  test.each([
    { name: 'no octets', given: '', reason: 'OBJECT IDENTIFIER is empty' },
    {
      name: 'basicConstraints, its last arc padded with 80',
      given: '551d8013',
      reason: 'OBJECT IDENTIFIER arc is not minimal',
    },
    {
      name: 'basicConstraints, its first arc padded with 80',
      given: '80551d13',
      reason: 'OBJECT IDENTIFIER arc is not minimal',
    },
    { name: 'a wide arc padded with 80', given: '5580908080801303', reason: 'OBJECT IDENTIFIER arc is not minimal' },
    { name: '80 alone', given: '80', reason: 'OBJECT IDENTIFIER ends inside an arc' },
    { name: 'an arc without an end', given: '551d93', reason: 'OBJECT IDENTIFIER ends inside an arc' },
    { name: 'a wide arc without an end', given: '55ffffffffffff', reason: 'OBJECT IDENTIFIER ends inside an arc' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(hex(given))).toBe(reason)
  })

  test('a missing end is not looked for in the next element', () => {
    expect(() => new DerReader(hex('0603 551d93 13')).oid()).toThrow('ends inside an arc')
  })

  test('an identifier may have oidBytes octets, not one more', () => {
    const arcs = (octets: number) => new Array<number>(octets).fill(1)
    expect(read(arcs(limits.oidBytes))).toBe(`0${'.1'.repeat(limits.oidBytes)}`)
    expect(reasonAgainst(arcs(limits.oidBytes + 1))).toBe('OBJECT IDENTIFIER is too long')
  })

  test('one arc as wide as is allowed is exact', () => {
    const arc = 2n ** BigInt(7 * (limits.oidBytes - 1)) - 1n
    expect(read(oidOctets(`2.5.${arc}`))).toBe(`2.5.${arc}`)
  })

  test('no arc is taken modulo a machine word: unlike 2^n + 19, only 19 is basicConstraints', () => {
    expect(read(oidOctets('2.5.29.19'))).toBe(knownOids.basicConstraints)
    for (const n of [7n, 8n, 14n, 16n, 21n, 24n, 28n, 31n, 32n, 35n, 48n, 53n, 56n, 63n, 64n, 128n]) {
      expect(read(oidOctets(`2.5.29.${2n ** n + 19n}`))).toBe(`2.5.29.${2n ** n + 19n}`)
    }
  })

  test('what Node, OpenSSL and we know by name decodes to that name', () => {
    for (const known of Object.values(knownOids)) expect(read(oidOctets(known))).toBe(known)
  })
})

/** The definition, octet by octet, without any memory. */
function reference(octets: readonly number[]): string | undefined {
  const arcs: bigint[] = []
  let arc: bigint | undefined
  for (const octet of octets) {
    if (arc === undefined && octet === 0x80) return undefined
    arc = ((arc ?? 0n) << 7n) | BigInt(octet & 0x7f)
    if (octet >= 0x80) continue
    arcs.push(arc)
    arc = undefined
  }
  if (arc !== undefined || arcs.length === 0) return undefined
  const [first, ...rest] = arcs as [bigint, ...bigint[]]
  const top = first < 40n ? 0n : first < 80n ? 1n : 2n
  return [top, first - top * 40n, ...rest].join('.')
}

describe('the memory of identifiers', () => {
  // Few distinct octets and lengths around 16, so that slots are shared and evicted all the time.
  const octet = fc.oneof(fc.constantFrom(0, 1, 0x2a, 0x55, 0x7f, 0x80, 0x81, 0xff), fc.integer({ min: 0, max: 255 }))
  const octets = fc.array(octet, { maxLength: 20 })

  test('never confuses two identifiers: what it says is what the octets say, however often and in whatever order', () => {
    fc.assert(
      fc.property(fc.array(octets, { minLength: 1, maxLength: 30 }), (list) => {
        for (const given of [...list, ...list, ...list.toReversed()]) {
          const expected = reference(given)
          if (expected === undefined) expect(reasonAgainst(given)).toBeDefined()
          else expect(read(given)).toBe(expected)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('is injective: two spellings never give one text', () => {
    fc.assert(
      fc.property(octets, octets, (a, b) => {
        fc.pre(reference(a) !== undefined && reference(b) !== undefined)
        expect(read(a) === read(b)).toBe(Buffer.from(a).equals(Buffer.from(b)))
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    { name: 'Uint8Array', from: (octets: number[]) => Uint8Array.from(octets), last: '1.2.3.4.5.6' },
    { name: 'Buffer, whose slice is a view', from: (octets: number[]) => Buffer.from(octets), last: '1.2.3.4.5.60' },
  ])('keeps octets of its own: a caller that writes into its $name does not poison it', ({ from, last }) => {
    const buffer = from(oidOctets(last))
    expect(decodeOid(buffer, 0, buffer.length)).toBe(last)
    buffer[buffer.length - 1] = 7
    expect(decodeOid(buffer, 0, buffer.length)).toBe('1.2.3.4.5.7')
    expect(read(oidOctets(last))).toBe(last)
  })

  test('the identifiers of X.509 are all remembered at once', () => {
    const slots = [...Object.values(knownOids), ...attributeTypes.values()].map((identifier) => {
      const octets = Uint8Array.from(oidOctets(identifier))
      return slotOf(octets, 0, octets.length)
    })
    expect(new Set(slots).size).toBe(new Set([...Object.values(knownOids), ...attributeTypes.values()]).size)
  })

  test('does not remember a refusal as an answer', () => {
    for (let i = 0; i < 3; i++) expect(reasonAgainst([0x55, 0x80, 0x01])).toBe('OBJECT IDENTIFIER arc is not minimal')
  })

  test('10,000 identifiers through 1,024 slots are each read right, twice', () => {
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 10_000; i++) {
        const text = `1.3.6.1.4.1.${i}`
        if (read(oidOctets(text)) !== text) throw new Error(text)
      }
    }
  })
})
