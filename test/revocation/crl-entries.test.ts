import { describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { indexEntriesNow } from '../../src/revocation/crl-index.js'
import { CertificateRevocationList } from '../../src/x509/crl.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  certificateIssuer,
  crlDer,
  crlRefusal,
  entry,
  invalidityDate,
  newYear,
  reasonCode,
  unknownExtension,
} from '../support/crl-der.js'
import {
  attribute,
  boolean,
  CN,
  concat,
  extension,
  generalizedTime,
  integer,
  name,
  nothing,
  oid,
  printable,
  seq,
  tlv,
  utcTime,
} from '../support/der-builder.js'

const refusalOf = (...entries: Uint8Array[]) => crlRefusal(crlDer({ entries }))

describe('a malformed entry makes the CRL malformed', () => {
  const many = Array.from({ length: 2_000 }, (_, n) => entry(n + 5, reasonCode(1)))
  const reasonOf = (...octets: number[]) => extension(known.reasonCode, Uint8Array.from(octets))
  const cases: [what: string, malformed: Uint8Array, says: string][] = [
    ['that is no SEQUENCE', tlv(0x31, integer(1), newYear), 'expected tag 0x30, found 0x31'],
    ['that is empty', seq(), 'element is cut off'],
    ['with a serial number that is no INTEGER', seq(tlv(4, [1]), newYear), 'expected tag 0x02, found 0x04'],
    ['with an empty serial number', seq(tlv(2), newYear), 'INTEGER is empty'],
    ['with a serial number with a zero too many', seq(tlv(2, [0, 1]), newYear), 'INTEGER is not minimal'],
    ['with a serial number with an FF too many', seq(tlv(2, [0xff, 0x80]), newYear), 'INTEGER is not minimal'],
    ['with a serial number of 21 octets', entry(2n ** 160n), 'serialNumber is longer than 20 octets'],
    ['with a negative one of 21 octets', entry(-(2n ** 159n) - 1n), 'serialNumber is longer than 20 octets'],
    ['with a serial number of 22 octets', entry(2n ** 168n), 'serialNumber is longer than 20 octets'],
    ['without a date', seq(integer(1)), 'element is cut off'],
    ['with something else for a date', seq(integer(1), nothing()), 'expected a time'],
    ['without seconds', seq(integer(1), utcTime('2601010000Z')), 'time is not in the form seconds and Z'],
    [
      'with an offset from Greenwich',
      seq(integer(1), utcTime('260101000000+0100')),
      'time is not in the form seconds and Z',
    ],
    ['with a date that ends otherwise', seq(integer(1), utcTime('260101000000A')), 'time does not end in Z'],
    ['in the 13th month', seq(integer(1), utcTime('261301000000Z')), 'time is not a date of the calendar'],
    [
      'on 29 February of a common year',
      seq(integer(1), utcTime('260229000000Z')),
      'time is not a date of the calendar',
    ],
    ['at 24 o’clock', seq(integer(1), utcTime('260101240000Z')), 'time is not a date of the calendar'],
    ['with letters in its date', seq(integer(1), utcTime('2601O1000000Z')), 'time holds something other than digits'],
    [
      'with a fraction of a second',
      seq(integer(1), generalizedTime('20260101000000.5Z')),
      'time is not in the form seconds and Z',
    ],
    ['with an empty list of extensions', seq(integer(1), newYear, seq()), 'element is cut off'],
    [
      'with something after the extensions',
      seq(integer(1), newYear, seq(reasonCode(1)), nothing()),
      'unexpected element or trailing octets',
    ],
    ['with something in place of extensions', seq(integer(1), newYear, integer(1)), 'expected tag 0x30, found 0x02'],
    ['with an extension twice', entry(1, reasonCode(1), reasonCode(1)), 'extension 2.5.29.21 twice'],
    [
      'with critical FALSE',
      entry(1, seq(oid(known.reasonCode), boolean(0), tlv(4, tlv(10, [1])))),
      'critical FALSE is the DEFAULT and must not be written',
    ],
    ['with reason 7, which is not used', entry(1, reasonCode(7)), 'reasonCode is none of RFC 5280'],
    ['with reason 11', entry(1, reasonCode(11)), 'reasonCode is none of RFC 5280'],
    ['with reason 257', entry(1, reasonOf(10, 2, 1, 1)), 'reasonCode is none of RFC 5280'],
    ['with reason -1', entry(1, reasonOf(10, 1, 0xff)), 'INTEGER is negative'],
    ['with a reason that is an INTEGER', entry(1, reasonOf(2, 1, 1)), 'expected tag 0x0a, found 0x02'],
    ['with a reason with a zero too many', entry(1, reasonOf(10, 2, 0, 1)), 'INTEGER is not minimal'],
    [
      'with a reason and something after it',
      entry(1, reasonOf(10, 1, 1, 5, 0)),
      'unexpected element or trailing octets',
    ],
    [
      'with a UTCTime for an invalidity date',
      entry(1, extension(known.invalidityDate, newYear)),
      'invalidityDate is not a GeneralizedTime',
    ],
    [
      'with an invalidity date without seconds',
      entry(1, invalidityDate('202601010000Z')),
      'time is not in the form seconds and Z',
    ],
    ['with an issuer of no names', entry(1, certificateIssuer()), 'element is cut off'],
    [
      'with an issuer that is a Name, not GeneralNames',
      entry(1, certificateIssuer(name([attribute(CN, printable('a'))]))),
      'unknown form of name',
    ],
  ]

  test.each(cases)('%s', (_, malformed, says) => {
    expect(refusalOf(malformed)).toBe(says)
    expect(refusalOf(entry(1), malformed, entry(2))).toBe(says)
    expect(refusalOf(...many, malformed)).toBe(says)
  })

  test('and their twins are well-formed', () => {
    expect(
      refusalOf(
        entry(1),
        entry(2n ** 160n - 1n),
        seq(integer(1), utcTime('240229235959Z')),
        seq(integer(1), generalizedTime('20260101000000Z')),
        entry(1, reasonCode(1)),
        entry(1, seq(oid(known.reasonCode), boolean(0xff), tlv(4, tlv(10, [1])))),
        entry(1, invalidityDate('20260101000000Z')),
        entry(1, unknownExtension(false)),
      ),
    ).toBeUndefined()
  })

  test('octets after the last entry, and lengths that are not minimal', () => {
    const inside = (octets: Uint8Array) => crlRefusal(crlDer({ entries: [octets] }))
    expect(inside(concat(entry(1), [0]))).toBe('element is cut off')
    expect(inside(concat(entry(1), [5, 0]))).toBe('expected tag 0x30, found 0x05')
    const contents = entry(1).subarray(2)
    expect(inside(concat([0x30, 0x81, contents.length], contents))).toBe('length is not minimal')
    expect(inside(concat([0x30, 0x80], contents, [0, 0]))).toBe('indefinite length')
    expect(inside(concat([0x30, contents.length + 1], contents))).toBe('element is longer than what holds it')
    expect(inside(concat([0x30, contents.length - 1], contents))).toBeDefined()
    expect(inside(seq([2, 0x81, 1, 1], newYear))).toBe('length is not minimal')
    expect(inside(seq(integer(1), [0x17, 0x81, 13], Buffer.from('260101000000Z')))).toBe('length is not minimal')
  })

  test('an entry as long as may be, and one that is longer', () => {
    const ofLength = (length: number) => {
      const rest = entry(1, extension('1.2.3', new Uint8Array(1_000))).length - 1_000
      return entry(1, extension('1.2.3', new Uint8Array(length - rest)))
    }
    expect(ofLength(limits.crlEntryBytes)).toHaveLength(limits.crlEntryBytes)
    expect(refusalOf(ofLength(limits.crlEntryBytes))).toBeUndefined()
    expect(refusalOf(ofLength(limits.crlEntryBytes + 1))).toBe(
      `CRL entry is longer than ${limits.crlEntryBytes} octets`,
    )
  })

  test('as many extensions of one entry as may be, and one more', () => {
    const numbered = (count: number) => Array.from({ length: count }, (_, n) => extension(`1.2.3.${n}`, nothing()))
    expect(refusalOf(entry(1, ...numbered(limits.extensions)))).toBeUndefined()
    expect(refusalOf(entry(1, ...numbered(limits.extensions + 1)))).toBe('too many extensions')
  })

  test('and says where in the CRL', () => {
    const der = crlDer({ entries: [entry(1), entry(2, reasonCode(7)), entry(3)] })
    const error = (() => {
      try {
        indexEntriesNow(CertificateRevocationList.parse(der))
      } catch (thrown) {
        return thrown as { offset: number }
      }
    })()
    expect(der[error?.offset ?? 0]).toBe(7)
  })
})
