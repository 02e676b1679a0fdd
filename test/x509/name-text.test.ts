import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DerError, DerReader } from '../../src/der/reader.js'
import { limits } from '../../src/limits.js'
import { DistinguishedName } from '../../src/x509/name.js'
import { attributeTypes } from '../../src/x509/oid.js'
import {
  attribute,
  bitString,
  boolean,
  CN,
  commonName,
  concat,
  ia5,
  name,
  nothing,
  O,
  OU,
  oid,
  parsed,
  printable,
  seq,
  set,
  sortedSet,
  text,
  tlv,
  utf8,
  utf16,
} from '../support/der-builder.js'

const read = (der: Uint8Array) => DistinguishedName.read(new DerReader(der))
const cn = (value: Uint8Array) => name([attribute(CN, value)])
const DC = '0.9.2342.19200300.100.1.25'

describe('a name as RFC 4514 text', () => {
  test.each([
    {
      name: 'the most specific comes first',
      given: name([attribute(O, utf8('Acme'))], [attribute(CN, utf8('alice'))]),
      as: 'CN=alice,O=Acme',
    },
    {
      name: 'attributes of one RDN are joined by +',
      given: name([attribute(CN, utf8('a')), attribute(OU, utf8('b'))]),
      as: 'CN=a+OU=b',
    },
    {
      name: 'RFC 4514 §4, the first example',
      given: name(
        [attribute(DC, ia5('net'))],
        [attribute(DC, ia5('example'))],
        [attribute('0.9.2342.19200300.100.1.1', utf8('jsmith'))],
      ),
      as: 'UID=jsmith,DC=example,DC=net',
    },
    { name: 'the empty name', given: name(), as: '' },
    { name: 'an empty value', given: commonName(''), as: 'CN=' },
    { name: 'a comma', given: commonName('x, O=Admin'), as: 'CN=x\\, O=Admin' },
    { name: 'a plus sign', given: commonName('x+OU=b'), as: 'CN=x\\+OU=b' },
    { name: 'a line feed', given: commonName('x\nO=Admin'), as: 'CN=x\\0AO=Admin' },
    {
      name: 'quotation mark, backslash, semicolon, angle brackets',
      given: commonName('"\\;<>'),
      as: 'CN=\\"\\\\\\;\\<\\>',
    },
    { name: 'a number sign first, not later', given: commonName('#04#'), as: 'CN=\\#04#' },
    { name: 'spaces at the ends', given: commonName('  a  '), as: 'CN=\\  a \\ ' },
    { name: 'one space', given: commonName(' '), as: 'CN=\\ ' },
    { name: 'two spaces', given: commonName('  '), as: 'CN=\\ \\ ' },
    { name: 'escape and DEL', given: commonName('\u001b[31m\u007f'), as: 'CN=\\1B[31m\\7F' },
    { name: 'a right-to-left override', given: commonName('a\u202eb'), as: 'CN=a\\E2\\80\\AEb' },
    { name: 'a line separator', given: commonName('a\u2028b'), as: 'CN=a\\E2\\80\\A8b' },
    { name: 'letters of any script', given: commonName('Алиса 愛'), as: 'CN=Алиса 愛' },
    { name: 'an unknown type in hexadecimal', given: name([attribute('1.2.3.4', utf8('a'))]), as: '1.2.3.4=#0c0161' },
    { name: 'a value that is no string in hexadecimal', given: cn(text(0x02, [5])), as: 'CN=#020105' },
    { name: 'BMPString in hexadecimal', given: cn(text(0x1e, utf16('a'))), as: 'CN=#1e020061' },
    { name: 'TeletexString in hexadecimal', given: cn(text(0x14, [0xe9])), as: 'CN=#1401e9' },
    {
      name: '__proto__',
      given: name([attribute(OU, utf8('constructor'))], [attribute(CN, utf8('__proto__'))]),
      as: 'CN=__proto__,OU=constructor',
    },
  ])('$name: $as', ({ given, as }) => {
    const value = read(given)
    expect(value.toString()).toBe(as)
    expect(JSON.stringify({ value })).toBe(JSON.stringify({ value: as }))
    expect(DistinguishedName.parse(as).equals(value)).toBe(true)
    expect(DistinguishedName.parse(as).toString()).toBe(as)
  })

  test('no text holds a control character, so that no log line is broken', () => {
    const everything = String.fromCodePoint(
      ...Array.from({ length: 0xa0 }, (_, i) => i + 1),
      0x2028,
      0x2029,
      0x202e,
      0x2066,
    )
    expect(read(commonName(everything)).toString()).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u)
  })

  test('every descriptor is read back as the type it is written for', () => {
    for (const [descriptor, type] of attributeTypes) {
      const given = read(name([attribute(type, utf8('x'))]))
      expect(given.toString()).toBe(`${descriptor}=x`)
      expect(given.get(descriptor)).toBe('x')
      for (const spelling of [descriptor.toLowerCase(), descriptor.toUpperCase(), type, `OID.${type}`, `oid.${type}`]) {
        expect(DistinguishedName.parse(`${spelling}=x`).equals(given)).toBe(true)
      }
    }
  })
})

describe('text as a name', () => {
  test.each([
    { name: 'spaces around separators', given: ' CN = alice , O = Acme ', as: 'CN=alice,O=Acme' },
    { name: 'semicolons (RFC 2253 §4)', given: 'CN=alice;O=Acme', as: 'CN=alice,O=Acme' },
    { name: 'a quoted value (RFC 2253 §4)', given: 'CN="a, b+c;d=e" ,O=x', as: 'CN=a\\, b\\+c\\;d=e,O=x' },
    { name: 'a quoted value keeps its spaces', given: 'CN=" a "', as: 'CN=\\ a\\ ' },
    { name: 'escapes inside quotation marks', given: 'CN="a\\"b\\\\"', as: 'CN=a\\"b\\\\' },
    { name: 'an escaped space at the end', given: 'CN=a\\ ,O=x', as: 'CN=a\\ ,O=x' },
    { name: 'unescaped spaces at the end', given: 'CN=a  ,O=x', as: 'CN=a,O=x' },
    { name: 'hexadecimal pairs of one character', given: 'CN=Lu\\C4\\8Di\\C4\\87', as: 'CN=Lučić' },
    { name: 'hexadecimal of a whole value', given: 'CN=#0c0161,O=x', as: 'CN=a,O=x' },
    { name: 'an equals sign in a value', given: 'CN=a=b', as: 'CN=a=b' },
    { name: 'an empty value between others', given: 'CN=,OU=,O=x', as: 'CN=,OU=,O=x' },
    { name: 'only spaces', given: '   ', as: '' },
    {
      name: 'aliases of openssl, .NET and Java',
      given: 'E=a@b,S=x,SURNAME=y,GN=z,T=t',
      as: 'emailAddress=a@b,ST=x,SN=y,givenName=z,title=t',
    },
  ])('$name', ({ given, as }) => {
    expect(DistinguishedName.parse(given).toString()).toBe(as)
  })

  test.each([
    { name: 'no equals sign', given: 'alice', reason: 'character 0: expected TYPE=value' },
    { name: 'an unknown type', given: 'XN=a', reason: 'unknown attribute type "XN"' },
    { name: 'a type that every object has', given: 'constructor=a', reason: 'unknown attribute type "constructor"' },
    { name: '__proto__ as a type', given: '__proto__=a', reason: 'unknown attribute type "__proto__"' },
    { name: 'an empty type', given: '=a', reason: 'unknown attribute type ""' },
    { name: 'an arc with a leading zero', given: '2.05.4.3=a', reason: 'unknown attribute type' },
    { name: 'a root arc of 3', given: '3.5=a', reason: 'unknown attribute type' },
    { name: 'a comma at the end', given: 'CN=a,', reason: 'character 5: expected TYPE=value' },
    { name: 'a plus sign at the end', given: 'CN=a+', reason: 'character 5: expected TYPE=value' },
    { name: 'two commas', given: 'CN=a,,O=b', reason: 'unknown attribute type ",O"' },
    { name: 'a bare quotation mark within', given: 'CN=a"b', reason: '" must be escaped' },
    { name: 'a bare angle bracket', given: 'CN=<a', reason: '< must be escaped' },
    { name: 'a quotation mark without its other', given: 'CN="a', reason: 'unclosed quotation mark' },
    { name: 'text after a quoted value', given: 'CN="a"b', reason: 'unexpected "b"' },
    { name: 'a backslash at the end', given: 'CN=a\\', reason: 'bad escape' },
    { name: 'a backslash before a letter', given: 'CN=\\x', reason: 'bad escape' },
    { name: 'a backslash and one hexadecimal digit', given: 'CN=\\a', reason: 'bad escape' },
    { name: 'NUL as hexadecimal', given: 'CN=a\\00b', reason: 'UTF8String is not UTF-8 or holds NUL' },
    { name: 'NUL itself', given: 'CN=a\0b', reason: 'UTF8String is not UTF-8 or holds NUL' },
    { name: 'octets that are not UTF-8', given: 'CN=\\FF', reason: 'UTF8String is not UTF-8 or holds NUL' },
    { name: 'an overlong slash', given: 'CN=\\C0\\AF', reason: 'UTF8String is not UTF-8 or holds NUL' },
    { name: 'no hexadecimal', given: 'CN=#', reason: 'expected hexadecimal octets' },
    { name: 'half an octet', given: 'CN=#0c016', reason: 'expected hexadecimal octets' },
    { name: 'hexadecimal and something else', given: 'CN=#0c0161x', reason: 'expected hexadecimal octets' },
    { name: 'hexadecimal that is cut off', given: 'CN=#0c0261', reason: 'not DER' },
    { name: 'hexadecimal of two values', given: 'CN=#0c01610c0162', reason: 'not DER' },
    { name: 'hexadecimal with a longer length than needed', given: 'CN=#0c810161', reason: 'not DER' },
    { name: 'hexadecimal of a constructed string', given: 'CN=#2c0161', reason: 'not DER' },
    { name: 'hexadecimal of a string with NUL', given: 'CN=#0c0100', reason: 'not DER' },
  ])('$name is refused', ({ given, reason }) => {
    expect(() => DistinguishedName.parse(given)).toThrow(SyntaxError)
    expect(() => DistinguishedName.parse(given)).toThrow(reason)
  })

  test('a lone surrogate is not taken for another character', () => {
    expect(() => DistinguishedName.parse('CN=\ud800')).toThrow(SyntaxError)
  })

  test('reversed is the other order, and its own inverse', () => {
    const given = DistinguishedName.parse('C=de,O=Acme,CN=a+OU=b')
    expect(given.reversed().toString()).toBe('CN=a+OU=b,O=Acme,C=de')
    expect(given.reversed().equals(given)).toBe(false)
    expect(given.reversed().reversed().equals(given)).toBe(true)
  })
})

// Round trip -------------------------------------------------------------------------------------------------------

const nasty = fc.constantFrom(
  ' ',
  '  ',
  '#',
  '"',
  '\\',
  ',',
  '+',
  ';',
  '=',
  '<',
  '>',
  '\n',
  '\r',
  '\u001b',
  '\u202e',
  'é',
  'e\u0301',
  'ß',
  'ı',
  '\u00ad',
  '\ufeff',
  '𝒜',
  'CN=',
  '\\41',
  '0c',
  '愛',
  '\uffff',
)
const anyText = fc
  .array(fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 3 }), fc.string({ maxLength: 6 })), { maxLength: 6 })
  .map((parts) => parts.join('').replace(/[\0\p{Cs}]/gu, ''))
const from = (alphabet: string) => fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 12 })
const utf32 = (value: string) =>
  concat(...[...value].map((c) => [0, ...Buffer.from((c.codePointAt(0) ?? 0).toString(16).padStart(6, '0'), 'hex')]))

const value = fc.oneof(
  anyText.map(utf8),
  from("ABCxyz019 '()+,-./:=?").map(printable),
  from('aB@#"\\,;+<>= \n\u007f').map(ia5),
  from('0123 ').map((digits) => text(0x12, digits)),
  fc.uint8Array({ maxLength: 8 }).map((octets) => text(0x14, octets)),
  anyText.map((chars) => text(0x1e, utf16(chars))),
  anyText.map((chars) => text(0x1c, utf32(chars))),
  fc.uint8Array({ maxLength: 8 }).map((octets) => text(0x04, octets)),
  fc.uint8Array({ minLength: 130, maxLength: 300 }).map((octets) => text(0x04, octets)),
  fc.bigInt().map((number) => seq(text(0x02, [Number(BigInt.asUintN(7, number))]))),
)
const type = fc.oneof(
  fc.constantFrom(...attributeTypes.values()),
  fc.constantFrom('2.5.4.999', '1.2.840.113549.1.9.2', '0.0', '2.5.4.18446744073709551616'),
)
const anyName = fc
  .array(fc.array(fc.tuple(type, value), { minLength: 1, maxLength: 3 }), { maxLength: 4 })
  .map((rdns) => name(...rdns.map((rdn) => rdn.map(([identifier, content]) => attribute(identifier, content)))))

describe('round trip', () => {
  test('the text of every name, of whatever string types and RDNs, parses to an equal name', () => {
    fc.assert(
      fc.property(anyName, (der) => {
        const given = read(der)
        const written = given.toString()
        const back = DistinguishedName.parse(written)
        expect(back.equals(given)).toBe(true)
        expect(back.toString()).toBe(written)
        expect(back.rdns.map((rdn) => rdn.map(({ value }) => value))).toEqual(
          given.rdns.map((rdn) => rdn.map(({ value }) => value)),
        )
      }),
      { numRuns: 2000 },
    )
  })

  test('different names have different texts, unless §7.1 makes them one', () => {
    fc.assert(
      fc.property(anyName, anyName, (a, b) => {
        const [x, y] = [read(a), read(b)]
        if (x.toString() === y.toString()) expect(x.equals(y)).toBe(true)
        if (!x.equals(y)) expect(x.toString()).not.toBe(y.toString())
      }),
      { numRuns: 1000 },
    )
  })

  test('two names with one attribute changed are not equal', () => {
    fc.assert(
      fc.property(fc.array(from('abc,+ "'), { minLength: 1, maxLength: 4 }), fc.nat(), (values, at) => {
        const other = values.with(at % values.length, `${values[at % values.length]}x`)
        const [x, y] = [values, other].map((list) => read(name(...list.map((item) => [attribute(OU, utf8(item))]))))
        expect(x?.equals(y as DistinguishedName)).toBe(false)
        expect(x?.toString()).not.toBe(y?.toString())
      }),
      { numRuns: 500 },
    )
  })

  const syntax = fc.constantFrom(
    'CN=',
    'O=',
    'x',
    ',',
    '+',
    ';',
    '=',
    '#',
    '#0c0161',
    '"',
    '\\',
    '\\41',
    '\\ ',
    ' ',
    '<',
    '\0',
    '2.5.4.3',
    'OID.',
    'é',
    '\ud800',
    '\n',
  )
  test('DistinguishedName.parse of whatever text says SyntaxError or makes a name whose text is stable', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(syntax, { maxLength: 12 }).map((parts) => parts.join('')),
          fc.string({ maxLength: 40 }),
        ),
        (given) => {
          let parsedName: DistinguishedName
          try {
            parsedName = DistinguishedName.parse(given)
          } catch (error) {
            expect(error).toBeInstanceOf(SyntaxError)
            return
          }
          const again = DistinguishedName.parse(parsedName.toString())
          expect(again.toString()).toBe(parsedName.toString())
          expect(again.equals(parsedName)).toBe(true)
        },
      ),
      { numRuns: 5000 },
    )
  })

  test.each([
    { name: 'a megabyte of hexadecimal', given: `CN=#${'04'.repeat(500_000)}` },
    { name: 'ten megabytes of hexadecimal and no end', given: `CN=#${'04'.repeat(5_000_000)}x` },
    { name: 'a megabyte of quotation marks', given: 'CN="'.repeat(250_000) },
    { name: 'a megabyte of backslashes', given: `CN=${'\\'.repeat(1_000_001)}` },
    { name: 'a megabyte of spaces', given: `CN=${' '.repeat(1_000_000)}<` },
  ])('DistinguishedName.parse of $name says SyntaxError, soon', ({ given }) => {
    const started = performance.now()
    expect(() => DistinguishedName.parse(given)).toThrow(SyntaxError)
    expect(performance.now() - started).toBeLessThan(2000)
  })
})

// What a name says ---------------------------------------------------------------------------------------------------

describe('what a name says', () => {
  test('get is the one value, and undefined where there are two: no common name is overlooked', () => {
    expect(read(commonName('alice')).get('CN')).toBe('alice')
    const twice = name([attribute(CN, utf8('alice'))], [attribute(CN, utf8('admin'))])
    expect(read(twice).get('CN')).toBeUndefined()
    expect(read(twice).all('CN')).toEqual(['admin', 'alice'])
    const inOneRdn = name([attribute(CN, utf8('alice')), attribute(CN, utf8('admin'))])
    expect(read(inOneRdn).get('CN')).toBeUndefined()
    expect(read(inOneRdn).all('cn')).toHaveLength(2)
  })

  test('get is undefined where the other of two values is no text', () => {
    const half = read(name([attribute(CN, utf8('alice'))], [attribute(CN, text(0x14, [0xe9]))]))
    expect(half.get('CN')).toBeUndefined()
    expect(half.all('CN')).toEqual(['alice'])
  })

  test('an attribute that is not there, a type that is not known, and one that every object has, are undefined', () => {
    const given = read(commonName('alice'))
    for (const asked of ['O', 'nonsense', '', '__proto__', 'constructor', 'toString', '2.5.4.4']) {
      expect(given.get(asked)).toBeUndefined()
      expect(given.all(asked)).toEqual([])
    }
  })

  test('a common name of __proto__ is a name like any other', () => {
    const { subject } = parsed({ subject: commonName('__proto__') })
    expect(subject.get('CN')).toBe('__proto__')
    expect(subject.all('CN')).toEqual(['__proto__'])
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test('the octets of an attribute are a copy', () => {
    const [attributeOfCn] = read(commonName('alice')).rdns.flat()
    attributeOfCn?.octets.fill(0)
    expect(attributeOfCn?.hex).toBe('0c05616c696365')
  })

  test('a frozen name cannot be changed', () => {
    const frozen = read(commonName('alice')).freeze()
    expect(() => (frozen.rdns as unknown[]).push([])).toThrow(TypeError)
    expect(() => (frozen.rdns[0] as unknown[]).push({})).toThrow(TypeError)
    expect(() => Object.assign(frozen.rdns[0]?.[0] ?? {}, { value: 'admin' })).toThrow(TypeError)
    expect(frozen.get('CN')).toBe('alice')
    expect(frozen.toString()).toBe('CN=alice')
  })
})

// DER ------------------------------------------------------------------------------------------------------------------

describe('a Name in DER (RFC 5280 §4.1.2.4)', () => {
  function reasonAgainst(der: Uint8Array): string | undefined {
    try {
      read(der)
      return undefined
    } catch (error) {
      if (error instanceof DerError) return error.message
      throw error
    }
  }
  const [first, second] = [attribute(CN, utf8('a')), attribute(CN, utf8('b'))]

  test.each([
    { name: 'a SEQUENCE', given: cn(seq(utf8('a'), utf8('b'))) },
    { name: 'a BOOLEAN', given: cn(boolean(0xff)) },
    { name: 'NULL', given: cn(nothing()) },
    { name: 'a BIT STRING', given: cn(bitString(3, [8])) },
  ])('a value that is $name is read, and is no text', ({ given }) => {
    expect(reasonAgainst(given)).toBeUndefined()
    expect(read(given).get('CN')).toBeUndefined()
  })

  test('the members of an RDN are in the order of their encodings (X.690 §11.6)', () => {
    expect(reasonAgainst(seq(set(first, second)))).toBeUndefined()
    expect(reasonAgainst(seq(set(second, first)))).toBe('SET OF is not in order')
  })

  test.each([
    { name: 'an empty RDN', given: seq(set()), reason: 'relative distinguished name is empty' },
    { name: 'an RDN that is a SEQUENCE', given: seq(seq(first)), reason: 'expected tag 0x31, found 0x30' },
    { name: 'an attribute without a value', given: seq(set(seq(oid(CN)))), reason: 'element is cut off' },
    {
      name: 'an attribute with two values',
      given: seq(set(seq(oid(CN), utf8('a'), utf8('b')))),
      reason: 'unexpected element or trailing octets',
    },
    {
      name: 'an attribute without a type',
      given: seq(set(seq(utf8('a'), utf8('b')))),
      reason: 'expected tag 0x06, found 0x0c',
    },
    { name: 'a UTF8String in pieces', given: cn(tlv(0x2c, utf8('a'), utf8('b'))), reason: 'tag 0x2c occurs in no DER' },
    { name: 'a SEQUENCE that is primitive', given: cn(tlv(0x10, utf8('a'))), reason: 'tag 0x10 occurs in no DER' },
    { name: 'a BOOLEAN of letters', given: cn(text(0x01, 'admin')), reason: 'BOOLEAN is neither 00 nor FF' },
    { name: 'a NULL of letters', given: cn(text(0x05, 'admin')), reason: 'NULL is not empty' },
    {
      name: 'a value of unknown type that is not DER',
      given: cn(text(0x30, [0x30, 0x80, 0, 0])),
      reason: 'indefinite length',
    },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(given)).toBe(reason)
  })

  test('nameParts RDNs are read, one more is refused', () => {
    const rdns = (count: number) => seq(...Array.from({ length: count }, () => set(first)))
    expect(reasonAgainst(rdns(limits.nameParts))).toBeUndefined()
    expect(reasonAgainst(rdns(limits.nameParts + 1))).toBe('name has too many parts')
  })

  test('nameParts attributes of one RDN are read, one more is refused', () => {
    const rdn = (count: number) =>
      seq(sortedSet(...Array.from({ length: count }, (_, i) => attribute(CN, utf8(String.fromCharCode(0x21 + i))))))
    expect(reasonAgainst(rdn(limits.nameParts))).toBeUndefined()
    expect(reasonAgainst(rdn(limits.nameParts + 1))).toBe('name has too many parts')
  })
})
