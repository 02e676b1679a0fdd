import { createHash, X509Certificate } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { isClientCertError } from '../../src/errors.js'
import { limits } from '../../src/limits.js'
import { createTestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  bitString,
  boolean,
  certificateDer,
  commonName,
  concat,
  context,
  extension,
  type Fields,
  generalizedTime,
  hex,
  integer,
  malformation,
  name,
  nothing,
  octetString,
  oid,
  parsed,
  primitive,
  seq,
  text,
  tlv,
  utcTime,
  utf8,
} from '../support/der-builder.js'

const reasonAgainst = (fields: Fields) => malformation(certificateDer(fields))
const trailing = 'unexpected element or trailing octets'

describe('version (RFC 5280 §4.1.2.1)', () => {
  test.each([
    { name: '1, by its absence', version: undefined, value: 1 },
    { name: '2', version: context(0, integer(1)), value: 2 },
    { name: '3', version: context(0, integer(2)), value: 3 },
  ])('$name', ({ version, value }) => {
    expect(parsed({ version }).version).toBe(value)
  })

  test.each([
    { name: '1 written out, which is the DEFAULT', version: context(0, integer(0)), reason: 'version is not 2 or 3' },
    { name: '4', version: context(0, integer(3)), reason: 'version is not 2 or 3' },
    { name: '-1', version: context(0, integer(-1)), reason: 'INTEGER is negative' },
    {
      name: '2^72 + 2, which would be 3',
      version: context(0, integer(2n ** 72n + 2n)),
      reason: 'version is not 2 or 3',
    },
    { name: '3 in two octets', version: context(0, tlv(2, [0, 2])), reason: 'INTEGER is not minimal' },
    { name: '3 twice', version: context(0, integer(2), integer(2)), reason: trailing },
    { name: 'of nothing', version: context(0), reason: 'element is cut off' },
    { name: 'without its wrapper', version: integer(2), reason: 'expected tag 0x30, found 0x02' },
  ])('$name is refused', ({ version, reason }) => {
    expect(reasonAgainst({ version })).toBe(reason)
  })

  const extensions = [extension('1.2.3', hex('00'))]
  test('extensions are read in version 3 and refused in 1 and 2', () => {
    expect(reasonAgainst({ extensions })).toBeUndefined()
    for (const version of [undefined, context(0, integer(1))]) {
      expect(reasonAgainst({ version, extensions })).toBe('extensions in a certificate before version 3')
    }
  })

  test('a unique identifier is a BIT STRING (RFC 5280 §4.1.2.8)', () => {
    const reason = (...contents: number[]) => reasonAgainst({ uniqueIdentifiers: primitive(1, contents), extensions })
    expect(reason(0)).toBeUndefined()
    expect(reason(3, 8)).toBeUndefined()
    expect(reason()).toBe('BIT STRING is malformed')
    expect(reason(3)).toBe('BIT STRING is malformed')
    expect(reason(9, 8)).toBe('BIT STRING is malformed')
    expect(reason(4, 8)).toBe('BIT STRING has set unused bits')
  })

  test('unique identifiers are passed over in versions 2 and 3 and refused in 1', () => {
    const uniqueIdentifiers = concat(primitive(1, [0, 1]), primitive(2, [0, 1]))
    expect(reasonAgainst({ uniqueIdentifiers, extensions })).toBeUndefined()
    expect(reasonAgainst({ uniqueIdentifiers, version: context(0, integer(1)) })).toBeUndefined()
    expect(reasonAgainst({ uniqueIdentifiers, version: undefined })).toBe(
      'unique identifier in a version 1 certificate',
    )
    expect(reasonAgainst({ uniqueIdentifiers: concat(primitive(2, [0, 1]), primitive(1, [0, 1])) })).toBe(trailing)
    expect(reasonAgainst({ uniqueIdentifiers: concat(primitive(1, [0, 1]), primitive(1, [0, 1])) })).toBe(trailing)
  })
})

describe('serialNumber (RFC 5280 §4.1.2.2)', () => {
  test.each([
    { name: '1', given: 1n, octets: '01' },
    { name: '128 keeps its sign octet', given: 128n, octets: '0080' },
    { name: 'zero is read', given: 0n, octets: '00' },
    { name: 'a negative serial number is read', given: -1n, octets: 'ff' },
    { name: 'one beyond 2^53 is exact', given: 2n ** 53n + 1n, octets: '20000000000001' },
    { name: '20 octets', given: 2n ** 159n - 1n, octets: '7f'.padEnd(40, 'f') },
    { name: '20 octets and the sign', given: 2n ** 160n - 1n, octets: `00${'ff'.repeat(20)}` },
    { name: '20 octets, negative', given: -(2n ** 159n), octets: '80'.padEnd(40, '0') },
  ])('$name', ({ given, octets }) => {
    expect(parsed({ serialNumber: integer(given) }).serialNumber).toEqual(hex(octets))
  })

  test.each([
    { name: '21 octets', given: integer(2n ** 160n + 2n ** 159n), reason: 'serialNumber is longer than 20 octets' },
    {
      name: '21 octets without a sign octet',
      given: integer(2n ** 166n),
      reason: 'serialNumber is longer than 20 octets',
    },
    { name: '21 octets, negative', given: integer(-(2n ** 160n)), reason: 'serialNumber is longer than 20 octets' },
    { name: '10,000 octets', given: integer(2n ** 80_000n), reason: 'serialNumber is longer than 20 octets' },
    { name: 'no octets', given: tlv(2), reason: 'INTEGER is empty' },
    { name: '1 in two octets', given: tlv(2, [0, 1]), reason: 'INTEGER is not minimal' },
    { name: '-1 in two octets', given: tlv(2, [0xff, 0xff]), reason: 'INTEGER is not minimal' },
    { name: 'ENUMERATED', given: tlv(0x0a, [1]), reason: 'expected tag 0x02, found 0x0a' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst({ serialNumber: given })).toBe(reason)
  })
})

describe('names', () => {
  const altName = seq(primitive(2, Buffer.from('a.example')))

  test('an issuer is never empty', () => {
    expect(reasonAgainst({ issuer: commonName('') })).toBeUndefined()
    expect(reasonAgainst({ issuer: name() })).toBe('issuer is empty')
  })

  test('a subject is empty only beside a critical subjectAltName (§4.1.2.6)', () => {
    const subject = name()
    expect(reasonAgainst({ subject, extensions: [extension(known.subjectAltName, altName, true)] })).toBeUndefined()
    const reason = 'subject is empty and subjectAltName is not critical'
    expect(reasonAgainst({ subject, extensions: [extension(known.subjectAltName, altName)] })).toBe(reason)
    expect(reasonAgainst({ subject, extensions: [extension(known.issuerAltName, altName, true)] })).toBe(reason)
    expect(reasonAgainst({ subject })).toBe(reason)
  })

  test('a CA is never without a subject', () => {
    const extensions = (ca: number[]) => [
      extension(known.subjectAltName, altName, true),
      extension(known.basicConstraints, seq(...ca.map(boolean))),
    ]
    expect(reasonAgainst({ subject: name(), extensions: extensions([]) })).toBeUndefined()
    expect(reasonAgainst({ subject: name(), extensions: extensions([0xff]) })).toBe('subject of a CA is empty')
    expect(reasonAgainst({ extensions: extensions([0xff]) })).toBeUndefined()
  })

  test('self-issued is said by §7.1 comparison, not by octets', () => {
    const issuer = commonName('Test  CA')
    expect(parsed({ issuer, subject: name([seq(oid('2.5.4.3'), text(0x13, 'test ca'))]) }).isSelfIssued).toBe(true)
    expect(parsed({ issuer, subject: commonName('TestCA') }).isSelfIssued).toBe(false)
  })

  const mostNames = 'a subject CN of'
  test.each([
    { name: `${mostNames} NUL`, value: utf8('admin\0.evil'), reason: 'UTF8String is not UTF-8 or holds NUL' },
    {
      name: `${mostNames} NUL in BMPString`,
      value: text(0x1e, [0, 0x61, 0, 0]),
      reason: 'BMPString is malformed or holds NUL',
    },
    { name: `${mostNames} overlong UTF-8`, value: utf8([0xc1, 0xa1]), reason: 'UTF8String is not UTF-8 or holds NUL' },
    {
      name: `${mostNames} letters in NumericString`,
      value: text(0x12, 'a'),
      reason: 'NumericString holds an octet it may not',
    },
  ])('$name is refused, in the issuer too', ({ value, reason }) => {
    const bad = name([seq(oid('2.5.4.3'), value)])
    expect(reasonAgainst({ subject: bad })).toBe(reason)
    expect(reasonAgainst({ issuer: bad })).toBe(reason)
  })
})

describe('validity (RFC 5280 §4.1.2.5)', () => {
  const [from, to] = [utcTime('250101000000Z'), utcTime('260101000000Z')]

  test('both ends are read as instants', () => {
    const given = parsed({ validity: seq(from, generalizedTime('99991231235959Z')) })
    expect(given.notBefore).toBe(Date.UTC(2025, 0, 1))
    expect(given.notAfter).toBe(Date.UTC(9999, 11, 31, 23, 59, 59))
  })

  test('may be one second, not less', () => {
    expect(reasonAgainst({ validity: seq(from, from) })).toBeUndefined()
    expect(reasonAgainst({ validity: seq(from, utcTime('241231235959Z')) })).toBe('notAfter is before notBefore')
  })

  test('does not end in 1950 where it says 50: YY=49 is 2049', () => {
    expect(parsed({ validity: seq(from, utcTime('491231235959Z')) }).notAfter).toBe(Date.UTC(2049, 11, 31, 23, 59, 59))
    expect(reasonAgainst({ validity: seq(from, utcTime('500101000000Z')) })).toBe('notAfter is before notBefore')
  })

  test.each([
    { name: 'a third time', given: seq(from, to, to), reason: trailing },
    { name: 'one time', given: seq(from), reason: 'element is cut off' },
    { name: 'NULLs', given: seq(nothing(), nothing()), reason: 'expected a time' },
    { name: 'a leap second', given: seq(from, utcTime('261231235960Z')), reason: 'time is not a date of the calendar' },
    { name: 'nothing', given: seq(), reason: 'element is cut off' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst({ validity: seq(from, to) })).toBeUndefined()
    expect(reasonAgainst({ validity: given })).toBe(reason)
  })
})

describe('the frame', () => {
  const good = certificateDer()

  test.each([
    { name: 'nothing', given: hex(''), reason: 'element is cut off' },
    { name: 'an empty SEQUENCE', given: seq(), reason: 'element is cut off' },
    { name: 'one octet after it', given: concat(good, [0]), reason: trailing },
    { name: 'itself after it', given: concat(good, good), reason: trailing },
    {
      name: 'PEM text',
      given: Buffer.from('-----BEGIN CERTIFICATE-----'),
      reason: 'element is longer than what holds it',
    },
    { name: 'a fourth element', given: certificateDer({ afterSignature: nothing() }), reason: trailing },
    {
      name: 'an element after extensions',
      given: certificateDer({ extensions: [extension('1.2', hex(''))], afterExtensions: nothing() }),
      reason: trailing,
    },
    {
      name: 'an element in place of extensions',
      given: certificateDer({ afterExtensions: context(4, nothing()) }),
      reason: trailing,
    },
    {
      name: 'extensions twice',
      given: certificateDer({
        extensions: [extension('1.2', hex(''))],
        afterExtensions: context(3, seq(extension('1.3', hex('')))),
      }),
      reason: trailing,
    },
    {
      name: 'a signature of seven bits',
      given: certificateDer({ signature: bitString(1, [2]) }),
      reason: 'BIT STRING is not whole octets',
    },
    {
      name: 'a signature with nine unused bits',
      given: certificateDer({ signature: bitString(9, [2]) }),
      reason: 'BIT STRING is not whole octets',
    },
    {
      name: 'a constructed signature',
      given: certificateDer({ signature: tlv(0x23, bitString(0, [1])) }),
      reason: 'expected tag 0x03, found 0x23',
    },
    {
      name: 'a signature as OCTET STRING',
      given: certificateDer({ signature: octetString([1]) }),
      reason: 'expected tag 0x03, found 0x04',
    },
    {
      name: 'an algorithm with two parameters',
      given: certificateDer({ signatureAlgorithm: seq(oid('1.2.840.10045.4.3.2'), nothing(), nothing()) }),
      reason: trailing,
    },
    {
      name: 'an algorithm without identifier',
      given: certificateDer({ signatureAlgorithm: seq() }),
      reason: 'element is cut off',
    },
    {
      name: 'an algorithm whose parameters are not DER',
      given: certificateDer({ signatureAlgorithm: seq(oid('1.2'), hex('3004 3080 0000')) }),
      reason: 'indefinite length',
    },
    { name: 'a SET', given: concat([0x31], good.subarray(1)), reason: 'expected tag 0x30, found 0x31' },
  ])('$name is refused', ({ given, reason }) => {
    expect(malformation(good)).toBeUndefined()
    expect(malformation(given)).toBe(reason)
  })

  test('cut anywhere it is refused', () => {
    for (let length = 0; length < good.length; length++) expect(malformation(good.subarray(0, length))).toBeDefined()
  })

  test('certificateBytes octets are read, one more is refused before anything is read', () => {
    const ofLength = (length: number) => {
      const padding =
        length - certificateDer({ extensions: [extension('1.2.3', new Uint8Array(length - 1000))] }).length
      return certificateDer({ extensions: [extension('1.2.3', new Uint8Array(length - 1000 + padding))] })
    }
    expect(ofLength(limits.certificateBytes)).toHaveLength(limits.certificateBytes)
    expect(malformation(ofLength(limits.certificateBytes))).toBeUndefined()
    expect(malformation(ofLength(limits.certificateBytes + 1))).toBe('longer than 32768 octets')
    expect(malformation(new Uint8Array(50_000_000))).toBe('longer than 32768 octets')
  })

  test('parameters may nest as deep as is allowed, not 10,000 levels', () => {
    let value = nothing()
    for (let i = 0; i < 10_000; i++) value = i < limits.derDepth ? seq(value) : value
    expect(reasonAgainst({ signatureAlgorithm: seq(oid('1.2'), value) })).toBeUndefined()
    for (let i = 0; i < 2; i++) value = seq(value)
    expect(reasonAgainst({ signatureAlgorithm: seq(oid('1.2'), value) })).toBe('nesting is too deep')
  })

  test('the algorithms inside and outside are both kept, for the path to compare', () => {
    const given = parsed({ signatureAlgorithm: seq(oid('1.2.840.10045.4.3.3'), nothing()) })
    const { tbsSignature: inside, signatureAlgorithm: outside } = given
    expect([inside.oid, inside.parametersAre, inside.parameters]).toEqual(['1.2.840.10045.4.3.2', 'absent', undefined])
    expect(inside.der).toEqual(seq(oid('1.2.840.10045.4.3.2')))
    expect([outside.oid, outside.parametersAre, outside.parameters]).toEqual(['1.2.840.10045.4.3.3', 'null', nothing()])
    expect([inside.isWrittenAs(outside), inside.isWrittenAs(parsed({}).signatureAlgorithm)]).toEqual([false, true])
  })
})

describe('a refusal', () => {
  test('is ERR_CLIENT_CERT_MALFORMED with reason, offset and depth, and keeps nothing of the octets', () => {
    const der = certificateDer({ serialNumber: tlv(2, [0, 1]) })
    let refusal: unknown
    try {
      Certificate.parse(der, 2)
    } catch (error) {
      refusal = error
    }
    expect(isClientCertError(refusal)).toBe(true)
    expect(refusal).toMatchObject({
      code: 'ERR_CLIENT_CERT_MALFORMED',
      depth: 2,
      status: 403,
      detail: { reason: 'INTEGER is not minimal' },
    })
    const { detail } = refusal as { detail: { offset: number } }
    expect([...der.subarray(detail.offset, detail.offset + 2)]).toEqual([0, 1])
  })

  test('names the offset in the certificate also where an extension is wrong inside', () => {
    const der = certificateDer({
      extensions: [extension('1.2.3', hex('00')), extension(known.basicConstraints, seq(boolean(1)))],
    })
    const place = Buffer.from(der).indexOf(Buffer.from('0101 01'.replace(' ', ''), 'hex')) + 2
    expect(() => Certificate.parse(der)).toThrow(
      expect.objectContaining({
        detail: expect.objectContaining({ reason: 'BOOLEAN is neither 00 nor FF', offset: place }),
      }),
    )
  })

  test('does not repeat what the peer wrote at length', () => {
    const [big, bigger] = [1, 30_000].map((length) => {
      try {
        Certificate.parse(
          certificateDer({ extensions: [extension('1.2.3', hex('')), extension('1.2.3', new Uint8Array(length))] }),
        )
      } catch (error) {
        return (error as { help: string }).help.replace(/octet \d+/, 'octet N')
      }
      throw new Error('accepted')
    })
    expect(bigger).toBe(big)
  })
})

describe('what was checked cannot be changed', () => {
  test('the octets are copied: writing into the caller’s buffer afterwards changes nothing', () => {
    const der = Buffer.from(certificateDer())
    const given = Certificate.parse(der)
    const { fingerprint } = Certificate.parse(der)
    der.fill(0)
    expect(given.fingerprint).toBe(fingerprint)
    expect(given.subject.get('CN')).toBe('subject')
    expect([...given.der]).toEqual([...certificateDer()])
  })

  test('a view into a larger buffer is read at its place', () => {
    const der = certificateDer()
    const view = concat(new Uint8Array(7).fill(0xff), der, new Uint8Array(9)).subarray(7, 7 + der.length)
    expect(Certificate.parse(view).fingerprint).toBe(Certificate.parse(der).fingerprint)
  })

  test('tbs is exactly what is signed, der exactly what came', async () => {
    const { certificate } = await (await createTestPki()).issue()
    const given = Certificate.parse(certificate.der)
    expect(Buffer.compare(given.der, certificate.der)).toBe(0)
    expect(given.fingerprint).toBe(createHash('sha256').update(certificate.der).digest('hex'))
    const at = Buffer.from(certificate.der).indexOf(given.tbs)
    expect(at).toBe(certificate.der[1] === 0x82 ? 4 : 3)
    expect(new X509Certificate(certificate.der).fingerprint256.replaceAll(':', '').toLowerCase()).toBe(
      given.fingerprint,
    )
  })
})

describe('a condensed certificate', () => {
  test('says the same of itself when it is asked, and what was read then is kept', async () => {
    const { root, issue } = await createTestPki()
    for (const { der } of [root.certificate, (await issue()).certificate]) {
      const [whole, condensed] = [Certificate.parse(der), Certificate.parse(der).condense()]
      expect(condensed.subjectKey).toBe(whole.subject.comparisonKey)
      for (const name of Object.keys(Object.getOwnPropertyDescriptors(Certificate.prototype))) {
        if (['constructor', 'condense'].includes(name)) continue
        const field = name as Exclude<keyof Certificate, 'condense'>
        expect({ [name]: condensed[field] }).toEqual({ [name]: whole[field] })
      }
      expect([condensed.notBefore, condensed.notAfter]).toEqual([whole.notBefore, whole.notAfter])
      expect(condensed.publicKey).toBe(condensed.publicKey)
      expect(condensed.subject.toString()).toBe(whole.subject.toString())
    }
  })
})
