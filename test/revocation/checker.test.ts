import { beforeAll, describe, expect, test } from '@jest/globals'
import type { AnyClientCertError } from '../../src/errors.js'
import type { CertificationPath } from '../../src/path/certification-path.js'
import { resolveProfile } from '../../src/path/profile.js'
import { verifiedPaths } from '../../src/path/verified-paths.js'
import { firstUnrevoked, type RevocationChecker, type RevocationStatus } from '../../src/revocation/checker.js'
import {
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { Certificate } from '../../src/x509/certificate.js'
import { fromNoon, hour, minute, noon, present, refusedBy } from '../support/pki.js'

const context = { profile: resolveProfile('strict'), pool: { presented: [] } }

let pki: TestPki
let alice: TestCredential
/** An issuer under two roots; a client of it; and the cross-certificate. */
let partner: TestAuthority
let issuing: TestAuthority
let crossed: { der: Uint8Array; pem: string }
let client: TestCredential

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue()
  partner = await createTestAuthority({ now: noon, subject: 'CN=Partner Root' })
  issuing = await partner.issueAuthority({ subject: 'CN=Issuing' })
  crossed = await pki.root.crossSign(issuing)
  client = await issuing.issue({ subject: 'CN=client' })
})

type Answer = (path: CertificationPath, at: Date) => unknown
const checker = (answer: Answer): RevocationChecker => ({ name: 'mine', check: answer as RevocationChecker['check'] })
const options = (answer: Answer) => ({ trust: pki.trust, revocation: checker(answer) })
const good: RevocationStatus = { status: 'good' }

describe('what a checker answers', () => {
  test('good admits; its twin, revoked, refuses with 403, and says who and when', async () => {
    expect(
      (
        await present(
          alice,
          options(() => good),
        )
      ).decision.outcome,
    ).toBe('accepted')
    const since = fromNoon(-hour)
    const error = await refusedBy(
      alice,
      options(() => ({ status: 'revoked', depth: 0, reason: 'keyCompromise', since })),
    )
    expect([error.code, error.status, error.depth]).toEqual(['ERR_CLIENT_CERT_REVOKED', 403, 0])
    expect(error.detail).toEqual({ subject: 'CN=alice', reason: 'keyCompromise', since })
    expect(error.help).toBe(
      '"CN=alice" was revoked 2026-11-20T11:00:00Z ("keyCompromise") — issue a new certificate with a new key',
    )
  })

  test('a revoked issuer refuses everybody under it, and is named', async () => {
    const error = await refusedBy(
      alice,
      options(() => ({ status: 'revoked', depth: 1 })),
    )
    expect(error.detail).toEqual({ subject: 'CN=Test Intermediate CA' })
    const root = await refusedBy(
      alice,
      options(() => ({ status: 'revoked', depth: 2 })),
    )
    expect(root.detail).toEqual({ subject: 'CN=Test Root CA' })
  })

  test('R-08: unknown is 503 and says why', async () => {
    const error = await refusedBy(
      alice,
      options(() => ({ status: 'unknown', reason: 'the CRL ended 3 h ago', depth: 0 })),
    )
    expect([error.code, error.status, error.headers]).toEqual([
      'ERR_CLIENT_CERT_REVOCATION_UNKNOWN',
      503,
      { 'Cache-Control': 'no-store', 'Retry-After': '5' },
    ])
    expect(error.help).toBe(
      'no revocation status for "CN=alice": the CRL ended 3 h ago — make the CRL or responder reachable and fresh',
    )
  })

  test.each<{ name: string; given: unknown; code: string }>([
    { name: 'undefined', given: undefined, code: 'INTERNAL' },
    { name: 'null', given: null, code: 'INTERNAL' },
    { name: 'true', given: true, code: 'REVOCATION_UNKNOWN' },
    { name: 'the word good', given: 'good', code: 'REVOCATION_UNKNOWN' },
    { name: 'an empty object', given: {}, code: 'REVOCATION_UNKNOWN' },
    { name: 'GOOD', given: { status: 'GOOD' }, code: 'REVOCATION_UNKNOWN' },
    { name: 'ok', given: { status: 'ok', depth: 0 }, code: 'REVOCATION_UNKNOWN' },
    { name: 'good in a list', given: [good], code: 'REVOCATION_UNKNOWN' },
    { name: 'revoked at a depth that is not there', given: { status: 'revoked', depth: 99 }, code: 'REVOKED' },
    { name: 'revoked at a negative depth', given: { status: 'revoked', depth: -1 }, code: 'REVOKED' },
    {
      name: 'revoked since no date',
      given: { status: 'revoked', depth: 0, since: new Date(Number.NaN) },
      code: 'REVOKED',
    },
    {
      name: 'good until a moment ago',
      given: { status: 'good', validUntil: fromNoon(-1) },
      code: 'REVOCATION_UNKNOWN',
    },
    {
      name: 'good until no date',
      given: { status: 'good', validUntil: new Date(Number.NaN) },
      code: 'REVOCATION_UNKNOWN',
    },
    { name: 'good until a number', given: { status: 'good', validUntil: noon.getTime() + hour }, code: 'INTERNAL' },
  ])('R-08: $name admits nobody', async ({ given, code }) => {
    const allowed =
      code === 'INTERNAL' ? ['ERR_CLIENT_CERT_INTERNAL'] : [`ERR_CLIENT_CERT_${code}`, 'ERR_CLIENT_CERT_INTERNAL']
    for (const answer of [() => given, async () => given]) {
      const error = await refusedBy(alice, options(answer))
      expect(allowed).toContain(error.code)
      expect(error.help.length).toBeGreaterThan(20)
    }
  })

  test.each<[string, Answer]>([
    [
      'throws',
      () => {
        throw new Error('socket hang up')
      },
    ],
    ['rejects', () => Promise.reject(new Error('socket hang up'))],
    [
      'throws nothing',
      () => {
        throw undefined
      },
    ],
    ['rejects with what cannot be printed', () => Promise.reject(Object.create(null))],
  ])('a checker that %s refuses with 500, never rejects, and never admits', async (_, answer) => {
    const { decision } = await present(alice, options(answer))
    expect(decision.outcome === 'refused' && [decision.error.code, decision.error.status]).toEqual([
      'ERR_CLIENT_CERT_INTERNAL',
      500,
    ])
    expect(decision.outcome === 'refused' && decision.error.help).toMatch(
      /^the revocation checker "mine" failed, which refuses: /,
    )
  })

  test('good until now still holds, and the decision ends with it', async () => {
    expect(
      (
        await present(
          alice,
          options(() => ({ status: 'good', validUntil: noon })),
        )
      ).decision.outcome,
    ).toBe('accepted')
    const { decision } = await present(
      alice,
      options(() => ({ status: 'good', validUntil: fromNoon(minute) })),
    )
    expect(decision.outcome === 'accepted' && decision.validUntil).toEqual(fromNoon(minute))
  })

  test('the checker sees the validated path and the moment, and gets a date of its own', async () => {
    const seen: string[] = []
    const answer: Answer = ({ certificates, anchor }, at) => {
      seen.push(...certificates.map(({ subject }) => `${subject}`), `${anchor.certificate.subject}`, at.toISOString())
      at.setTime(0)
      return good
    }
    const { decision } = await present(alice, options(answer))
    expect(seen).toEqual(['CN=alice', 'CN=Test Intermediate CA', 'CN=Test Root CA', noon.toISOString()])
    expect(decision.decidedAt).toEqual(noon)
  })

  test('P-19, R-02: a path that is not valid is never asked about', async () => {
    let asked = 0
    const revocation = checker(() => {
      asked++
      return good
    })
    const stranger = await createTestAuthority({ now: noon })
    for (const credential of [
      await stranger.issue(),
      await pki.issue({ notAfter: fromNoon(-hour), notBefore: fromNoon(-2 * hour) }),
      await pki.issue({ signWith: stranger }),
    ]) {
      await refusedBy(credential, { trust: pki.trust, revocation })
    }
    expect(asked).toBe(0)
  })

  test('a pinned certificate is asked about, too', async () => {
    const trust = { pinned: alice.certificate.pem }
    const revoked = checker(() => ({ status: 'revoked', depth: 0 }))
    expect((await refusedBy(alice, { trust, revocation: revoked })).code).toBe('ERR_CLIENT_CERT_REVOKED')
    expect((await present(alice, { trust, revocation: checker(() => good) })).decision.outcome).toBe('accepted')
  })
})

describe('P-11: of several paths', () => {
  const trust = () => [pki.trust, partner.certificate.pem]
  const both = () => ({ certificate: client.certificate, chain: [issuing.certificate, crossed] })
  const isCrossed = (path: CertificationPath) => `${path.anchor.certificate.subject}` === 'CN=Test Root CA'
  const crossedIs = (status: unknown) => checker((path) => (isCrossed(path) ? status : good))

  test.each<[string, unknown]>([
    ['revoked', { status: 'revoked', depth: 1 }],
    ['unknown', { status: 'unknown', reason: 'no CRL' }],
    ['no answer that is understood', {}],
    ['an answer that has ended', { status: 'good', validUntil: fromNoon(-hour) }],
  ])('a cross-certificate that is %s does not hide the good path, in any order', async (_, status) => {
    for (const chain of [
      [issuing.certificate, crossed],
      [crossed, issuing.certificate],
    ]) {
      const { decision } = await present(
        { certificate: client.certificate, chain },
        { trust: trust(), revocation: crossedIs(status) },
      )
      expect(decision.outcome === 'accepted' && `${decision.identity.anchor.subject}`).toBe('CN=Partner Root')
    }
    const alone = { certificate: client.certificate, chain: [crossed] }
    expect((await present(alone, { trust: trust(), revocation: crossedIs(status) })).decision.outcome).toBe('refused')
  })

  test('the end entity revoked on one path and good on the other is admitted by the other only where the checker says so', async () => {
    const revoked = checker(() => ({ status: 'revoked', depth: 0 }))
    expect((await refusedBy(both(), { trust: trust(), revocation: revoked })).code).toBe('ERR_CLIENT_CERT_REVOKED')
  })

  test('where none is good, the reason against the best path is reported', async () => {
    let first: RevocationStatus | undefined
    const revocation = checker(() => {
      const status =
        first === undefined ? { status: 'revoked' as const, depth: 0 } : { status: 'unknown' as const, reason: 'x' }
      first ??= status
      return status
    })
    expect((await refusedBy(both(), { trust: trust(), revocation })).code).toBe('ERR_CLIENT_CERT_REVOKED')
  })

  test('paths are asked about one by one, and not beyond the first that is good', async () => {
    let asked = 0
    const revocation = checker(() => {
      asked++
      return good
    })
    await present(both(), { trust: trust(), revocation })
    expect(asked).toBe(1)
  })
})

describe('firstUnrevoked', () => {
  function paths(credential: TestCredential): Iterator<CertificationPath, AnyClientCertError, void> {
    const trust = new TrustSnapshot([{ certificate: Certificate.parse(pki.root.certificate.der) }])
    const presented = credential.chain.map(({ der }) => Certificate.parse(der))
    const pool = { presented, bySubject: () => [] }
    return verifiedPaths(
      Certificate.parse(credential.certificate.der),
      trust,
      pool,
      resolveProfile('strict'),
      noon.getTime(),
    )
  }

  test('without a checker the first path is taken, and its answer never ends', async () => {
    const { path, holdsUntil } = await firstUnrevoked(paths(alice), 'none', noon.getTime(), context)
    expect(path.certificates.length).toBe(2)
    expect(holdsUntil).toBe(Number.POSITIVE_INFINITY)
  })

  test('without a path the reason of the search is thrown, and nobody is asked', async () => {
    const stranger = await (await createTestAuthority({ now: noon })).issue()
    let asked = 0
    const revocation = checker(() => {
      asked++
      return good
    })
    await expect(firstUnrevoked(paths(stranger), revocation, noon.getTime(), context)).rejects.toMatchObject({
      code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
    })
    expect(asked).toBe(0)
  })
})
