import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DerError, DerReader, explicit, implicit } from '../../src/der/reader.js'
import { checkWellFormed } from '../../src/der/well-formed.js'
import { limits } from '../../src/limits.js'
import {
  bitString,
  boolean,
  concat,
  hex,
  integer,
  integerOctets,
  octetString,
  seq,
  tlv,
} from '../support/der-builder.js'

/** The reason a reader gives; undefined where it is content. Whatever is no DerError is thrown on. */
function reasonAgainst(read: () => unknown): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (error instanceof DerError) return error.message
    throw error
  }
}

const whole = (bytes: Uint8Array) => {
  const reader = new DerReader(bytes)
  reader.next()
  reader.finish()
  return reader
}

describe('length octets are definite and minimal (X.690 §10.1)', () => {
  const content = (length: number) => new Uint8Array(length)
  const accepted = [
    { name: '0', given: hex('0400') },
    { name: '127 in one octet', given: concat([4, 0x7f], content(127)) },
    { name: '128 in two octets', given: concat([4, 0x81, 0x80], content(128)) },
    { name: '255 in two octets', given: concat([4, 0x81, 0xff], content(255)) },
    { name: '256 in three octets', given: concat([4, 0x82, 1, 0], content(256)) },
    { name: '65,536 in four octets', given: concat([4, 0x83, 1, 0, 0], content(65_536)) },
    { name: '2^24 in five octets', given: concat([4, 0x84, 1, 0, 0, 0], content(0x1000000)) },
  ]
  test.each(accepted)('$name is read', ({ given }) => {
    const reader = whole(given)
    expect(reader.end).toBe(given.length)
  })

  const refused = [
    { name: 'indefinite length, closed', given: hex('3080 0000'), reason: 'indefinite length' },
    { name: 'indefinite length of a primitive', given: hex('0480 0000'), reason: 'indefinite length' },
    { name: '127 in two octets', given: concat([4, 0x81, 0x7f], content(127)), reason: 'length is not minimal' },
    { name: '0 in two octets', given: hex('048100'), reason: 'length is not minimal' },
    {
      name: '128 with a leading zero',
      given: concat([4, 0x82, 0, 0x80], content(128)),
      reason: 'length is not minimal',
    },
    { name: '255 in three octets', given: concat([4, 0x82, 0, 0xff], content(255)), reason: 'length is not minimal' },
    { name: '256 in four octets', given: concat([4, 0x83, 0, 1, 0], content(256)), reason: 'length is not minimal' },
    { name: '2^31', given: hex('0484 80000000 00'), reason: 'element is longer than what holds it' },
    { name: '2^31 - 1', given: hex('0484 7fffffff 00'), reason: 'element is longer than what holds it' },
    { name: '2^32 - 1', given: hex('0484 ffffffff 00'), reason: 'element is longer than what holds it' },
    { name: '2^32', given: hex('0485 0100000000 00'), reason: 'length is too large' },
    { name: '2^32 + 1, which would be 1 in 32 bits', given: hex('0485 0100000001 00'), reason: 'length is too large' },
    { name: '2^64 - 1', given: hex('0488 ffffffffffffffff 00'), reason: 'length is too large' },
    { name: '2^64 + 1', given: hex('0489 010000000000000001 00'), reason: 'length is too large' },
    { name: 'five octets that say 1', given: hex('0485 0000000001 00'), reason: 'length is too large' },
    { name: 'the reserved octet FF', given: hex('04ff 01'), reason: 'length is too large' },
    { name: 'length octets that are cut off', given: hex('048201'), reason: 'element is cut off' },
    { name: 'an identifier and nothing else', given: hex('04'), reason: 'element is cut off' },
    { name: 'nothing at all', given: hex(''), reason: 'element is cut off' },
    { name: 'one octet more than there is', given: hex('0402 00'), reason: 'element is longer than what holds it' },
  ]
  test.each(refused)('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(() => whole(given))).toBe(reason)
  })

  test('every length below 2^16 has exactly one spelling that is read', () => {
    const bytes = new Uint8Array(70_000)
    let read = 0
    for (let length = 0; length < 0x10000; length += 1 + (length % 37)) {
      const spellings = [
        [length],
        [0x81, length],
        [0x82, length >> 8, length & 0xff],
        [0x83, 0, length >> 8, length & 0xff],
      ]
      const legal = spellings.filter((spelling) => {
        if (spelling.some((octet) => octet > 0xff) || (spelling.length === 1 && length > 0x7f)) return false
        bytes.set([4, ...spelling])
        const reader = new DerReader(bytes, 0, 1 + spelling.length + length)
        return reasonAgainst(() => reader.next()) === undefined && reader.end - reader.start === length
      })
      expect(legal).toHaveLength(1)
      read++
    }
    expect(read).toBeGreaterThan(1000)
  })

  test('an element may fill what holds it, and not reach one octet into its neighbour', () => {
    const inside = (length: number) => {
      const outer = new DerReader(concat(tlv(0x30, concat([4, length], [1, 2])), [9, 9, 9]))
      const inner = outer.enter()
      return reasonAgainst(() => inner.next())
    }
    expect(inside(2)).toBeUndefined()
    expect(inside(3)).toBe('element is longer than what holds it')
  })
})

describe('tags', () => {
  test('the highest low tag number is read, a high tag number is not', () => {
    expect(reasonAgainst(() => whole(hex('1e00')))).toBeUndefined()
    expect(reasonAgainst(() => whole(hex('1f1e00')))).toBe('high tag number')
  })

  test.each([
    { name: 'universal, long form of 2', given: hex('1f0201 01') },
    { name: 'context-specific, 31', given: hex('9f1f00') },
    { name: 'constructed application, 147 bits', given: concat([0x7f], new Array(21).fill(0xff), [0x7f, 0]) },
    { name: 'private, never ending', given: new Uint8Array(1000).fill(0xff) },
  ])('high tag number: $name is refused', ({ given }) => {
    expect(reasonAgainst(() => whole(given))).toBe('high tag number')
  })

  test('an element with the tag asked for is read, one with another is refused with both named', () => {
    expect(reasonAgainst(() => new DerReader(hex('020101')).expect(2))).toBeUndefined()
    expect(reasonAgainst(() => new DerReader(hex('0a0101')).expect(2))).toBe('expected tag 0x02, found 0x0a')
  })

  test('primitive and constructed forms of one tag are two tags', () => {
    expect(reasonAgainst(() => new DerReader(octetString([1])).octetString())).toBeUndefined()
    expect(reasonAgainst(() => new DerReader(tlv(0x24, octetString([1]))).octetString())).toBe(
      'expected tag 0x04, found 0x24',
    )
    expect(reasonAgainst(() => new DerReader(hex('a000')).expect(explicit(0)))).toBeUndefined()
    expect(reasonAgainst(() => new DerReader(hex('a000')).expect(implicit(0)))).toBe('expected tag 0x80, found 0xa0')
  })
})

describe('trailing octets', () => {
  test('finish is content at the end and at no other place', () => {
    const both = new DerReader(hex('0500 0500'))
    both.null()
    expect(reasonAgainst(() => both.finish())).toBe('unexpected element or trailing octets')
    both.null()
    expect(reasonAgainst(() => both.finish())).toBeUndefined()
  })

  test('peek says -1 at the end, never an octet of what follows', () => {
    const outer = new DerReader(hex('3000 05'))
    expect(outer.enter().peek()).toBe(-1)
    expect(outer.peek()).toBe(5)
  })

  test('a cursor cannot be led beyond its end', () => {
    const inner = new DerReader(hex('3000 0500')).enter()
    expect(reasonAgainst(() => inner.next())).toBe('element is cut off')
  })

  test('where it is wrong is said as an offset into the whole', () => {
    const reader = new DerReader(seq(seq(hex('01 01 01'))))
    expect(() => reader.enter().enter().boolean()).toThrow(expect.objectContaining({ offset: 6 }))
  })
})

describe('BOOLEAN (X.690 §11.1)', () => {
  const read = (bytes: Uint8Array) => new DerReader(bytes).boolean()

  test('FF is true, 00 is false', () => {
    expect(read(boolean(0xff))).toBe(true)
    expect(read(boolean(0))).toBe(false)
  })

  test('no other octet is a BOOLEAN', () => {
    for (let octet = 1; octet < 0xff; octet++) {
      expect(reasonAgainst(() => read(boolean(octet)))).toBe('BOOLEAN is neither 00 nor FF')
    }
  })

  test.each([
    { name: 'empty', given: hex('0100') },
    { name: 'empty, with FF after it', given: hex('0100ff') },
    { name: 'of two octets', given: hex('0102ffff') },
  ])('a BOOLEAN $name is refused', ({ given }) => {
    expect(reasonAgainst(() => read(given))).toBe('BOOLEAN is neither 00 nor FF')
  })
})

describe('INTEGER (X.690 §8.3)', () => {
  const read = (bytes: Uint8Array) => new DerReader(bytes).integer()

  test.each([
    { name: '0', given: '00', twin: '0000' },
    { name: '127', given: '7f', twin: '007f' },
    { name: '128', given: '0080', twin: '000080' },
    { name: '256', given: '0100', twin: '000100' },
    { name: '-1', given: 'ff', twin: 'ffff' },
    { name: '-128', given: '80', twin: 'ff80' },
    { name: '-129', given: 'ff7f', twin: 'ffff7f' },
  ])('$name is read; with one octet too many it is refused', ({ given, twin }) => {
    expect(read(tlv(2, hex(given)))).toEqual(hex(given))
    expect(reasonAgainst(() => read(tlv(2, hex(twin))))).toBe('INTEGER is not minimal')
  })

  test('an empty INTEGER is refused, also where an octet follows it', () => {
    expect(reasonAgainst(() => read(hex('0200')))).toBe('INTEGER is empty')
    expect(reasonAgainst(() => read(hex('020001')))).toBe('INTEGER is empty')
    expect(reasonAgainst(() => new DerReader(hex('020001')).nonNegative())).toBe('INTEGER is empty')
  })

  test.each([
    { name: '0', given: 0n, value: 0 },
    { name: '128', given: 128n, value: 128 },
    { name: '2^31', given: 2n ** 31n, value: 2 ** 31 },
    { name: '2^32', given: 2n ** 32n, value: 2 ** 32 },
    { name: '2^53 - 1', given: 2n ** 53n - 1n, value: 2 ** 53 - 1 },
    { name: '2^53: not a number one can count with', given: 2n ** 53n, value: Number.POSITIVE_INFINITY },
    { name: '2^53 + 1', given: 2n ** 53n + 1n, value: Number.POSITIVE_INFINITY },
    { name: '2^64, which would be 0 in 64 bits', given: 2n ** 64n, value: Number.POSITIVE_INFINITY },
    { name: '2^72 + 2, which would be 2', given: 2n ** 72n + 2n, value: Number.POSITIVE_INFINITY },
    { name: '2^80000', given: 2n ** 80_000n, value: Number.POSITIVE_INFINITY },
  ])('as a number: $name never comes out smaller', ({ given, value }) => {
    expect(new DerReader(integer(given)).nonNegative()).toBe(value)
  })

  test('as a number: a negative one is refused', () => {
    for (const given of [-1n, -128n, -129n, -(2n ** 64n)]) {
      expect(reasonAgainst(() => new DerReader(integer(given)).nonNegative())).toBe('INTEGER is negative')
    }
  })

  test('every INTEGER survives its encoding, and no longer encoding of it is read', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), (value) => {
        const octets = integerOctets(value)
        expect([...read(tlv(2, octets))]).toEqual(octets)
        const padded = [value < 0n ? 0xff : 0, ...octets]
        expect(reasonAgainst(() => read(tlv(2, padded)))).toBe('INTEGER is not minimal')
      }),
      { numRuns: 500 },
    )
  })
})

describe('NULL, OCTET STRING, BIT STRING', () => {
  test('NULL is empty', () => {
    expect(reasonAgainst(() => new DerReader(hex('0500')).null())).toBeUndefined()
    expect(reasonAgainst(() => new DerReader(hex('050100')).null())).toBe('NULL is not empty')
  })

  test('octets of a BIT STRING are read when it has whole octets, and refused otherwise', () => {
    const read = (bytes: Uint8Array) => new DerReader(bytes).bitStringOctets()
    expect(read(bitString(0, [1, 2]))).toEqual(hex('0102'))
    expect(read(bitString(0))).toEqual(hex(''))
    for (const given of [hex('0300'), bitString(1, [2]), bitString(7, [0x80]), bitString(8, [0]), bitString(9, [0])]) {
      expect(reasonAgainst(() => read(given))).toBe('BIT STRING is not whole octets')
    }
    expect(reasonAgainst(() => read(tlv(0x23, bitString(0, [1]))))).toBe('expected tag 0x03, found 0x23')
  })

  const bits = (bytes: Uint8Array) => new DerReader(bytes).namedBits()

  test.each([
    { name: 'no bit', given: hex('030100'), value: 0 },
    { name: 'bit 0', given: hex('03020780'), value: 1 },
    { name: 'bit 7', given: hex('03020001'), value: 1 << 7 },
    { name: 'bits 5 and 6', given: hex('03020106'), value: 0b1100000 },
    { name: 'bit 8, in a second octet', given: hex('0303070080'), value: 1 << 8 },
    { name: 'bits 0 and 8', given: hex('0303078080'), value: (1 << 8) | 1 },
    { name: 'bit 23, the last there is room for', given: hex('030400000001'), value: 1 << 23 },
  ])('a named bit list: $name', ({ given, value }) => {
    expect(bits(given)).toBe(value)
  })

  const untidy = 'BIT STRING has trailing zero bits or set unused bits'
  test.each([
    { name: 'bit 0 with a trailing zero bit', given: hex('03020680'), reason: untidy },
    { name: 'bit 0 with an octet of zeros', given: hex('0303008000'), reason: untidy },
    { name: 'an unused bit that is set', given: hex('03020781'), reason: untidy },
    { name: 'no bit, in one octet', given: hex('03020000'), reason: untidy },
    { name: 'unused bits of nothing', given: hex('030107'), reason: 'BIT STRING is malformed' },
    { name: 'eight unused bits', given: hex('03020880'), reason: 'BIT STRING is malformed' },
    { name: '255 unused bits', given: hex('0302ff80'), reason: 'BIT STRING is malformed' },
    { name: 'no contents', given: hex('0300'), reason: 'BIT STRING is malformed' },
    { name: 'no contents, with good ones after it', given: hex('0300 0780'), reason: 'BIT STRING is malformed' },
    { name: 'four octets', given: hex('03050000000001'), reason: 'BIT STRING is malformed' },
  ])('a named bit list: $name is refused', ({ given, reason }) => {
    expect(reasonAgainst(() => bits(given))).toBe(reason)
  })

  test('no two spellings of a named bit list mean the same bits', () => {
    const seen = new Set<number>()
    for (let unused = 0; unused < 8; unused++) {
      for (let octet = 0; octet < 256; octet++) {
        for (const bytes of [bitString(unused, [octet]), bitString(unused, [0x80, octet])]) {
          if (reasonAgainst(() => bits(bytes)) !== undefined) continue
          const value = bits(bytes)
          expect(seen.has(value)).toBe(false)
          seen.add(value)
        }
      }
    }
    expect(seen.size).toBe(255 + 255)
  })
})

describe('depth', () => {
  /** `levels` SEQUENCEs, one in the other. */
  function nested(levels: number): Uint8Array {
    let bytes: Uint8Array = new Uint8Array(0)
    for (let i = 0; i < levels; i++) bytes = seq(bytes)
    return bytes
  }
  /** 100,000 levels in linear time: lengths are written from the inside. */
  function deeplyNested(levels: number, inner: Uint8Array): Uint8Array {
    const headers: number[][] = []
    for (let i = 0, length = inner.length; i < levels; i++) {
      const octets =
        length < 0x80
          ? [length]
          : length < 0x100
            ? [0x81, length]
            : length < 0x10000
              ? [0x82, length >> 8, length & 255]
              : [0x83, length >> 16, (length >> 8) & 255, length & 255]
      headers.push([0x30, ...octets])
      length += 1 + octets.length
    }
    return concat(headers.reverse().flat(), inner)
  }
  const descend = (levels: number) => {
    let reader = new DerReader(nested(levels))
    for (let i = 0; i < levels; i++) reader = reader.enter()
  }

  test('derDepth levels are entered, one more is refused', () => {
    expect(reasonAgainst(() => descend(limits.derDepth))).toBeUndefined()
    expect(reasonAgainst(() => descend(limits.derDepth + 1))).toBe('nesting is too deep')
  })

  test('a value of unknown type may have derDepth levels, not one more', () => {
    expect(reasonAgainst(() => checkWellFormed(nested(limits.derDepth)))).toBeUndefined()
    expect(reasonAgainst(() => checkWellFormed(nested(limits.derDepth + 1)))).toBe('nesting is too deep')
  })

  test('100,000 levels are refused without recursion and without a walk of all of them', () => {
    const bomb = deeplyNested(100_000, hex('0500'))
    const started = performance.now()
    expect(reasonAgainst(() => checkWellFormed(bomb))).toBe('nesting is too deep')
    expect(performance.now() - started).toBeLessThan(1000)
  })

  test('100,000 siblings are read: breadth is bounded by octets, not by depth', () => {
    const wide = seq(new Uint8Array(100_000).map((_, i) => (i % 2 === 0 ? 0x05 : 0)))
    expect(reasonAgainst(() => checkWellFormed(wide))).toBeUndefined()
    expect(reasonAgainst(() => checkWellFormed(seq(wide, [5])))).toBe('element is cut off')
  })

  test('a value of unknown type is checked to its leaves', () => {
    expect(reasonAgainst(() => checkWellFormed(seq(seq(hex('0400')))))).toBeUndefined()
    expect(reasonAgainst(() => checkWellFormed(seq(seq(hex('048100')))))).toBe('length is not minimal')
    expect(reasonAgainst(() => checkWellFormed(seq(seq(hex('3080 0000')))))).toBe('indefinite length')
  })

  test.each([
    { what: 'an OCTET STRING', der: '0401 61', pieces: '2403 040161' },
    { what: 'a UTF8String', der: '0c01 61', pieces: '2c03 0c0161' },
    { what: 'a BIT STRING', der: '0302 0780', pieces: '2304 03020780' },
    { what: 'a GeneralizedTime', der: '1801 30', pieces: '3803 180130' },
  ])('$what is read in a value of unknown type, in pieces it is not (X.690 §10.2)', ({ der, pieces }) => {
    expect(reasonAgainst(() => checkWellFormed(seq(hex(der))))).toBeUndefined()
    expect(reasonAgainst(() => checkWellFormed(seq(hex(pieces))))).toMatch(/^tag 0x\w\w occurs in no DER$/)
  })

  test.each([
    { what: 'a BOOLEAN', der: '0101 ff', not: '0101 01', reason: 'BOOLEAN is neither 00 nor FF' },
    { what: 'an INTEGER', der: '0202 0080', not: '0202 0001', reason: 'INTEGER is not minimal' },
    { what: 'an ENUMERATED', der: '0a01 01', not: '0a00', reason: 'INTEGER is empty' },
    { what: 'a BIT STRING', der: '0302 0308', not: '0300', reason: 'BIT STRING is malformed' },
    {
      what: 'the unused bits of a BIT STRING',
      der: '0302 0310',
      not: '0302 0510',
      reason: 'BIT STRING has set unused bits',
    },
    { what: 'NULL', der: '0500', not: '0501 00', reason: 'NULL is not empty' },
    { what: 'a SEQUENCE', der: '3000', not: '1000', reason: 'tag 0x10 occurs in no DER' },
    { what: 'a tag', der: '8000', not: '0000', reason: 'tag 0x00 occurs in no DER' },
  ])('$what in a value of unknown type is what X.690 says', ({ der, not, reason }) => {
    expect(reasonAgainst(() => checkWellFormed(seq(hex(der))))).toBeUndefined()
    expect(reasonAgainst(() => checkWellFormed(seq(hex(not))))).toBe(reason)
  })
})

test('whatever the octets, the reader says DerError or answers within them', () => {
  const methods = [
    'next',
    'boolean',
    'integer',
    'nonNegative',
    'oid',
    'octetString',
    'bitStringOctets',
    'namedBits',
    'null',
    'time',
    'enter',
  ] as const
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.constantFrom(...methods), { maxLength: 8 }),
      (bytes, calls) => {
        let reader = new DerReader(bytes)
        reasonAgainst(() => {
          for (const call of calls) {
            const result = reader[call]()
            expect(reader.end).toBeLessThanOrEqual(bytes.length)
            if (result instanceof DerReader) reader = result
          }
        })
        reasonAgainst(() => checkWellFormed(bytes))
      },
    ),
    { numRuns: 2000 },
  )
})
