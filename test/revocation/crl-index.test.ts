import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { limits } from '../../src/limits.js'
import { CrlIndex, indexEntries, indexEntriesNow } from '../../src/revocation/crl-index.js'
import { createTestPki, type TestPki, type TestRevocation } from '../../src/testing.js'
import { CertificateRevocationList } from '../../src/x509/crl.js'
import { CRLReason } from '../../src/x509/crl-entry.js'
import { DistinguishedName } from '../../src/x509/name.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  certificateIssuer,
  crlDer,
  crlNumber,
  crlRefusal,
  directoryName,
  entry,
  indexOf,
  indirect,
  invalidityDate,
  newYear,
  parseCrl,
  plainEntry,
  plainSerial,
  reasonCode,
  serial,
  unknownExtension,
} from '../support/crl-der.js'
import {
  attribute,
  CN,
  concat,
  extension,
  generalizedTime,
  integer,
  name,
  nothing,
  primitive,
  printable,
  seq,
  utcTime,
} from '../support/der-builder.js'

const issuer = DistinguishedName.parse('CN=issuer')
const inNewYear = Date.UTC(2026, 0, 1)

let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki()
})

/** The index of a CRL with these entries, and what it says of a serial number. */
function listing(...entries: Uint8Array[]) {
  const index = indexOf({ entries })
  return { index, find: (value: bigint | number, by = issuer) => index.find(serial(value), by) }
}
const refusalOf = (...entries: Uint8Array[]) => crlRefusal(crlDer({ entries }))

describe('what a CRL lists is found', () => {
  test('by the serial number of the certificate and its issuer', async () => {
    const [alice, mallory] = [await pki.issue(), await pki.issue()]
    const { der } = await pki.crl({
      revoked: [{ serialNumber: mallory, reason: 'keyCompromise', date: new Date('2026-02-03T04:05:06Z') }],
    })
    const crl = CertificateRevocationList.parse(der)
    const index = await indexEntries(crl)
    const octets = (hex: string) => serial(BigInt(`0x${hex}`))
    expect(index.find(octets(mallory.serialNumber), crl.issuer)).toEqual({
      revocationDate: Date.UTC(2026, 1, 3, 4, 5, 6),
      reason: CRLReason.keyCompromise,
    })
    expect(index.find(octets(alice.serialNumber), crl.issuer)).toBeUndefined()
    expect(index.size).toBe(1)
  })

  test('never by the serial number alone: another CA counts from 1 too', () => {
    const { find } = listing(entry(1))
    expect(find(1)).toEqual({ revocationDate: inNewYear, reason: undefined })
    expect(find(1, DistinguishedName.parse('CN=other'))).toBeUndefined()
    expect(find(1, DistinguishedName.parse('CN=issuer,O=a'))).toBeUndefined()
  })

  test('issuers are compared as names, not as octets', () => {
    const written = name([attribute(CN, printable('ISSUER  '))])
    const index = indexOf({ issuer: written, entries: [entry(1)] })
    expect(index.find(serial(1), issuer)).toBeDefined()
  })

  test.each<[string, number | bigint]>([
    ['zero', 0],
    ['one octet', 127],
    ['one octet and the sign’s', 128],
    ['minus one', -1],
    ['minus 128', -128],
    ['minus 129', -129],
    ['20 octets', 2n ** 159n - 1n],
    ['20 octets and the sign’s', 2n ** 160n - 1n],
    ['the lowest of 20 octets', -(2n ** 159n)],
  ])('whatever the serial number: %s', (_, value) => {
    const { find } = listing(entry(value))
    expect(find(value)).toBeDefined()
    for (const other of [1n, 256n, 2n ** 64n]) expect(find(BigInt(value) + other)).toBeUndefined()
    expect(find(-BigInt(value) - 1n)).toBeUndefined()
  })

  test('not by octets that are no serial number of a certificate', () => {
    const { index } = listing(entry(1))
    for (const octets of [[], [0, 1], [1, 0], new Array(22).fill(1), new Array(100).fill(1)]) {
      expect(index.find(Uint8Array.from(octets), issuer)).toBeUndefined()
    }
    expect(index.find(Uint8Array.of(1), issuer)).toBeDefined()
  })

  test('with every reason there is', () => {
    const codes = Object.values(CRLReason)
    const { find } = listing(...codes.map((code) => entry(code + 100, reasonCode(code))))
    for (const code of codes) expect(find(code + 100)?.reason).toBe(code)
  })

  test('with the date since when it was invalid', () => {
    const { find } = listing(
      entry(1, invalidityDate('20250203040506Z')),
      entry(2, reasonCode(1), invalidityDate('20250203040507Z')),
      entry(3, reasonCode(1)),
    )
    expect(find(1)).toEqual({
      revocationDate: inNewYear,
      reason: undefined,
      invalidityDate: Date.UTC(2025, 1, 3, 4, 5, 6),
    })
    expect(find(2)).toMatchObject({ reason: 1, invalidityDate: Date.UTC(2025, 1, 3, 4, 5, 7) })
    expect(find(3)).not.toHaveProperty('invalidityDate')
  })

  test('with a date from 2050 on, or on the last day of a month', () => {
    const { find } = listing(
      seq(integer(1), generalizedTime('20500101000000Z')),
      seq(integer(2), utcTime('240229235959Z')),
      seq(integer(3), utcTime('500131000000Z'), seq(reasonCode(4))),
    )
    expect(find(1)?.revocationDate).toBe(Date.UTC(2050, 0, 1))
    expect(find(2)?.revocationDate).toBe(Date.UTC(2024, 1, 29, 23, 59, 59))
    expect(find(3)).toEqual({ revocationDate: Date.UTC(1950, 0, 31), reason: 4 })
  })

  test('beside unknown extensions that are not critical', () => {
    const { find, index } = listing(entry(1, unknownExtension(false), reasonCode(3)), entry(2))
    expect(find(1)?.reason).toBe(3)
    expect(index.unknownCriticalExtension).toBeUndefined()
  })

  test('in an entry of more than 127 octets', () => {
    const long = extension('1.2.3', new Uint8Array(300))
    const { find, index } = listing(entry(1), entry(2, long, reasonCode(5)), entry(3))
    expect(index.size).toBe(3)
    expect([find(1), find(2)?.reason, find(3)?.reason]).toEqual([expect.anything(), 5, undefined])
  })

  test('in a version 1 CRL', () => {
    const index = indexOf({ version: undefined, extensions: undefined, entries: [entry(7)] })
    expect(index.find(serial(7), issuer)).toBeDefined()
    expect(index.find(serial(8), issuer)).toBeUndefined()
  })

  test('in a CRL that lies in the middle of a larger buffer', () => {
    const der = crlDer({ entries: [entry(5, reasonCode(1)), entry(6)] })
    const index = indexEntriesNow(
      CertificateRevocationList.parse(concat([9, 9, 9], der, [9]).subarray(3, 3 + der.length)),
    )
    expect(index.find(serial(5), issuer)?.reason).toBe(1)
    expect(index.find(serial(6), issuer)).toBeDefined()
    expect(index.find(serial(7), issuer)).toBeUndefined()
  })

  test('nothing in a CRL without entries', () => {
    expect(indexOf({}).find(serial(1), issuer)).toBeUndefined()
    expect(indexOf({}).size).toBe(0)
  })
})

describe('several entries for one certificate', () => {
  const released = entry(1, reasonCode(CRLReason.removeFromCRL))
  const held = entry(1, reasonCode(CRLReason.certificateHold))

  test('removeFromCRL alone is told as that: in a delta CRL it releases', () => {
    expect(listing(released).find(1)?.reason).toBe(CRLReason.removeFromCRL)
  })

  test.each([
    ['first', [released, held]],
    ['last', [held, released]],
    ['all around', [released, released, held, released]],
  ])('revoked wins over removeFromCRL, which stands %s', (_, entries) => {
    expect(listing(...entries).find(1)?.reason).toBe(CRLReason.certificateHold)
  })

  test('among those that revoke it is the first', () => {
    const { find, index } = listing(entry(1, reasonCode(4)), entry(2), entry(1, reasonCode(1)), entry(1))
    expect(find(1)?.reason).toBe(4)
    expect(index.size).toBe(4)
  })

  test('are looked at up to a number, and beyond it the CRL is refused', () => {
    const repeated = (count: number) => new Array(count).fill(released)
    const most = limits.crlCandidates
    expect(refusalOf(...repeated(most - 1), held)).toBeUndefined()
    expect(listing(...repeated(most - 1), held).find(1)?.reason).toBe(CRLReason.certificateHold)
    expect(refusalOf(...repeated(most), held)).toBe('too many entries for one serial number')
  })

  test('whose number is beyond it in a CRL that goes by partitions', () => {
    const others = Array.from({ length: 140_000 }, (_, n) => plainEntry(n))
    const crlOf = (count: number) => parseCrl({ entries: [...others, ...new Array(count).fill(released)] })
    expect(indexEntriesNow(crlOf(30)).find(serial(1), issuer)?.reason).toBe(CRLReason.removeFromCRL)
    expect(() => indexEntriesNow(crlOf(limits.crlCandidates + 1))).toThrow('too many entries for one serial number')
  })
})

describe('an indirect CRL', () => {
  const extensions = [crlNumber(1), indirect]
  const nameOf = (cn: string) => DistinguishedName.parse(`CN=${cn}`)
  const by = (cn: string) => certificateIssuer(directoryName(cn))
  const indirectIndex = (...entries: Uint8Array[]) => indexOf({ extensions, entries })

  test('names an issuer that holds until the next is named', () => {
    const index = indirectIndex(
      entry(1),
      entry(2, by('a')),
      entry(3),
      entry(4, reasonCode(1)),
      entry(5, by('b'), reasonCode(2)),
      entry(6),
      entry(7, by('issuer')),
      entry(8),
    )
    const owners = { issuer: [1, 7, 8], a: [2, 3, 4], b: [5, 6] }
    for (const [owner, own] of Object.entries(owners)) {
      for (let n = 0; n <= 9; n++) {
        expect([owner, n, index.find(serial(n), nameOf(owner)) !== undefined]).toEqual([owner, n, own.includes(n)])
      }
    }
    expect(index.unknownCriticalExtension).toBeUndefined()
  })

  test('may list one serial number of many issuers', () => {
    const count = 500
    const entries = Array.from({ length: count }, (_, n) => entry(1, by(`ca ${n}`), reasonCode(n % 7)))
    const index = indirectIndex(...entries)
    for (let n = 0; n < count; n++) expect(index.find(serial(1), nameOf(`ca ${n}`))?.reason).toBe(n % 7)
    expect(index.find(serial(1), nameOf(`ca ${count}`))).toBeUndefined()
    expect(index.find(serial(1), issuer)).toBeUndefined()
  })

  test('may name the same issuer on every entry, in several spellings', () => {
    const index = indirectIndex(entry(1, by('Ca A')), entry(2, by('ca  a')), entry(3, by('b')), entry(4, by('CA A')))
    for (const n of [1, 2, 4]) expect(index.find(serial(n), nameOf('ca a'))).toBeDefined()
    expect(index.find(serial(3), nameOf('ca a'))).toBeUndefined()
  })

  test('may name an issuer in several ways at once, and is found by each', () => {
    const index = indirectIndex(
      entry(1, certificateIssuer(primitive(2, Buffer.from('ca.example')), directoryName('a'), directoryName('b'))),
      entry(2, certificateIssuer(directoryName('b'))),
    )
    expect(['a', 'b', 'c'].map((cn) => index.find(serial(1), nameOf(cn)) !== undefined)).toEqual([true, true, false])
    expect(['a', 'b', 'c'].map((cn) => index.find(serial(2), nameOf(cn)) !== undefined)).toEqual([false, true, false])
  })

  test('ascribes an entry to the issuer it names also where that is not critical, as it has to be', () => {
    const notCritical = extension(known.certificateIssuer, seq(directoryName('a')))
    const index = indirectIndex(entry(1, notCritical), entry(2))
    for (const n of [1, 2]) {
      expect(index.find(serial(n), nameOf('a'))).toBeDefined()
      expect(index.find(serial(n), issuer)).toBeUndefined()
    }
  })

  test('that says nothing of being one, or names nobody, must not be used', () => {
    const direct = indexOf({ entries: [entry(1, by('a'))] })
    expect(direct.unknownCriticalExtension).toBe(known.certificateIssuer)
    const nobody = certificateIssuer(primitive(2, Buffer.from('ca.example')))
    expect(indirectIndex(entry(1, nobody)).unknownCriticalExtension).toBe(known.certificateIssuer)
    expect(indirectIndex(entry(1)).unknownCriticalExtension).toBeUndefined()
  })

  test('has so many issuers and no more', () => {
    const most = limits.crlIssuers - 1 // and the CRL's own
    const entries = Array.from({ length: most }, (_, n) => entry(n, by(`ca ${n}`)))
    const index = indirectIndex(...entries, entry(most, by('ca 0')))
    expect(index.find(serial(most), nameOf('ca 0'))).toBeDefined()
    const one = crlDer({ extensions, entries: [...entries, entry(most, by('one more'))] })
    expect(crlRefusal(one)).toBe('too many certificate issuers')
    const several = certificateIssuer(...Array.from({ length: 3 }, (_, n) => directoryName(`x ${n}`)))
    expect(crlRefusal(crlDer({ extensions, entries: [...entries.slice(2), entry(1, several)] }))).toBe(
      'too many certificate issuers',
    )
    const reversed = certificateIssuer(...[2, 1, 0].map((n) => directoryName(`x ${n}`)))
    const full = [...entries.slice(3), entry(1, several), entry(2, reversed)]
    expect(crlRefusal(crlDer({ extensions, entries: full }))).toBeUndefined()
  })

  test('of mtls-identity/testing', async () => {
    const revoked: TestRevocation[] = [
      { serialNumber: '01' },
      { serialNumber: '02', certificateIssuer: 'CN=a,O=b', reason: 'superseded' },
      { serialNumber: '01' },
    ]
    const { der } = await pki.crl({ revoked, issuingDistributionPoint: { indirectCRL: true } })
    const crl = CertificateRevocationList.parse(der)
    const index = indexEntriesNow(crl)
    const other = DistinguishedName.parse('CN=a,O=b')
    expect(index.find(serial(1), crl.issuer)).toBeDefined()
    expect(index.find(serial(2), crl.issuer)).toBeUndefined()
    expect(index.find(serial(2), other)?.reason).toBe(CRLReason.superseded)
    expect(index.find(serial(1), other)).toBeDefined()
  })
})

describe('an unknown critical extension of any entry', () => {
  test('is told, wherever it stands', () => {
    for (const place of [0, 1, 999, 2_499]) {
      const entries = Array.from({ length: 2_500 }, (_, n) =>
        n === place ? entry(n, unknownExtension(true)) : entry(n, reasonCode(1)),
      )
      expect(indexOf({ entries }).unknownCriticalExtension).toBe('1.2.3.4')
    }
  })

  test('of several it is the first', () => {
    const other = extension('1.2.3.5', nothing(), true)
    expect(indexOf({ entries: [entry(1), entry(2, other), entry(3, unknownExtension(true))] })).toMatchObject({
      unknownCriticalExtension: '1.2.3.5',
    })
    expect(indexOf({ entries: [entry(1, other, unknownExtension(true))] }).unknownCriticalExtension).toBe('1.2.3.5')
  })

  test('leaves nothing to be found, neither there nor elsewhere', () => {
    const { find } = listing(entry(1), entry(2, unknownExtension(true)))
    for (const n of [1, 2, 3]) expect(() => find(n)).toThrow('a CRL with the critical extension 1.2.3.4 says nothing')
  })

  test('nor does one of the CRL itself', () => {
    const index = indexOf({ entries: [entry(1)], extensions: [unknownExtension(true)] })
    expect(index.unknownCriticalExtension).toBeUndefined()
    expect(() => index.find(serial(1), issuer)).toThrow('a CRL with the critical extension 1.2.3.4 says nothing')
  })
})

describe('every serial number put in is found, and no other', () => {
  const value = fc.oneof(
    fc.bigInt({ min: -(2n ** 159n), max: 2n ** 160n - 1n }),
    fc.bigInt({ min: -200n, max: 300n }),
    fc.constantFrom(0n, -1n, 127n, 128n, -128n, -129n, 2n ** 159n, 2n ** 160n - 1n, -(2n ** 159n), 2n ** 152n),
    fc.integer({ min: 0, max: 160 }).map((bits) => 2n ** BigInt(bits) - 1n),
  )
  const shape = fc.constantFrom<readonly Uint8Array[]>(
    [],
    [],
    [reasonCode(1)],
    [reasonCode(9), invalidityDate('20200101000000Z')],
    [unknownExtension(false)],
    [extension('1.2.3', new Uint8Array(150))],
  )
  const some = fc.uniqueArray(fc.tuple(value, shape), { selector: ([number]) => number, maxLength: 60 })

  test.each([undefined, 1, 2, 5])('in a table of 2^%s buckets', (bits) => {
    fc.assert(
      fc.property(some, fc.array(value, { maxLength: 60 }), (listed, others) => {
        const crl = parseCrl({ entries: listed.map(([number, extensions]) => entry(number, ...extensions)) })
        const index = finish(CrlIndex.build(crl, bits))
        const inside = new Set(listed.map(([number]) => number))
        expect(index.size).toBe(listed.length)
        for (const number of inside) expect(index.find(serial(number), issuer)).toBeDefined()
        for (const number of others) {
          expect(index.find(serial(number), issuer) !== undefined).toBe(inside.has(number))
        }
      }),
      { numRuns: 150, interruptAfterTimeLimit: 10_000 },
    )
  })

  test('in a CRL of 200,000 entries that goes by partitions', async () => {
    const count = 200_000
    const serials = Array.from({ length: count }, () => {
      const octets = randomBytes(16)
      octets[0] = 0x40 | ((octets[0] as number) & 0x3f)
      return octets
    })
    const lone = Buffer.from(seq(reasonCode(1)))
    const parts = serials.map((octets, n) => {
      const isLong = n % 3 === 0
      const length = 33 + (isLong ? lone.length : 0)
      return Buffer.concat([Buffer.from([0x30, length, 2, 16]), octets, newYear, ...(isLong ? [lone] : [])])
    })
    const index = await indexEntries(parseCrl({ entries: parts }))
    expect(index.size).toBe(count)
    let found = 0
    for (const [n, octets] of serials.entries()) {
      if (index.find(octets, issuer)?.reason === (n % 3 === 0 ? 1 : undefined)) found++
    }
    expect(found).toBe(count)
    let strangers = 0
    for (const octets of serials) {
      octets[15] = (octets[15] as number) ^ 0xff
      if (index.find(octets, issuer) !== undefined) strangers++
    }
    expect(strangers).toBe(0)
    expect(index.byteLength / count).toBeLessThanOrEqual(12)
  }, 60_000)

  test('serial numbers that are counted, or differ in one octet only, do not crowd', () => {
    const [from, octets] = [4, 16]
    const series = (count: number, place: number) =>
      Array.from({ length: count }, (_, n) => {
        const plain = Buffer.alloc(4 + octets)
        plain.set([0x30, 2 + octets + newYear.length, 2, octets, 0x55])
        plain.writeUIntBE(n, place, 3)
        return Buffer.concat([plain, newYear])
      })
    for (const place of [5, 10, 17]) {
      const entries = series(50_000, place)
      const index = indexEntriesNow(parseCrl({ entries }))
      expect(entries.every((each) => index.find(each.subarray(from, from + octets), issuer) !== undefined)).toBe(true)
    }
  }, 60_000)
})

function finish(work: Generator<void, CrlIndex>): CrlIndex {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}

describe('a CRL is indexed in slices', () => {
  const many: Uint8Array[] = Array.from({ length: 60_000 }, (_, n) => plainEntry(n))
  const crl = parseCrl({ entries: many })

  test('between which other work is done', async () => {
    let turns = 0
    let isDone = false
    const other = () => {
      turns++
      if (!isDone) setImmediate(other)
    }
    other()
    const index = await indexEntries(crl)
    isDone = true
    expect(index.size).toBe(60_000)
    expect(turns).toBeGreaterThan(crl.entries.length / 200_000)
  })

  test('and the caller may say how to pause', async () => {
    let pauses = 0
    const index = await indexEntries(crl, () => {
      pauses++
      return pauses % 2 === 0 ? undefined : Promise.resolve()
    })
    expect(pauses).toBeGreaterThanOrEqual(Math.floor(crl.entries.length / 262_144))
    expect(index.find(plainSerial(59_999), issuer)).toBeDefined()
  })

  test('a pause that fails fails the indexing', async () => {
    await expect(indexEntries(crl, () => Promise.reject(new Error('closed')))).rejects.toThrow('closed')
  })

  test('entries that cost more than others make shorter slices', async () => {
    const costly = (n: number) => entry(n, certificateIssuer(directoryName(`ca ${n % 500}`)), reasonCode(1))
    const entries = Buffer.concat(Array.from({ length: 4_000 }, (_, n) => costly(n)))
    const slow = parseCrl({ entries, extensions: [crlNumber(1), indirect] })
    let pauses = 0
    await indexEntries(slow, () => {
      pauses++
      return undefined
    })
    expect(pauses).toBeGreaterThan((32 * entries.length) / 300_000)
  })

  test('of which the first are small, because the code may never have run', async () => {
    let pauses = 0
    await indexEntries(parseCrl({ entries: many.slice(0, 1_000) }), () => {
      pauses++
      return undefined
    })
    expect(pauses).toBe(2) // after 4 and 12 KB
  })

  test('and one of them malformed rejects, in whichever slice it is', async () => {
    for (const place of [0, 30_000, 59_999]) {
      const entries = many.with(place, entry(1, reasonCode(7)))
      await expect(indexEntries(parseCrl({ entries }))).rejects.toThrow('reasonCode is none of RFC 5280')
    }
  })
})
