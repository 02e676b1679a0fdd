import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DerError } from '../../src/der/reader.js'
import { decodeString } from '../../src/x509/text.js'
import { hex, utf16 } from '../support/der-builder.js'

const tags = { utf8: 0x0c, numeric: 0x12, printable: 0x13, teletex: 0x14, ia5: 0x16, universal: 0x1c, bmp: 0x1e }
type Type = keyof typeof tags
const decode = (type: Type, octets: Uint8Array) => decodeString(tags[type], octets, 0, octets.length)

function reasonAgainst(type: Type, octets: Uint8Array): string | undefined {
  try {
    decode(type, octets)
    return undefined
  } catch (error) {
    if (error instanceof DerError) return error.message
    throw error
  }
}
const ascii = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))
const notUtf8 = 'UTF8String is not UTF-8 or holds NUL'
const notUtf16 = 'BMPString is malformed or holds NUL'

describe('character strings (X.690 §8.23)', () => {
  test.each<{ name: string; type: Type; given: Uint8Array; value: string }>([
    { name: 'UTF8String, ASCII', type: 'utf8', given: ascii('alice'), value: 'alice' },
    {
      name: 'UTF8String, two to four octets a character',
      type: 'utf8',
      given: hex('c3a4 e6849b f09d929c'),
      value: 'ä愛𝒜',
    },
    {
      name: 'UTF8String keeps a byte order mark: it is no other name without it',
      type: 'utf8',
      given: hex('efbbbf 61'),
      value: '\ufeffa',
    },
    { name: 'UTF8String, empty', type: 'utf8', given: hex(''), value: '' },
    { name: 'NumericString', type: 'numeric', given: ascii('0123 456789'), value: '0123 456789' },
    { name: 'PrintableString', type: 'printable', given: ascii("Az09 '()+,-./:=?"), value: "Az09 '()+,-./:=?" },
    { name: 'a PrintableString with @ is read', type: 'printable', given: ascii('a@b.example'), value: 'a@b.example' },
    { name: 'a PrintableString with * _ & is read', type: 'printable', given: ascii('*_&'), value: '*_&' },
    { name: 'IA5String with controls', type: 'ia5', given: hex('01 0a 7f'), value: '\u0001\n\u007f' },
    { name: 'TeletexString, visible ASCII', type: 'teletex', given: ascii('alice ~'), value: 'alice ~' },
    { name: 'BMPString', type: 'bmp', given: utf16('aä愛'), value: 'aä愛' },
    { name: 'BMPString with a surrogate pair', type: 'bmp', given: utf16('𝒜'), value: '𝒜' },
    { name: 'BMPString keeps a byte order mark', type: 'bmp', given: hex('feff 0061'), value: '\ufeffa' },
    { name: 'UniversalString', type: 'universal', given: hex('00000061 0001d49c'), value: 'a𝒜' },
  ])('$name', ({ type, given, value }) => {
    expect(decode(type, given)).toBe(value)
  })

  test.each<{ name: string; type: Type; given: Uint8Array; reason: string }>([
    { name: 'UTF8String with NUL', type: 'utf8', given: hex('610062'), reason: notUtf8 },
    { name: 'UTF8String with NUL among other scripts', type: 'utf8', given: hex('c3a400'), reason: notUtf8 },
    { name: 'overlong NUL (C0 80)', type: 'utf8', given: hex('c080'), reason: notUtf8 },
    { name: 'overlong slash (C0 AF)', type: 'utf8', given: hex('c0af'), reason: notUtf8 },
    { name: 'overlong slash (E0 80 AF)', type: 'utf8', given: hex('e080af'), reason: notUtf8 },
    { name: 'a surrogate in UTF-8', type: 'utf8', given: hex('eda080'), reason: notUtf8 },
    { name: 'a pair of surrogates in UTF-8 (CESU-8)', type: 'utf8', given: hex('eda0b5edb29c'), reason: notUtf8 },
    { name: 'a character beyond U+10FFFF', type: 'utf8', given: hex('f4908080'), reason: notUtf8 },
    { name: 'a cut character', type: 'utf8', given: hex('61c3'), reason: notUtf8 },
    { name: 'a continuation octet alone', type: 'utf8', given: hex('80'), reason: notUtf8 },
    { name: 'Latin-1 in UTF8String', type: 'utf8', given: hex('e4'), reason: notUtf8 },
    {
      name: 'a letter in NumericString',
      type: 'numeric',
      given: ascii('1a'),
      reason: 'NumericString holds an octet it may not',
    },
    {
      name: 'a quotation mark in PrintableString',
      type: 'printable',
      given: ascii('a"'),
      reason: 'PrintableString holds an octet it may not',
    },
    {
      name: 'a line feed in PrintableString',
      type: 'printable',
      given: ascii('a\n'),
      reason: 'PrintableString holds an octet it may not',
    },
    {
      name: 'an 8-bit character in PrintableString',
      type: 'printable',
      given: hex('e4'),
      reason: 'PrintableString holds an octet it may not',
    },
    {
      name: 'NUL in PrintableString',
      type: 'printable',
      given: hex('6100'),
      reason: 'PrintableString holds an octet it may not',
    },
    {
      name: 'an 8-bit character in IA5String',
      type: 'ia5',
      given: hex('80'),
      reason: 'IA5String holds an octet it may not',
    },
    { name: 'NUL in IA5String', type: 'ia5', given: hex('6100'), reason: 'IA5String holds an octet it may not' },
    { name: 'NUL in BMPString', type: 'bmp', given: hex('00610000'), reason: notUtf16 },
    { name: 'half a character of BMPString', type: 'bmp', given: hex('006100'), reason: notUtf16 },
    { name: 'half a surrogate pair in BMPString', type: 'bmp', given: hex('d835'), reason: notUtf16 },
    { name: 'a surrogate pair the wrong way round', type: 'bmp', given: hex('dc9cd835'), reason: notUtf16 },
    {
      name: 'UniversalString of five octets',
      type: 'universal',
      given: hex('0000006100'),
      reason: 'UniversalString is not a multiple of four octets',
    },
    {
      name: 'UniversalString beyond U+10FFFF',
      type: 'universal',
      given: hex('00110000'),
      reason: 'UniversalString holds what is not a character',
    },
    {
      name: 'UniversalString of FF, which is -1',
      type: 'universal',
      given: hex('ffffffff'),
      reason: 'UniversalString holds what is not a character',
    },
    {
      name: 'UniversalString with the top bit set',
      type: 'universal',
      given: hex('80000061'),
      reason: 'UniversalString holds what is not a character',
    },
    {
      name: 'a surrogate in UniversalString',
      type: 'universal',
      given: hex('0000d800'),
      reason: 'UniversalString holds what is not a character',
    },
    { name: 'NUL in UniversalString', type: 'universal', given: hex('00000000'), reason: 'string holds NUL' },
  ])('$name is refused', ({ type, given, reason }) => {
    expect(reasonAgainst(type, given)).toBe(reason)
  })

  test('a TeletexString outside visible ASCII has no agreed meaning, and no text', () => {
    for (const given of [hex('e4'), hex('1b'), hex('00'), hex('7f')]) expect(decode('teletex', given)).toBeUndefined()
  })

  test('PrintableString: exactly 78 octets are allowed', () => {
    const allowed = Array.from({ length: 256 }, (_, octet) => octet).filter(
      (octet) => reasonAgainst('printable', Uint8Array.of(octet)) === undefined,
    )
    expect(String.fromCharCode(...allowed)).toBe(
      " &'()*+,-./0123456789:=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
    )
  })

  test('a refused string leaves nothing behind in the decoder for the next', () => {
    for (const [type, bad, good] of [
      ['bmp', hex('006100'), utf16('愛b')],
      ['bmp', hex('d835'), utf16('愛b')],
      ['utf8', hex('e684'), Buffer.from('愛b')],
      ['utf8', hex('c3'), hex('c3a4')],
    ] as const) {
      const value = decode(type, good)
      for (let i = 0; i < 3; i++) {
        expect(reasonAgainst(type, bad)).toBeDefined()
        expect(decode(type, good)).toBe(value)
      }
    }
  })

  test('short and long strings are decoded alike: 48 and 49 octets', () => {
    for (const length of [0, 1, 47, 48, 49, 1000])
      expect(decode('ia5', ascii('x'.repeat(length)))).toBe('x'.repeat(length))
  })

  test('whatever the octets: a text without NUL that encodes to the same octets, or none', () => {
    const encode: Record<Type, (text: string) => Uint8Array> = {
      utf8: (text) => Buffer.from(text),
      numeric: ascii,
      printable: ascii,
      teletex: ascii,
      ia5: ascii,
      bmp: utf16,
      universal: (text) =>
        hex([...text].map((c) => (c.codePointAt(0) as number).toString(16).padStart(8, '0')).join('')),
    }
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(tags) as Type[])),
        fc.uint8Array({ maxLength: 12 }),
        (type, octets) => {
          if (reasonAgainst(type, octets) !== undefined) return
          const text = decode(type, octets)
          if (text === undefined) return
          expect(text).not.toContain('\0')
          expect([...encode[type](text)]).toEqual([...octets])
        },
      ),
      { numRuns: 3000 },
    )
  })
})
