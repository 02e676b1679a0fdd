import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createTestAuthority, type TestAuthority, type TestCredential } from '../../src/testing.js'
import { type TrustAnchor, TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { TrustStore } from '../../src/trust/trust-store.js'
import { Certificate } from '../../src/x509/certificate.js'
import { DistinguishedName } from '../../src/x509/name.js'
import { extension, field, identityOf, nameDer, noon, pemOf, rebuild, refusedBy, tlv, utf8 } from '../support/pki.js'

// Keys take long to make where machines are busy.
jest.setTimeout(60_000)

const many = 10_000
let root: TestAuthority
let stranger: TestAuthority
let alice: TestCredential
/** 10,000 anchors of distinct names, the real one among them; and 10,000 of its name, with other keys. Nobody verifies their own signatures. */
let crowd: Certificate[]
let namesakes: Certificate[]

beforeAll(async () => {
  root = await createTestAuthority({ now: noon, subject: 'CN=Root' })
  stranger = await createTestAuthority({ now: noon })
  alice = await root.issue()
  const unsigned = { signature: () => new Uint8Array(64) }
  const named = (i: number) => {
    const name = nameDer(['2.5.4.3', utf8(`Root ${i}`)])
    return rebuild(root, root, { ...unsigned, fields: { [field.issuer]: name, [field.subject]: name } })
  }
  const keyed = (i: number) => {
    const identifier = Buffer.from(String(i).padStart(20, '0'))
    const other = (list: Uint8Array[]) => [...list.slice(0, 2), extension('2.5.29.14', false, tlv(4, identifier))]
    const publicKey = Certificate.parse(stranger.certificate.der).publicKey.der
    return rebuild(root, root, { ...unsigned, extensions: other, fields: { [field.publicKey]: publicKey } })
  }
  const real = Certificate.parse(root.certificate.der)
  const made = (make: (i: number) => { der: Uint8Array }) =>
    Array.from({ length: many - 1 }, (_, i) => Certificate.parse(make(i).der))
  crowd = [...made(named), real]
  namesakes = [...made(keyed), real]
})

const snapshotOf = (certificates: readonly Certificate[]) =>
  new TrustSnapshot(certificates.map((certificate) => ({ certificate })))

/** Nanoseconds of one lookup, the best of several rounds. */
function costOf(look: () => unknown): number {
  const rounds = Array.from({ length: 7 }, () => {
    const from = process.hrtime.bigint()
    for (let i = 0; i < 20_000; i++) look()
    return Number(process.hrtime.bigint() - from) / 20_000
  })
  return Math.min(...rounds)
}

describe('10,000 anchors', () => {
  test('load from one file and admit a client of the last one', async () => {
    const pem = crowd.map(({ der }) => pemOf('CERTIFICATE', der)).join('')
    const trust = TrustStore.parse(pem)
    expect(trust.current().anchors.length).toBe(many)
    expect((await identityOf(alice, { trust })).anchor.fingerprint).toBe(crowd.at(-1)?.fingerprint)
    // Whoever is remembered by one keeps no other alive, and whoever transfers its octets to a worker takes no other with it.
    for (const anchor of trust.current().anchors.slice(-2)) {
      expect(anchor.certificate.der.buffer.byteLength).toBe(anchor.certificate.der.length)
    }
  })

  test('of distinct names are as cheap to look through as ten', () => {
    const name = DistinguishedName.parse('CN=Root')
    const [few, all] = [snapshotOf(crowd.slice(-10)), snapshotOf(crowd)]
    expect([few.bySubject(name).length, all.bySubject(name).length]).toEqual([1, 1])
    const ratio = costOf(() => all.bySubject(name)) / costOf(() => few.bySubject(name))
    expect(ratio).toBeLessThan(20)
  })

  test('of one name are told apart by key identifier as cheaply as ten', async () => {
    const [few, all] = [snapshotOf(namesakes.slice(-10)), snapshotOf(namesakes)]
    const { issuer, extensions } = Certificate.parse(alice.certificate.der)
    const wanted = extensions.authorityKeyIdentifier?.keyIdentifier as Uint8Array
    for (const snapshot of [few, all]) expect(snapshot.byKeyIdentifier(issuer, wanted).length).toBe(1)
    const ratio = costOf(() => all.byKeyIdentifier(issuer, wanted)) / costOf(() => few.byKeyIdentifier(issuer, wanted))
    expect(ratio).toBeLessThan(20)
    expect(all.bySubject(issuer).length).toBe(many)
  })

  test('of one name: the client is admitted within the budget; its twin without a key identifier runs into it', async () => {
    const trust = TrustStore.parse(namesakes.map(({ der }) => pemOf('CERTIFICATE', der)).join(''))
    expect((await identityOf(alice, { trust })).subject.get('CN')).toBe('alice')
    const bare = await root.issue({ omit: ['2.5.29.35'] })
    expect((await refusedBy(bare, { trust })).code).toBe('ERR_CLIENT_CERT_BUDGET')
    expect((await identityOf(bare, { trust: root.certificate.pem })).subject.get('CN')).toBe('alice')
  })
})

describe('a snapshot', () => {
  const listOf = (certificates: readonly Certificate[]): TrustAnchor[] =>
    certificates.map((certificate) => ({ certificate, name: 'a' }))

  test('never changes: lists, anchors and what lookups return are frozen', () => {
    const given = listOf(crowd.slice(-2))
    const snapshot = new TrustSnapshot(
      given,
      given.map((anchor) => ({ ...anchor, by: 'certificate' })),
    )
    const [first] = given as [TrustAnchor]
    const { subject, extensions } = first.certificate
    const found = [
      snapshot.anchors,
      snapshot.pinned,
      snapshot.bySubject(subject),
      snapshot.byKeyIdentifier(subject, extensions.subjectKeyIdentifier as Uint8Array),
      snapshot.bySubject(DistinguishedName.parse('CN=nobody')),
    ] as TrustAnchor[][]
    for (const list of found) {
      expect(() => list.push(first)).toThrow(TypeError)
      for (const anchor of list) expect(() => Object.assign(anchor, { certificate: crowd[0] })).toThrow(TypeError)
    }
    expect(() => Object.assign(snapshot.pinOf(first.certificate) as object, { name: 'b' })).toThrow(TypeError)
  })

  test('does not follow the list it was made from', () => {
    const given = listOf(crowd.slice(-2))
    const snapshot = new TrustSnapshot(given)
    given.push(...listOf(crowd.slice(0, 1)))
    Object.assign(given[0] as object, { name: 'b' })
    expect(snapshot.anchors.map(({ name }) => name)).toEqual(['a', 'a'])
  })

  test('holds a certificate once a set, and apart in two sets', () => {
    const [certificate] = crowd as [Certificate]
    const anchors = ['a', 'b', 'a', undefined].map((name) =>
      name === undefined ? { certificate } : { certificate, name },
    )
    expect(new TrustSnapshot(anchors).anchors.map(({ name }) => name)).toEqual(['a', 'b', undefined])
  })

  test('I-13: pins are not found as issuers, and anchors are no pins', () => {
    const [a, b] = crowd as [Certificate, Certificate]
    const snapshot = new TrustSnapshot([{ certificate: a }], [{ certificate: b, by: 'certificate' }])
    expect(snapshot.bySubject(b.subject).length).toBe(0)
    expect(snapshot.pinOf(a)).toBeUndefined()
    expect(snapshot.pinOf(b)?.certificate).toBe(b)
  })

  test('finds names as RFC 5280 §7.1 compares them: case and spaces do not matter', () => {
    const snapshot = snapshotOf(crowd.slice(0, 1))
    expect(snapshot.bySubject(DistinguishedName.parse('cn=ROOT  0')).length).toBe(1)
    expect(snapshot.bySubject(DistinguishedName.parse('cn=ROOT 00')).length).toBe(0)
  })

  test('a key identifier and a name that share octets at their border are not mixed up', () => {
    const snapshot = snapshotOf([crowd.at(-1) as Certificate])
    const { subject, extensions } = crowd.at(-1) as Certificate
    const identifier = extensions.subjectKeyIdentifier as Uint8Array
    expect(snapshot.byKeyIdentifier(subject, identifier.subarray(0, 19)).length).toBe(0)
    expect(snapshot.byKeyIdentifier(DistinguishedName.parse('CN=Root2'), identifier).length).toBe(0)
  })
})
