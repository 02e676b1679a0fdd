import { verify, X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DerError } from '../../src/der/reader.js'
import { limits } from '../../src/limits.js'
import { createTestAuthority, createTestPki, type TestAuthority, type TestPki } from '../../src/testing.js'
import { CertificateRevocationList } from '../../src/x509/crl.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  type CrlFields,
  certificateIssuer,
  crlDer,
  crlNumber,
  crlRefusal,
  directoryName,
  entry,
  indexOf,
  issuingDistributionPoint,
  newYear,
  parseCrl,
  reasonCode,
  unknownExtension,
} from '../support/crl-der.js'
import {
  asData,
  attribute,
  bitString,
  boolean,
  CN,
  commonName,
  concat,
  context,
  extension,
  generalizedTime,
  hex,
  integer,
  nothing,
  oid,
  primitive,
  seq,
  tlv,
  utcTime,
  utf8,
} from '../support/der-builder.js'

const hexOf = (octets: Uint8Array | undefined) => octets && Buffer.from(octets).toString('hex')
const uri = (text: string) => primitive(6, Buffer.from(text))
const refusalOf = (fields: CrlFields) => crlRefusal(crlDer(fields))

let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki()
})

describe('a CRL is read', () => {
  test('as its issuer wrote it', async () => {
    const { intermediate } = pki
    const { der } = await intermediate.crl({
      number: 0x1234,
      thisUpdate: new Date('2026-01-02T03:04:05Z'),
      nextUpdate: new Date('2051-02-03T04:05:06Z'),
      revoked: [{ serialNumber: '01' }, { serialNumber: '02', reason: 'superseded' }],
    })
    const crl = CertificateRevocationList.parse(der)
    expect(crl.version).toBe(2)
    expect(crl.issuer.toString()).toBe('CN=Test Intermediate CA')
    expect(new Date(crl.thisUpdate).toISOString()).toBe('2026-01-02T03:04:05.000Z')
    expect(new Date(crl.nextUpdate ?? 0).toISOString()).toBe('2051-02-03T04:05:06.000Z')
    expect(crl.extensions.cRLNumber).toBe(0x1234n)
    expect(crl.extensions.authorityKeyIdentifier?.keyIdentifier).toHaveLength(20)
    expect(crl.tbsSignature.oid).toBe('1.2.840.10045.4.3.2')
    expect(hexOf(crl.signatureAlgorithm.der)).toBe(hexOf(crl.tbsSignature.der))
    expect(crl.signature[0]).toBe(0x30)
    expect(crl.extensionList.map(({ oid, critical }) => [oid, critical])).toEqual([
      [known.authorityKeyIdentifier, false],
      [known.cRLNumber, false],
    ])
    expect(crl.unknownCriticalExtension).toBeUndefined()
    expect(crl.entries).toHaveLength(20 + 34)
  })

  test('on the octets it was given: a file of megabytes is not copied', async () => {
    const { der } = await pki.crl({ revoked: [{ serialNumber: '01' }] })
    const crl = CertificateRevocationList.parse(der)
    expect(crl.der).toBe(der)
    for (const part of [crl.tbs, crl.entries, crl.signature]) {
      expect(part.buffer).toBe(der.buffer)
    }
  })

  test('with the octets that were signed, and the signature', async () => {
    const { der } = await pki.crl({ revoked: [{ serialNumber: '01' }] })
    const { tbs, signature } = CertificateRevocationList.parse(der)
    const { publicKey } = new X509Certificate(pki.intermediate.certificate.der)
    expect(verify('sha256', tbs, publicKey, signature)).toBe(true)
    expect(verify('sha256', tbs.subarray(1), publicKey, signature)).toBe(false)
  })

  test('out of the middle of a larger buffer', () => {
    const der = crlDer({ entries: [entry(5)] })
    const crl = CertificateRevocationList.parse(concat([1, 2, 3], der, [4]).subarray(3, 3 + der.length))
    expect(hexOf(crl.entries)).toBe(hexOf(entry(5)))
  })

  test('without nextUpdate: X.509 allows it, and who judges CRLs has to', async () => {
    const crl = CertificateRevocationList.parse((await pki.crl({ nextUpdate: false })).der)
    expect(crl.nextUpdate).toBeUndefined()
    expect(crl.extensions.cRLNumber).toBeDefined()
  })

  test('without entries, and then there are none', () => {
    const crl = parseCrl()
    expect(crl.entries).toHaveLength(0)
    expect(crl.extensions.cRLNumber).toBe(1n)
  })

  test('an empty list of entries means none', () => {
    const crl = parseCrl({ entries: [] })
    expect(crl.entries).toHaveLength(0)
    expect(crl.extensions.cRLNumber).toBe(1n)
    expect(indexOf({ entries: [] }).size).toBe(0)
  })

  test('a version 1 CRL is read', () => {
    const crl = parseCrl({ version: undefined, extensions: undefined, entries: [entry(1)] })
    expect(crl.version).toBe(1)
    expect(crl.extensionList).toEqual([])
    expect(indexOf({ version: undefined, extensions: undefined, entries: [entry(1)] }).size).toBe(1)
  })

  test('both UTCTime and GeneralizedTime are times, whatever the year', () => {
    const crl = parseCrl({ thisUpdate: generalizedTime('20260101000000Z'), nextUpdate: utcTime('490101000000Z') })
    expect(new Date(crl.thisUpdate).getUTCFullYear()).toBe(2026)
    expect(new Date(crl.nextUpdate ?? 0).getUTCFullYear()).toBe(2049)
  })
})

describe('its extensions', () => {
  const read = (...extensions: Uint8Array[]) => parseCrl({ extensions }).extensions

  test('are all read by their types', () => {
    const names = seq(primitive(2, Buffer.from('ca.example')))
    const points = seq(seq(context(0, context(0, uri('http://crl.example/delta')))))
    const { issuerAltName, freshestCRL, authorityInfoAccess, authorityKeyIdentifier } = read(
      extension(known.issuerAltName, names),
      extension(known.freshestCRL, points),
      extension(known.authorityInfoAccess, seq(seq(oid('1.3.6.1.5.5.7.48.2'), uri('http://ca.example/ca.cer')))),
      extension(known.authorityKeyIdentifier, seq(primitive(0, [1, 2]))),
    )
    expect(asData(issuerAltName)).toEqual([{ type: 'dNSName', value: 'ca.example' }])
    expect(asData(freshestCRL)).toEqual([
      { fullName: [{ type: 'uniformResourceIdentifier', value: 'http://crl.example/delta' }] },
    ])
    expect(asData(authorityInfoAccess)).toEqual([
      {
        accessMethod: '1.3.6.1.5.5.7.48.2',
        accessLocation: { type: 'uniformResourceIdentifier', value: 'http://ca.example/ca.cer' },
      },
    ])
    expect(hexOf(authorityKeyIdentifier?.keyIdentifier)).toBe('0102')
  })

  test('a CRL number is an integer of up to 20 octets, not a JavaScript number', () => {
    const largest = 2n ** 160n - 1n
    expect(read(crlNumber(largest)).cRLNumber).toBe(largest)
    expect(read(crlNumber(2n ** 53n + 1n)).cRLNumber).toBe(2n ** 53n + 1n)
    expect(read(crlNumber(0)).cRLNumber).toBe(0n)
    expect(refusalOf({ extensions: [crlNumber(2n ** 160n)] })).toBe('cRLNumber is longer than 20 octets')
  })

  test('numbers compare as integers, not as octets', () => {
    const [nine, ten] = [read(crlNumber(0xff)).cRLNumber ?? 0n, read(crlNumber(0x100)).cRLNumber ?? 0n]
    expect(nine < ten).toBe(true)
  })

  test('a delta CRL says where it starts from, critically', async () => {
    const { der } = await pki.crl({ number: 12, baseNumber: 10n })
    const { extensions, extensionList, unknownCriticalExtension } = CertificateRevocationList.parse(der)
    expect([extensions.cRLNumber, extensions.deltaCRLIndicator]).toEqual([12n, 10n])
    expect(extensionList.find(({ oid }) => oid === known.deltaCRLIndicator)?.critical).toBe(true)
    expect(unknownCriticalExtension).toBeUndefined()
  })

  test('a delta CRL without a number is refused', () => {
    const delta = extension(known.deltaCRLIndicator, integer(1), true)
    expect(refusalOf({ extensions: [delta, crlNumber(2)] })).toBeUndefined()
    expect(refusalOf({ extensions: [delta] })).toBe('delta CRL without cRLNumber')
  })

  test('an issuing distribution point, with everything in it', async () => {
    const { der } = await pki.crl({
      issuingDistributionPoint: {
        fullName: { uri: ['http://crl.example/a.crl'] },
        onlyContainsCACerts: true,
        onlySomeReasons: ['keyCompromise', 'aACompromise'],
        indirectCRL: true,
      },
    })
    expect(asData(CertificateRevocationList.parse(der).extensions.issuingDistributionPoint)).toEqual({
      fullName: [{ type: 'uniformResourceIdentifier', value: 'http://crl.example/a.crl' }],
      onlyContainsUserCerts: false,
      onlyContainsCACerts: true,
      onlySomeReasons: (1 << 1) | (1 << 8),
      indirectCRL: true,
      onlyContainsAttributeCerts: false,
    })
  })

  test.each([
    [1, 'onlyContainsUserCerts'],
    [2, 'onlyContainsCACerts'],
    [4, 'indirectCRL'],
    [5, 'onlyContainsAttributeCerts'],
  ])('[%i] is %s', (n, flag) => {
    const { issuingDistributionPoint: point = {} } = read(issuingDistributionPoint(primitive(n, [0xff])))
    expect(Object.entries(point).filter(([, value]) => value === true)).toEqual([[flag, true]])
  })

  test('a distribution point may be named relative to the CRL issuer', () => {
    const relative = attribute(CN, utf8('part 1'))
    const point = read(issuingDistributionPoint(context(0, context(1, relative)))).issuingDistributionPoint
    expect(hexOf(point?.nameRelativeToCRLIssuer)).toBe(hexOf(relative))
    expect(point?.fullName).toBeUndefined()
  })

  test('an unknown critical one is told, an unknown one that is not critical is none of our business', () => {
    expect(parseCrl({ extensions: [unknownExtension(true)] }).unknownCriticalExtension).toBe('1.2.3.4')
    expect(parseCrl({ extensions: [unknownExtension(false)] }).unknownCriticalExtension).toBeUndefined()
  })

  test('criticality is kept', () => {
    const { extensionList } = parseCrl({ extensions: [extension(known.cRLNumber, integer(1), true)] })
    expect(extensionList.map(({ oid, critical }) => [oid, critical])).toEqual([[known.cRLNumber, true]])
  })

  test('extensions of certificates mean nothing in a CRL: a critical one is unknown', () => {
    const { unknownCriticalExtension, extensions } = parseCrl({
      extensions: [extension(known.basicConstraints, seq(), true)],
    })
    expect(unknownCriticalExtension).toBe(known.basicConstraints)
    expect(extensions).toEqual({})
  })

  test('certificateIssuer is an entry extension: as a critical CRL extension it is unknown', () => {
    const { unknownCriticalExtension } = parseCrl({ extensions: [certificateIssuer(directoryName('a'))] })
    expect(unknownCriticalExtension).toBe(known.certificateIssuer)
  })
})

describe('what is not one CRL in DER is refused, with the reason', () => {
  const uriName = context(0, context(0, uri('http://crl.example')))
  const point = (...members: Uint8Array[]) => ({ extensions: [issuingDistributionPoint(...members)] })
  const user = primitive(1, [0xff])
  const attributes = primitive(5, [0xff])

  const cases: { what: string; fields: CrlFields; says: string }[] = [
    { what: 'version 1 written out', fields: { version: integer(0) }, says: 'version is written and not 2' },
    { what: 'version 3', fields: { version: integer(2) }, says: 'version is written and not 2' },
    { what: 'a negative version', fields: { version: integer(-1) }, says: 'INTEGER is negative' },
    {
      what: 'a version 1 CRL with extensions',
      fields: { version: undefined },
      says: 'CRL extensions in a version 1 CRL',
    },
    {
      what: 'a version 1 CRL with an entry extension',
      fields: { version: undefined, extensions: undefined, entries: [entry(1, reasonCode(1))] },
      says: 'CRL entry extensions in a version 1 CRL',
    },
    { what: 'an issuer without a name', fields: { issuer: seq() }, says: 'issuer is empty' },
    { what: 'no issuer', fields: { issuer: nothing() }, says: 'expected tag 0x30, found 0x05' },
    { what: 'no thisUpdate', fields: { thisUpdate: nothing() }, says: 'expected a time' },
    {
      what: 'thisUpdate on a day that is not in the calendar',
      fields: { thisUpdate: utcTime('260230000000Z') },
      says: 'time is not a date of the calendar',
    },
    {
      what: 'nextUpdate without seconds',
      fields: { nextUpdate: utcTime('2702010000Z') },
      says: 'time is not in the form seconds and Z',
    },
    {
      what: 'nextUpdate before thisUpdate',
      fields: { nextUpdate: utcTime('251231235959Z') },
      says: 'nextUpdate is before thisUpdate',
    },
    { what: 'a third time', fields: { afterExtensions: newYear }, says: 'unexpected element or trailing octets' },
    {
      what: 'entries that are a SET',
      fields: { nextUpdate: concat(utcTime('270101000000Z'), tlv(0x31, entry(1))) },
      says: 'unexpected element or trailing octets',
    },
    { what: 'extensions that are none', fields: { extensions: [] }, says: 'element is cut off' },
    {
      what: 'an extension twice',
      fields: { extensions: [crlNumber(1), crlNumber(1)] },
      says: 'extension 2.5.29.20 twice',
    },
    {
      what: 'an unknown extension twice',
      fields: { extensions: [unknownExtension(false), unknownExtension(false)] },
      says: 'extension 1.2.3.4 twice',
    },
    {
      what: 'critical FALSE',
      fields: { extensions: [seq(oid(known.cRLNumber), boolean(0), tlv(4, integer(1)))] },
      says: 'critical FALSE is the DEFAULT and must not be written',
    },
    {
      what: 'something after the extensions',
      fields: { afterExtensions: nothing() },
      says: 'unexpected element or trailing octets',
    },
    {
      what: 'something after the signature',
      fields: { afterSignature: nothing() },
      says: 'unexpected element or trailing octets',
    },
    {
      what: 'a signature of half an octet',
      fields: { signature: bitString(4, [0xf0]) },
      says: 'BIT STRING is not whole octets',
    },
    { what: 'a negative CRL number', fields: { extensions: [crlNumber(-1)] }, says: 'cRLNumber is negative' },
    {
      what: 'a CRL number with an octet too many',
      fields: { extensions: [extension(known.cRLNumber, tlv(2, [0, 1]))] },
      says: 'INTEGER is not minimal',
    },
    {
      what: 'a CRL number and something after it',
      fields: { extensions: [extension(known.cRLNumber, concat(integer(1), nothing()))] },
      says: 'unexpected element or trailing octets',
    },
    {
      what: 'a negative BaseCRLNumber',
      fields: { extensions: [extension(known.deltaCRLIndicator, integer(-1), true), crlNumber(1)] },
      says: 'BaseCRLNumber is negative',
    },
    {
      what: 'a BaseCRLNumber of 21 octets',
      fields: { extensions: [extension(known.deltaCRLIndicator, integer(2n ** 160n), true), crlNumber(1)] },
      says: 'BaseCRLNumber is longer than 20 octets',
    },
    { what: 'an empty distribution point', fields: point(), says: 'issuingDistributionPoint is empty' },
    {
      what: 'FALSE written out',
      fields: point(primitive(1, [0])),
      says: 'FALSE is the DEFAULT and must not be written',
    },
    {
      what: 'FALSE beside a name',
      fields: point(uriName, primitive(4, [0])),
      says: 'FALSE is the DEFAULT and must not be written',
    },
    { what: 'TRUE written as 01', fields: point(primitive(1, [1])), says: 'BOOLEAN is neither 00 nor FF' },
    {
      what: 'only users and only CAs',
      fields: point(user, primitive(2, [0xff])),
      says: 'issuingDistributionPoint contains only two kinds of certificates at once',
    },
    {
      what: 'only users and only attribute certificates',
      fields: point(user, attributes),
      says: 'issuingDistributionPoint contains only two kinds of certificates at once',
    },
    {
      what: 'only CAs and only attribute certificates',
      fields: point(primitive(2, [0xff]), attributes),
      says: 'issuingDistributionPoint contains only two kinds of certificates at once',
    },
    {
      what: 'fields in the wrong order',
      fields: point(primitive(4, [0xff]), user),
      says: 'unexpected element or trailing octets',
    },
    { what: 'an unknown field', fields: point(primitive(6, [0xff])), says: 'unexpected element or trailing octets' },
    {
      what: 'reasons with a zero at the end',
      fields: point(primitive(3, [0, 0x40])),
      says: 'BIT STRING has trailing zero bits or set unused bits',
    },
    { what: 'a distribution point of no names', fields: point(context(0, context(0))), says: 'element is cut off' },
    {
      what: 'a distribution point that is neither name',
      fields: point(context(0, context(2))),
      says: 'expected tag 0xa1, found 0xa2',
    },
    {
      what: 'an access description of nothing',
      fields: { extensions: [extension(known.authorityInfoAccess, seq())] },
      says: 'element is cut off',
    },
  ]
  test.each(cases)('$what', ({ fields, says }) => {
    expect(refusalOf(fields)).toBe(says)
  })

  test('and their twins are accepted', () => {
    for (const fields of [{}, point(user), point(uriName, primitive(4, [0xff])), point(primitive(3, [6, 0x40]))])
      expect(refusalOf(fields)).toBeUndefined()
  })

  test('octets before, after, or missing', () => {
    const der = crlDer({ entries: [entry(1)] })
    expect(crlRefusal(der)).toBeUndefined()
    expect(crlRefusal(concat(der, [0]))).toBe('unexpected element or trailing octets')
    expect(crlRefusal(concat([0], der))).toBe('expected tag 0x30, found 0x00')
    for (let length = 0; length < der.length; length++) expect(crlRefusal(der.subarray(0, length))).toBeDefined()
  })

  test('an indefinite length, and a length that is not minimal', () => {
    expect(crlRefusal(hex('3080 0000'))).toBe('indefinite length')
    const body = crlDer().subarray(3)
    expect(body.length).toBeLessThan(256)
    expect(crlRefusal(concat([0x30, 0x82, 0, body.length], body))).toBe('length is not minimal')
  })

  test('with the offset, so that openssl asn1parse finds the place', () => {
    const der = crlDer({ version: integer(2) })
    const offset = (() => {
      try {
        CertificateRevocationList.parse(der)
      } catch (error) {
        return (error as DerError).offset
      }
    })()
    expect(der[offset ?? 0]).toBe(2)
  })

  test('a certificate', async () => {
    expect(crlRefusal(pki.root.certificate.der)).toBeDefined()
  })
})

describe('its size is bounded', () => {
  // One octet that many times, without the many arrays that a builder would make.
  const wrapped = (tag: number, length: number) => {
    const header = [tag, 0x84, ...[24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff)]
    const octets = Buffer.alloc(header.length + length)
    octets.set(header)
    return octets
  }

  test('as a whole: at the limit it is read, beyond it is not looked at', () => {
    const octets = wrapped(0x30, limits.crlBytes - 6)
    expect(octets).toHaveLength(limits.crlBytes)
    expect(() => CertificateRevocationList.parse(octets)).toThrow('expected tag 0x30, found 0x00')
    expect(() => CertificateRevocationList.parse(wrapped(0x30, limits.crlBytes - 5))).toThrow(
      new DerError(`longer than ${limits.crlBytes} octets`, 0),
    )
  })

  test('and but for its entries, which are read in slices', () => {
    const withExtension = (octets: number, entries: number) =>
      crlDer({
        extensions: [extension('1.2.3.4', new Uint8Array(octets))],
        entries: Array.from({ length: entries }, (_, n) => entry(n)),
      })
    const rest = withExtension(100_000, 1).length - 100_000 - entry(0).length
    const most = limits.crlHeadBytes - rest
    expect(crlRefusal(withExtension(most, 1))).toBeUndefined()
    expect(crlRefusal(withExtension(most + 1, 1))).toBe(`longer than ${limits.crlHeadBytes} octets without its entries`)
    const many = Math.ceil(limits.crlHeadBytes / entry(1000).length)
    expect(crlRefusal(withExtension(1_000, many))).toBeUndefined()
  })

  test('in the number of its extensions', () => {
    const numbered = (count: number) => Array.from({ length: count }, (_, n) => extension(`1.2.3.${n}`, nothing()))
    expect(refusalOf({ extensions: numbered(limits.extensions) })).toBeUndefined()
    expect(refusalOf({ extensions: numbered(limits.extensions + 1) })).toBe('too many extensions')
  })
})

describe('whatever the octets, the answer is a CRL or a DerError', () => {
  let authority: TestAuthority
  let real: Uint8Array
  beforeAll(async () => {
    authority = await createTestAuthority()
    const crl = await authority.crl({
      number: 2n ** 100n,
      baseNumber: 1,
      issuingDistributionPoint: {
        fullName: { uri: ['http://crl.example/a.crl'], directory: ['CN=a'] },
        onlyContainsUserCerts: true,
        onlySomeReasons: ['keyCompromise'],
        indirectCRL: true,
      },
      revoked: [
        { serialNumber: '01' },
        { serialNumber: `7f${'ab'.repeat(19)}`, reason: 'keyCompromise' },
        { serialNumber: '-80', certificateIssuer: 'CN=b,O=c', invalidityDate: new Date('2020-01-01T00:00:00Z') },
        { serialNumber: '03', reason: 'removeFromCRL', extensions: [{ oid: '1.2.3', value: Uint8Array.of(5, 0) }] },
      ],
    })
    real = crl.der
  })

  test('every bit turned over', () => {
    expect(crlRefusal(real)).toBeUndefined()
    let refused = 0
    for (let bit = 0; bit < real.length * 8; bit++) {
      const der = Uint8Array.from(real)
      der[bit >> 3] = (der[bit >> 3] as number) ^ (0x80 >> (bit & 7))
      if (crlRefusal(der) !== undefined) refused++
    }
    expect(refused).toBeGreaterThan(real.length * 2)
    expect(refused).toBeLessThan(real.length * 8)
  })

  test('octets put in, taken out and replaced', () => {
    const mutation = fc.record({ at: fc.nat(), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) })
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        let der = real
        for (const { at, remove, insert } of mutations) {
          const place = at % der.length
          der = concat(der.subarray(0, place), insert, der.subarray(place + remove))
        }
        crlRefusal(der)
      }),
      { numRuns: 3_000, interruptAfterTimeLimit: 15_000 },
    )
  })

  test('and what is read is what came', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 20 }),
        fc.bigInt({ min: 0n, max: 2n ** 160n - 1n }),
        (text, n) => {
          const crl = parseCrl({ issuer: commonName(text), extensions: [crlNumber(n)] })
          expect(crl.issuer.get('CN')).toBe(text)
          expect(crl.extensions.cRLNumber).toBe(n)
        },
      ),
    )
  })
})
