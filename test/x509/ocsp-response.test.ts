import { describe, expect, test } from '@jest/globals'
import { DerError } from '../../src/der/reader.js'
import { limits } from '../../src/limits.js'
import { type BasicOcspResponse, readOcspResponse } from '../../src/x509/ocsp-response.js'
import {
  basicResponse,
  byKey,
  byName,
  certIdDer,
  digest,
  ecdsaWithSha256,
  errorResponse,
  generalizedTime,
  good,
  hashOid,
  nonceExtension,
  pointOf,
  type ResponsePlan,
  respond,
  responseData,
  revoked,
  serialOf,
  singleDer,
  unknown,
  wrap,
} from '../support/ocsp-forge.js'
import {
  bitString,
  constructed,
  extensionDer,
  integer,
  octetString,
  oid,
  primitive,
  sequence,
  tlv,
} from '../support/path-der.js'
import { forge, fromNoon, noon } from '../support/path-forge.js'

const ca = forge({ subject: 'CA' })
const leaf = forge({ subject: 'alice', issuer: ca })
const certId = certIdDer({ name: ca.subject, point: pointOf(ca.key), serial: serialOf(leaf) })

const read = (plan: ResponsePlan = {}): BasicOcspResponse => {
  const response = readOcspResponse(respond(certId, ca, plan))
  if (response.status !== 'successful') throw new Error(response.status)
  return response.basic
}

const reasonOf = (octets: Uint8Array): string => {
  try {
    readOcspResponse(octets)
    return 'read'
  } catch (error) {
    if (error instanceof DerError) return error.message
    throw error
  }
}
const reasonFor = (plan: ResponsePlan) => reasonOf(respond(certId, ca, plan))
/** ResponseData of any shape, signed. */
const signedData = (...fields: Uint8Array[]) => wrap(basicResponse(sequence(...fields), ca.key))
const dataFields = (single = singleDer(certId)) => [byKey(ca.key), generalizedTime(noon), sequence(single)]

describe('a response is read', () => {
  test('every field', () => {
    const basic = read({ extensions: [nonceExtension(Buffer.alloc(32, 1))], certificates: [leaf.der] })
    expect(basic.responderId).toEqual({ type: 'byKey', keyHash: Buffer.from(digest('sha1', pointOf(ca.key))) })
    expect(basic.producedAt).toBe(fromNoon(-60).getTime())
    expect(basic.signatureAlgorithm.oid).toBe('1.2.840.10045.4.3.2')
    expect(basic.certificates.map((der) => Buffer.from(der))).toEqual([Buffer.from(leaf.der)])
    expect(basic.extensions.map((extension) => [extension.oid, extension.critical])).toEqual([
      ['1.3.6.1.5.5.7.48.1.2', false],
    ])
    const [single] = basic.responses
    expect(single?.certId).toEqual({
      hashAlgorithm: hashOid.sha1,
      issuerNameHash: Buffer.from(digest('sha1', ca.subject)),
      issuerKeyHash: Buffer.from(digest('sha1', pointOf(ca.key))),
      serialNumber: Buffer.from(serialOf(leaf)),
    })
    expect(single).toMatchObject({
      status: { status: 'good' },
      thisUpdate: fromNoon(-60).getTime(),
      nextUpdate: fromNoon(3600).getTime(),
    })
  })

  test('a responder that is named by its name', () => {
    const { responderId } = read({ responderId: byName(ca.subject) })
    expect(responderId.type === 'byName' && responderId.name.toString()).toBe('CN=CA')
  })

  test.each([
    ['good', good, { status: 'good' }],
    ['unknown', unknown, { status: 'unknown' }],
    [
      'revoked without a reason',
      revoked(noon),
      { status: 'revoked', revocationTime: noon.getTime(), reason: undefined },
    ],
    [
      'revoked, keyCompromise',
      revoked(noon, 1),
      { status: 'revoked', revocationTime: noon.getTime(), reason: 'keyCompromise' },
    ],
    ['on hold', revoked(noon, 6), { status: 'revoked', revocationTime: noon.getTime(), reason: 'certificateHold' }],
    [
      'revoked with the unused reason 7',
      revoked(noon, 7),
      { status: 'revoked', revocationTime: noon.getTime(), reason: undefined },
    ],
    [
      'revoked with a reason of the future',
      revoked(noon, 42),
      { status: 'revoked', revocationTime: noon.getTime(), reason: undefined },
    ],
  ])('a certificate that is %s', (_, status, expected) => {
    expect(read({ singles: [{ status }] }).responses[0]?.status).toEqual(expected)
  })

  test('nextUpdate may be absent', () => {
    expect(read({ singles: [{ nextUpdate: false }] }).responses[0]?.nextUpdate).toBeUndefined()
  })

  test('version 1 written out is read', () => {
    expect(read({ version: constructed(0, integer(0)) }).responses).toHaveLength(1)
    expect(reasonFor({ version: constructed(0, integer(1)) })).toBe('version is not 1')
  })

  test('an empty list of certificates is read', () => {
    expect(read({ certificates: [] }).certificates).toEqual([])
  })

  test('a CertID whose hash algorithm has no parameters is read; one with others is not', () => {
    const bare = certIdDer({
      name: ca.subject,
      point: pointOf(ca.key),
      serial: serialOf(leaf),
      parameters: Uint8Array.of(),
    })
    expect(read({ singles: [{ certId: bare }] }).responses[0]?.certId.hashAlgorithm).toBe(hashOid.sha1)
    const odd = certIdDer({ name: ca.subject, point: pointOf(ca.key), serial: serialOf(leaf), parameters: integer(1) })
    expect(reasonFor({ singles: [{ certId: odd }] })).toBe('hashAlgorithm has parameters')
  })

  test.each([
    [1, 'malformedRequest'],
    [2, 'internalError'],
    [3, 'tryLater'],
    [5, 'sigRequired'],
    [6, 'unauthorized'],
  ])('the error %i', (number, status) => {
    expect(readOcspResponse(errorResponse(number))).toEqual({ status })
  })
})

describe('what is not a response in DER is refused', () => {
  const whole = respond(certId, ca)
  const basic = basicResponse(responseData(certId, ca.key), ca.key)
  test.each<[string, Uint8Array, string]>([
    ['nothing', Uint8Array.of(), 'element is cut off'],
    ['HTML', Buffer.from('<html>'), 'element is longer than what holds it'],
    ['octets after it', Uint8Array.from([...whole, 0]), 'unexpected element or trailing octets'],
    ['the unused status 4', errorResponse(4), 'responseStatus is not one of RFC 6960'],
    ['a status of the future', errorResponse(7), 'responseStatus is not one of RFC 6960'],
    ['a status that is an INTEGER', sequence(tlv(2, [6])), 'expected tag 0x0a, found 0x02'],
    ['success without a response', errorResponse(0), 'element is cut off'],
    [
      'an error with a response',
      sequence(tlv(0x0a, [6]), constructed(0, sequence())),
      'unexpected element or trailing octets',
    ],
    ['another type of response', wrap(basic, '1.3.6.1.5.5.7.48.1.99'), 'responseType is not id-pkix-ocsp-basic'],
    [
      'octets after the basic response',
      wrap(Uint8Array.from([...basic, 5, 0])),
      'unexpected element or trailing octets',
    ],
    [
      'something after responseBytes',
      sequence(tlv(0x0a, [0]), constructed(0, sequence(oid('1.3.6.1.5.5.7.48.1.1'), octetString(basic))), tlv(5)),
      'unexpected element or trailing octets',
    ],
    ['no responses', signedData(byKey(ca.key), generalizedTime(noon), sequence()), 'element is cut off'],
    [
      'something after the extensions',
      signedData(...dataFields(), constructed(1, sequence(extensionDer(nonceExtension(Buffer.alloc(4))))), tlv(5)),
      'unexpected element or trailing octets',
    ],
    ['an empty list of extensions', signedData(...dataFields(), constructed(1, sequence())), 'element is cut off'],
    ['no responderID', signedData(generalizedTime(noon), sequence(singleDer(certId))), 'expected tag 0xa2, found 0x18'],
    [
      'a KeyHash of 32 octets',
      signedData(constructed(2, octetString(Buffer.alloc(32))), generalizedTime(noon), sequence(singleDer(certId))),
      'KeyHash is no SHA-1 hash',
    ],
    [
      'producedAt as UTCTime',
      signedData(byKey(ca.key), tlv(0x17, Buffer.from('261120120000Z')), sequence(singleDer(certId))),
      'expected tag 0x18, found 0x17',
    ],
    [
      'a signature that is not whole octets',
      wrap(sequence(responseData(certId, ca.key), ecdsaWithSha256, tlv(3, [1, 0x80]))),
      'BIT STRING is not whole octets',
    ],
    [
      'certificates that are none',
      wrap(
        sequence(
          responseData(certId, ca.key),
          ecdsaWithSha256,
          bitString([0]),
          constructed(0, sequence(octetString([1]))),
        ),
      ),
      'expected tag 0x30, found 0x04',
    ],
  ])('%s', (_, octets, reason) => {
    expect(reasonOf(octets)).toBe(reason)
  })

  test.each<[string, ResponsePlan, string]>([
    [
      'a time with a fraction of a second',
      { singles: [{ thisUpdate: '20261120115900.5Z' }] },
      'time is not in the form seconds and Z',
    ],
    ['a time without seconds', { singles: [{ thisUpdate: '202611201159Z' }] }, 'time is not in the form seconds and Z'],
    ['a local time', { producedAt: '20261120115900+0100' }, 'time is not in the form seconds and Z'],
    [
      'a day that is not in the calendar',
      { singles: [{ nextUpdate: '20270230000000Z' }] },
      'time is not a date of the calendar',
    ],
    [
      'nextUpdate before thisUpdate',
      { singles: [{ thisUpdate: noon, nextUpdate: fromNoon(-1) }] },
      'nextUpdate is before thisUpdate',
    ],
    ['good with contents', { singles: [{ status: primitive(0, [0]) }] }, 'certStatus is not an empty NULL'],
    ['unknown with contents', { singles: [{ status: primitive(2, [0]) }] }, 'certStatus is not an empty NULL'],
    ['a status of no kind', { singles: [{ status: primitive(3, []) }] }, 'certStatus is not good, revoked or unknown'],
    [
      'good that is constructed',
      { singles: [{ status: constructed(0) }] },
      'certStatus is not good, revoked or unknown',
    ],
    ['revoked without a time', { singles: [{ status: constructed(1) }] }, 'element is cut off'],
    ['a negative reason', { singles: [{ status: revoked(noon, 0x80) }] }, 'INTEGER is negative'],
    [
      'the same extension twice',
      { extensions: [nonceExtension(Buffer.alloc(1)), nonceExtension(Buffer.alloc(2))] },
      'extension 1.3.6.1.5.5.7.48.1.2 twice',
    ],
  ])('%s', (_, plan, reason) => {
    expect(reasonFor(plan)).toBe(reason)
  })

  test('every prefix of a response', () => {
    for (let length = 0; length < whole.length; length++) expect(reasonOf(whole.subarray(0, length))).not.toBe('read')
  })
})

describe('bounds, from both sides', () => {
  test(`ocspResponses: ${limits.ocspResponses}`, () => {
    const singles = (count: number) => Array.from({ length: count }, () => ({}))
    expect(read({ singles: singles(limits.ocspResponses) }).responses).toHaveLength(limits.ocspResponses)
    expect(reasonFor({ singles: singles(limits.ocspResponses + 1) })).toBe('too many responses')
  })

  test(`ocspCertificates: ${limits.ocspCertificates}`, () => {
    const certificates = (count: number) => Array.from({ length: count }, () => leaf.der)
    expect(read({ certificates: certificates(limits.ocspCertificates) }).certificates).toHaveLength(
      limits.ocspCertificates,
    )
    expect(reasonFor({ certificates: certificates(limits.ocspCertificates + 1) })).toBe('too many certificates')
  })

  test(`extensions: ${limits.extensions} of a response and of each answer in it`, () => {
    const extensions = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ oid: `1.2.3.${i}`, critical: false, value: Uint8Array.of(5, 0) }))
    const [most, more] = [extensions(limits.extensions), extensions(limits.extensions + 1)]
    expect(read({ extensions: most, singles: [{ extensions: most }] }).extensions).toHaveLength(limits.extensions)
    expect(reasonFor({ extensions: more })).toBe('too many extensions')
    expect(reasonFor({ singles: [{ extensions: more }] })).toBe('too many extensions')
  })

  test(`ocspResponseBytes: ${limits.ocspResponseBytes}`, () => {
    const sized = (total: number) => {
      const rest = respond(certId, ca, { certificates: [sequence(octetString(Buffer.alloc(60_000)))] }).length - 60_000
      return respond(certId, ca, { certificates: [sequence(octetString(Buffer.alloc(total - rest)))] })
    }
    let octets = sized(limits.ocspResponseBytes)
    // ECDSA signatures differ in length by an octet or two.
    for (let i = 0; i < 200 && octets.length !== limits.ocspResponseBytes; i++) octets = sized(limits.ocspResponseBytes)
    expect(octets.length).toBe(limits.ocspResponseBytes)
    expect(reasonOf(octets)).toBe('read')
    for (let i = 0; i < 200 && octets.length !== limits.ocspResponseBytes + 1; i++)
      octets = sized(limits.ocspResponseBytes + 1)
    expect(octets.length).toBe(limits.ocspResponseBytes + 1)
    expect(reasonOf(octets)).toBe(`longer than ${limits.ocspResponseBytes} octets`)
  })
})
