import { sign } from 'node:crypto'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestPki,
} from '../../src/testing.js'
import {
  day,
  field,
  fromNoon,
  nameDer,
  noon,
  printable,
  rebuild,
  refusalOf,
  second,
  tlv,
  utf8,
  validate,
  verdict,
} from '../support/pki.js'

// Keys take long to make where machines are busy.
jest.setTimeout(60_000)

let pki: TestPki
let stranger: TestAuthority

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  stranger = await createTestAuthority({ now: noon, subject: 'CN=Stranger' })
})

const SIGNATURE = 'ERR_CLIENT_CERT_SIGNATURE'
const flip = (octets: Uint8Array, at: number) =>
  octets.map((octet, i) => (i === (at + octets.length) % octets.length ? octet ^ 1 : octet))

describe('§6.1.3 (a)(1): the signature', () => {
  test('of every certificate verifies with the key of the next', async () => {
    const leaf = await pki.issue()
    const situation = { via: [pki.intermediate], anchors: [pki.root] }
    const result = await validate(leaf, situation)
    const [path, wanted] = [
      result.valid ? result.path : undefined,
      [leaf.certificate, pki.intermediate.certificate, pki.root.certificate],
    ]
    expect(path?.map((der) => Buffer.from(der).toString('hex'))).toEqual(
      wanted.map(({ der }) => Buffer.from(der).toString('hex')),
    )
  })

  test('P-01: made by another key is refused, for the leaf and for the intermediate', async () => {
    const leaf = await pki.issue({ signWith: stranger })
    expect(await verdict(leaf, { via: [pki.intermediate], anchors: [pki.root] })).toBe(`${SIGNATURE} @0`)
    const forged = await pki.root.issueAuthority({ subject: 'CN=Forged', signWith: stranger })
    expect(await verdict(await forged.issue(), { via: [forged], anchors: [pki.root] })).toBe(`${SIGNATURE} @1`)
  })

  test('with one bit turned over, in the signature or in what was signed, is refused', async () => {
    const { certificate } = await pki.root.issue({ subject: 'CN=alice' })
    expect(await verdict(certificate, { anchors: [pki.root] })).toBe('accepted')
    expect(await verdict({ der: flip(certificate.der, -1) }, { anchors: [pki.root] })).toBe(`${SIGNATURE} @0`)
    const text = Buffer.from(certificate.der).indexOf('alice')
    expect(await verdict({ der: flip(certificate.der, text) }, { anchors: [pki.root] })).toBe(`${SIGNATURE} @0`)
  })

  test('P-10: of zeros, of negative numbers, with octets after it, or empty is refused', async () => {
    const leaf = await pki.root.issue()
    const good = (tbs: Uint8Array) => sign('sha256', tbs, pki.root.key.pem)
    const of = (signature: (tbs: Uint8Array) => Uint8Array) =>
      verdict(rebuild(leaf, pki.root, { signature }), { anchors: [pki.root] })
    expect(await of(good)).toBe('accepted')
    expect(await of(() => Buffer.from('3006020100020100', 'hex'))).toBe(`${SIGNATURE} @0`)
    expect(await of(() => Buffer.from('3006020101020100', 'hex'))).toBe(`${SIGNATURE} @0`)
    expect(await of(() => Buffer.from('30060201ff0201ff', 'hex'))).toBe(`${SIGNATURE} @0`)
    expect(await of((tbs) => Buffer.concat([good(tbs), Buffer.of(0)]))).toBe(`${SIGNATURE} @0`)
    expect(await of(() => new Uint8Array(0))).toBe(`${SIGNATURE} @0`)
    expect(await of(() => new Uint8Array(64).fill(1))).toBe(`${SIGNATURE} @0`)
  })

  test('by an anchor that names another algorithm inside than outside is refused', async () => {
    const leaf = await pki.root.issue()
    const { der } = pki.root.certificate
    const outside = Buffer.from(der)
    // ecdsa-with-SHA384 in place of SHA256, the last of two times.
    const at = outside.lastIndexOf(Buffer.from('06082a8648ce3d040302', 'hex'))
    outside[at + 9] = 3
    expect(await verdict(leaf, { anchors: [{ der }] })).toBe('accepted')
    expect(await verdict(leaf, { anchors: [{ der: outside }] })).toBe('ERR_CLIENT_CERT_ALGORITHM @1')
  })

  test('I-13: a self-signed look-alike of a trusted name, with and without its key identifier, is refused', async () => {
    const subject = pki.root.subjectDer
    const client = await createSelfSigned({ subject, notBefore: noon })
    expect(await verdict(client, { anchors: [pki.root] })).toBe(`${SIGNATURE} @0`)
    const double = await createTestAuthority({ now: noon, subject })
    const leaf = await double.issue()
    expect(await verdict(leaf, { via: [double], anchors: [pki.root] })).toBe(`${SIGNATURE} @0`)
    const bare = await double.issue({ omit: ['2.5.29.35'] })
    expect(await verdict(bare, { anchors: [pki.root] })).toBe(`${SIGNATURE} @0`)
    expect(await verdict(bare, { anchors: [double] })).toBe('accepted')
  })
})

describe('§6.1.3 (a)(2), P-18: validity, both ends inclusive', () => {
  const from = fromNoon(0)
  const to = fromNoon(60 * second)
  const EXPIRED = 'ERR_CLIENT_CERT_EXPIRED'
  const EARLY = 'ERR_CLIENT_CERT_NOT_YET_VALID'

  test.each([
    { name: 'a second before it begins', at: -1_000, denied: EARLY },
    { name: 'a millisecond before it begins', at: -1, denied: EARLY },
    { name: 'as it begins', at: 0, denied: undefined },
    { name: 'a millisecond in', at: 1, denied: undefined },
    { name: 'as its last second begins', at: 60_000, denied: undefined },
    { name: 'within its last second', at: 60_500, denied: undefined },
    { name: 'in the last millisecond of its last second', at: 60_999, denied: undefined },
    { name: 'as its last second is over', at: 61_000, denied: EXPIRED },
    { name: 'months after', at: 300 * day, denied: EXPIRED },
  ])('$name', async ({ at, denied }) => {
    const limits = { notBefore: from, notAfter: to }
    const leaf = await pki.root.issue(limits)
    expect(await verdict(leaf, { anchors: [pki.root], at: fromNoon(at) })).toBe(denied ? `${denied} @0` : 'accepted')
    // The same of an issuer and of the anchor, where the leaf is valid for long.
    const long = { notBefore: fromNoon(-2000 * day), notAfter: fromNoon(2000 * day) }
    const root = await createTestAuthority({ now: noon, ...long })
    const authority = await root.issueAuthority({ now: noon, subject: 'CN=Brief', ...limits })
    const under = await authority.issue(long)
    expect(await verdict(under, { via: [authority], anchors: [root], at: fromNoon(at) })).toBe(
      denied ? `${denied} @1` : 'accepted',
    )
    expect(await verdict(under, { anchors: [authority], at: fromNoon(at) })).toBe(denied ? `${denied} @1` : 'accepted')
  })

  test('years 1950 to 9999 are understood', async () => {
    const root = await createTestAuthority({
      now: noon,
      notBefore: new Date('1950-01-01T00:00:00Z'),
      notAfter: new Date('9999-12-31T23:59:59Z'),
    })
    const limits = { notBefore: new Date('2049-12-31T23:59:59Z'), notAfter: new Date('2050-01-01T00:00:00Z') }
    const leaf = await root.issue(limits)
    const at = (text: string) => verdict(leaf, { anchors: [root], at: new Date(text) })
    expect(await at('2049-12-31T23:59:58.999Z')).toBe(`${EARLY} @0`)
    expect(await at('2049-12-31T23:59:59Z')).toBe('accepted')
    expect(await at('2050-01-01T00:00:00.999Z')).toBe('accepted')
    expect(await at('2050-01-01T00:00:01Z')).toBe(`${EXPIRED} @0`)
    const forever = await root.issue({
      notBefore: new Date('1950-01-01T00:00:00Z'),
      notAfter: new Date('9999-12-31T23:59:59Z'),
    })
    expect(await verdict(forever, { anchors: [root], at: new Date('9999-12-31T23:59:59.999Z') })).toBe('accepted')
    expect(await verdict(forever, { anchors: [root], at: new Date('1949-12-31T23:59:59.999Z') })).toMatch(EARLY)
  })

  test('a clock without a time is a mistake of the caller, not a moment', async () => {
    const leaf = await pki.root.issue()
    for (const at of [new Date(Number.NaN), noon.getTime() as unknown as Date, undefined as unknown as Date]) {
      const asked = validate(leaf, { anchors: [pki.root], at: at ?? (null as unknown as Date) })
      await expect(asked).rejects.toThrow(/at is not a valid Date/)
    }
  })
})

describe('§6.1.3 (a)(4): chaining by name, §7.1', () => {
  /** A root of this subject, and a client that names its issuer so. */
  async function named(subject: Uint8Array, issuer: Uint8Array) {
    const root = await createTestAuthority({ now: noon, subject })
    const leaf = rebuild(await root.issue(), root, { fields: { [field.issuer]: issuer } })
    return verdict(leaf, { anchors: [root] })
  }
  const cn = (value: Uint8Array) => nameDer(['2.5.4.3', value])

  test.each<{ name: string; subject: Uint8Array; issuer: Uint8Array; denied: string | undefined }>([
    {
      name: 'PrintableString and UTF8String of one text',
      subject: cn(printable('Acme CA')),
      issuer: cn(utf8('Acme CA')),
      denied: undefined,
    },
    { name: 'another case', subject: cn(printable('Acme CA')), issuer: cn(utf8('ACME ca')), denied: undefined },
    {
      name: 'runs of spaces and outer spaces',
      subject: cn(utf8(' Acme   CA ')),
      issuer: cn(utf8('Acme CA')),
      denied: undefined,
    },
    {
      name: 'composed and decomposed',
      subject: cn(utf8('Zo\u00eb')),
      issuer: cn(utf8('Zoe\u0308')),
      denied: undefined,
    },
    {
      name: 'no space where there is one',
      subject: cn(utf8('Acme CA')),
      issuer: cn(utf8('AcmeCA')),
      denied: 'UNKNOWN_ISSUER',
    },
    {
      name: 'a homoglyph (Cyrillic а)',
      subject: cn(utf8('acme')),
      issuer: cn(utf8('\u0430cme')),
      denied: 'UNKNOWN_ISSUER',
    },
    {
      name: 'another attribute type',
      subject: cn(utf8('Acme')),
      issuer: nameDer(['2.5.4.10', utf8('Acme')]),
      denied: 'UNKNOWN_ISSUER',
    },
    {
      name: 'the other order',
      subject: nameDer(['2.5.4.10', utf8('A')], ['2.5.4.3', utf8('B')]),
      issuer: nameDer(['2.5.4.3', utf8('B')], ['2.5.4.10', utf8('A')]),
      denied: 'UNKNOWN_ISSUER',
    },
    {
      name: 'one RDN of two attributes in place of two RDNs',
      subject: nameDer(['2.5.4.3', utf8('A')], ['2.5.4.3', utf8('B')]),
      issuer: tlv(0x30, tlv(0x31, ...[utf8('A'), utf8('B')].map((v) => tlv(0x30, [6, 3, 85, 4, 3], v)))),
      denied: 'UNKNOWN_ISSUER',
    },
    {
      name: 'a prefix of the name',
      subject: nameDer(['2.5.4.10', utf8('A')], ['2.5.4.3', utf8('B')]),
      issuer: nameDer(['2.5.4.10', utf8('A')]),
      denied: 'UNKNOWN_ISSUER',
    },
    {
      name: 'a value that imitates a boundary',
      subject: cn(utf8('A,O=B')),
      issuer: nameDer(['2.5.4.10', utf8('B')], ['2.5.4.3', utf8('A')]),
      denied: 'UNKNOWN_ISSUER',
    },
  ])('$name', async ({ subject, issuer, denied }) => {
    expect(await named(subject, issuer)).toBe(denied ? `ERR_CLIENT_CERT_${denied} @0` : 'accepted')
  })

  test('a key that fits under a name that does not is no issuer', async () => {
    const leaf = await pki.root.issue()
    const renamed = await createTestAuthority({ now: noon, subject: 'CN=Renamed', key: pki.root })
    expect(await verdict(leaf, { anchors: [renamed] })).toMatch('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    expect(await verdict(leaf, { anchors: [pki.root] })).toBe('accepted')
  })
})

describe('§6.1.4 (k), P-01: an issuer is a CA', () => {
  const BASIC = 'ERR_CLIENT_CERT_BASIC_CONSTRAINTS'

  test('P-01: a leaf that signs another certificate is refused', async () => {
    const leaf = await pki.root.issueAuthority({
      subject: 'CN=leaf',
      basicConstraints: { ca: false },
      keyUsage: ['digitalSignature'],
    })
    expect(await verdict(await leaf.issue(), { via: [leaf], anchors: [pki.root] })).toBe(`${BASIC} @1`)
    const authority = await pki.root.issueAuthority({ subject: 'CN=leaf' })
    expect(await verdict(await authority.issue(), { via: [authority], anchors: [pki.root] })).toBe('accepted')
  })

  test('P-01: an issuer without basicConstraints is refused, whatever its keyUsage says', async () => {
    const bare = await pki.root.issueAuthority({ subject: 'CN=bare', basicConstraints: false })
    expect(await verdict(await bare.issue(), { via: [bare], anchors: [pki.root] })).toBe(`${BASIC} @1`)
  })

  test('P-03: a version 1 issuer is refused, also in the compatible profile and as anchor', async () => {
    const v1 = await pki.root.issueAuthority({ subject: 'CN=v1', version: 1 })
    const leaf = await v1.issue()
    for (const profile of [{}, { allowVersion1: true }]) {
      expect(await verdict(leaf, { via: [v1], anchors: [pki.root], profile })).toBe(`${BASIC} @1`)
      expect(await verdict(leaf, { anchors: [v1], profile })).toBe(`${BASIC} @1`)
    }
  })

  test('I-13: a leaf as anchor makes no issuer of it', async () => {
    const leaf = await pki.root.issueAuthority({
      subject: 'CN=leaf',
      basicConstraints: { ca: false },
      keyUsage: ['digitalSignature'],
    })
    expect(await verdict(await leaf.issue(), { anchors: [leaf] })).toBe(`${BASIC} @1`)
  })
})

describe('§6.1.4 (l) (m): path length', () => {
  const TOO_LONG = 'ERR_CLIENT_CERT_PATH_LENGTH'
  /** A line of authorities below a root, each with its pathLength; undefined for none. */
  async function line(rootLength: number | undefined, ...lengths: (number | undefined)[]) {
    const constraints = (pathLength: number | undefined) => ({
      ca: true,
      ...(pathLength === undefined ? {} : { pathLength }),
    })
    const root = await createTestAuthority({ now: noon, subject: 'CN=Root', basicConstraints: constraints(rootLength) })
    const authorities: TestAuthority[] = []
    for (const length of lengths) {
      authorities.push(
        await (authorities.at(-1) ?? root).issueAuthority({
          subject: `CN=CA ${authorities.length}`,
          basicConstraints: constraints(length),
        }),
      )
    }
    const leaf = await (authorities.at(-1) ?? root).issue()
    return verdict(leaf, { via: authorities, anchors: [root] })
  }

  test.each<{ name: string; given: [root: number | undefined, ...(number | undefined)[]]; denied: string | undefined }>(
    [
      { name: 'the anchor allows none, there is none', given: [0], denied: undefined },
      { name: 'the anchor allows none, there is one', given: [0, undefined], denied: `${TOO_LONG} @1` },
      { name: 'the anchor allows one, there is one', given: [1, undefined], denied: undefined },
      { name: 'the anchor allows one, there are two', given: [1, undefined, undefined], denied: `${TOO_LONG} @1` },
      { name: 'an intermediate allows none, it is the last', given: [undefined, 0], denied: undefined },
      { name: 'an intermediate allows none, one follows', given: [undefined, 0, undefined], denied: `${TOO_LONG} @1` },
      { name: 'an intermediate cannot allow more than the anchor', given: [1, 5, undefined], denied: `${TOO_LONG} @1` },
      { name: 'the smallest in the line counts', given: [5, 1, 4, undefined], denied: `${TOO_LONG} @1` },
      { name: 'and where it is kept, the path holds', given: [5, 2, 4, undefined], denied: undefined },
    ],
  )('$name', async ({ given, denied }) => {
    expect(await line(...given)).toBe(denied ?? 'accepted')
  })

  test('a self-issued certificate, which carries a CA from key to key, takes nothing of it', async () => {
    const root = await createTestAuthority({
      now: noon,
      subject: 'CN=Root',
      basicConstraints: { ca: true, pathLength: 0 },
    })
    const renewed = await root.issueAuthority({ subject: 'CN=Root' })
    const leaf = await renewed.issue()
    expect(await verdict(leaf, { via: [renewed], anchors: [root] })).toBe('accepted')
    const other = await root.issueAuthority({ subject: 'CN=Root 2' })
    expect(await verdict(await other.issue(), { via: [other], anchors: [root] })).toBe(`${TOO_LONG} @1`)
  })

  test('a self-issued certificate still imposes its own', async () => {
    const root = await createTestAuthority({ now: noon, subject: 'CN=Root' })
    const renewed = await root.issueAuthority({ subject: 'CN=Root', basicConstraints: { ca: true, pathLength: 0 } })
    const below = await renewed.issueAuthority({ subject: 'CN=Below' })
    expect(await verdict(await below.issue(), { via: [renewed, below], anchors: [root] })).toBe(`${TOO_LONG} @1`)
    expect(await verdict(await renewed.issue(), { via: [renewed], anchors: [root] })).toBe('accepted')
  })

  test('the refusal names who allowed so few', async () => {
    const root = await createTestAuthority({
      now: noon,
      subject: 'CN=Strict Root',
      basicConstraints: { ca: true, pathLength: 0 },
    })
    const below = await root.issueAuthority({ subject: 'CN=Below' })
    const error = await refusalOf(await below.issue(), { via: [below], anchors: [root] })
    expect(error?.detail).toEqual({ subject: 'CN=Strict Root', pathLenConstraint: 0 })
    expect(error?.help).toMatch(/"CN=Strict Root" allows 0 CA certificates below it, the path has more/)
  })
})

describe('§6.1.4 (n): an issuer that states its key usage states keyCertSign', () => {
  test.each([
    { name: 'keyCertSign', given: ['keyCertSign'] as const, denied: undefined },
    { name: 'no keyUsage at all', given: false as const, denied: undefined },
    { name: 'cRLSign only', given: ['cRLSign'] as const, denied: 'ERR_CLIENT_CERT_KEY_USAGE' },
    { name: 'digitalSignature only', given: ['digitalSignature'] as const, denied: 'ERR_CLIENT_CERT_KEY_USAGE' },
  ])('$name', async ({ given, denied }) => {
    const authority = await pki.root.issueAuthority({ subject: 'CN=CA', keyUsage: given })
    const leaf = await authority.issue()
    expect(await verdict(leaf, { via: [authority], anchors: [pki.root] })).toBe(denied ? `${denied} @1` : 'accepted')
    // An anchor is an issuer like any other (beyond §6.1.1 (d), as the operators of private CAs expect).
    expect(await verdict(leaf, { anchors: [authority] })).toBe(denied ? `${denied} @1` : 'accepted')
  })
})

describe('the end entity', () => {
  test.each([
    { name: 'digitalSignature', given: { keyUsage: ['digitalSignature'] as const }, denied: undefined },
    { name: 'no keyUsage', given: { keyUsage: false as const }, denied: undefined },
    {
      name: 'keyEncipherment only',
      given: { keyUsage: ['keyEncipherment'] as const },
      denied: 'ERR_CLIENT_CERT_KEY_USAGE',
    },
    { name: 'keyAgreement only', given: { keyUsage: ['keyAgreement'] as const }, denied: 'ERR_CLIENT_CERT_KEY_USAGE' },
    {
      name: 'P-02: keyCertSign without being a CA',
      given: { keyUsage: ['digitalSignature', 'keyCertSign'] as const },
      denied: 'ERR_CLIENT_CERT_CA_AS_CLIENT',
    },
    { name: 'P-02: a CA', given: { basicConstraints: { ca: true } }, denied: 'ERR_CLIENT_CERT_CA_AS_CLIENT' },
    {
      name: 'P-02: a CA without keyUsage',
      given: { basicConstraints: { ca: true }, keyUsage: false as const },
      denied: 'ERR_CLIENT_CERT_CA_AS_CLIENT',
    },
    { name: 'no basicConstraints', given: { basicConstraints: false as const }, denied: undefined },
    { name: 'P-03: version 1', given: { version: 1 as const }, denied: 'ERR_CLIENT_CERT_VERSION' },
  ])('$name', async ({ given, denied }) => {
    const leaf = await pki.root.issue(given)
    expect(await verdict(leaf, { anchors: [pki.root] })).toBe(denied ? `${denied} @0` : 'accepted')
  })

  test('P-02: the anchor itself is no client', async () => {
    expect(await verdict(pki.root, { anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_CA_AS_CLIENT @0')
    const profile = { allowCaAsClient: true, requireExtendedKeyUsage: false, extendedKeyUsage: 'any' }
    expect(await verdict(pki.root, { anchors: [pki.root], profile })).toBe('accepted')
  })
})
