/** What an authenticator remembers of a client is small: the certificate is read again when somebody asks, and what was asked for is kept. */
import { inspect } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  type AuthenticatorOptions,
  type ClientIdentity,
  createAuthenticator,
  type Decision,
  rules,
} from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { collectGarbage } from '../support/garbage.js'
import { fromNoon, noon, second } from '../support/pki.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  const names = {
    dns: ['alice.acme.test'],
    uri: ['spiffe://acme.test/alice'],
    email: ['alice@acme.test'],
    ip: ['192.0.2.1'],
  }
  alice = await pki.issue({ subject: 'CN=alice,O=Acme', names })
})

let parsed: jest.SpiedFunction<typeof Certificate.parseInPlace>
beforeEach(() => {
  parsed = jest.spyOn(Certificate, 'parseInPlace')
})
afterEach(() => parsed.mockRestore())

async function accepted(options: Partial<AuthenticatorOptions> = {}, client = alice) {
  const auth = createAuthenticator({
    trust: { partners: pki.trust },
    revocation: 'none',
    watch: false,
    now: () => noon.getTime(),
    ...options,
  })
  const decide = async () => {
    const decision = await auth.authenticateChain({
      certificate: client.certificate.der,
      intermediates: client.chain.map(({ der }) => der),
      via: 'tls',
    })
    if (decision.outcome !== 'accepted') throw decision.error
    return decision
  }
  const decision = await decide()
  // A spy keeps what it saw.
  parsed.mockClear()
  await collectGarbage()
  return { auth, decide, decision, identity: decision.identity }
}

describe('what is remembered', () => {
  const capturing = () => {
    const seen: WeakRef<Certificate>[] = []
    const check = (path: { certificates: readonly Certificate[] }) => {
      seen.push(new WeakRef(path.certificates[0] as Certificate))
      return { status: 'good' as const }
    }
    return { seen, checker: { name: 'own', generation: 0, check } }
  }

  test.each<[string, Partial<AuthenticatorOptions>]>([
    ['without rules', {}],
    [
      'with rules that look at names',
      { rules: rules.all(rules.commonName('alice'), rules.dnsName('alice.acme.test')) },
    ],
    ['with a principal', { principalFrom: 'dns' } as Partial<AuthenticatorOptions>],
    ['with listeners', { onDecision: ({ outcome }) => outcome, auditNames: true }],
  ])('%s, does not hold the certificate that was read', async (_, options) => {
    const { seen, checker } = capturing()
    const { decide, identity } = await accepted({ ...options, revocation: checker })
    expect(seen.map((certificate) => certificate.deref())).toEqual([undefined])
    expect((await decide()).identity).toBe(identity)
    expect(seen.length).toBe(1)
  })

  test('holds nothing that only the ledger has read; what the application has, it does', async () => {
    const subjects: WeakRef<object>[] = []
    const check = ({ certificates }: { certificates: readonly Certificate[] }) => {
      subjects.push(new WeakRef((certificates[0] as Certificate).subject))
      return { status: 'good' as const }
    }
    const revocation = { name: 'own', generation: 0, check }
    const clients = [await accepted({ revocation }), await accepted({ revocation, rules: rules.commonName('alice') })]
    expect(subjects.map((subject) => subject.deref() !== undefined)).toEqual([false, true])
    for (const { auth, identity } of clients) {
      expect(auth.report().certificates.map(({ fingerprint }) => fingerprint)).toEqual([identity.fingerprint])
    }
  })

  test('holds it where a listener keeps the path', async () => {
    const { seen, checker } = capturing()
    const kept: unknown[] = []
    const onDecision = (decision: Decision) => kept.push(decision.outcome === 'accepted' && decision.path)
    const { decision } = await accepted({ revocation: checker, onDecision })
    expect(seen[0]?.deref()).toBeDefined()
    expect(decision.path).toBe(kept[0])
  })
})

describe('an identity', () => {
  test('says the same after its certificate was forgotten', async () => {
    let before = ''
    const onDecision = (decision: Decision) => {
      before = decision.outcome === 'accepted' ? said(decision.identity) : ''
    }
    const { identity } = await accepted({ onDecision })
    const { identity: unread } = await accepted()
    expect(before).toContain('spiffe://acme.test/alice')
    expect(said(identity)).toBe(before)
    expect(said(unread)).toBe(before)
  })

  const said = (identity: ClientIdentity) =>
    JSON.stringify([
      identity,
      inspect(identity),
      identity.certificate,
      identity.extension('2.5.29.17'),
      identity.extension('2.5.29.54') ?? 'none',
      identity.issuerCertificate,
    ])

  const fields: [name: string, read: (identity: ClientIdentity) => unknown][] = [
    ['subject', ({ subject }) => subject],
    ['issuer', ({ issuer }) => issuer],
    ['names', ({ names }) => names],
    ['publicKey', ({ publicKey }) => publicKey],
    ['serialNumber', ({ serialNumber }) => serialNumber],
    ['publicKeyPin', ({ publicKeyPin }) => publicKeyPin],
    ['extendedKeyUsage', ({ extendedKeyUsage }) => extendedKeyUsage],
  ]
  test.each(fields)('%s is read once, and the same ever after', async (_, read) => {
    const { identity } = await accepted()
    const first = read(identity)
    for (let i = 0; i < 3; i++) {
      await collectGarbage()
      expect(read(identity)).toBe(first)
    }
    expect(parsed).toHaveBeenCalledTimes(1)
  })

  test.each<[string, (identity: ClientIdentity) => unknown]>([
    ['notBefore', ({ notBefore }) => notBefore],
    ['notAfter', ({ notAfter }) => notAfter],
    ['an extension', (identity) => identity.extension('2.5.29.15')],
    ['the absence of an extension', (identity) => [identity.extension('2.5.29.54')]],
    ['the SPIFFE ID', ({ spiffeId }) => spiffeId],
  ])('%s, which every reader gets for itself, is read once', async (_, read) => {
    const { identity } = await accepted()
    const first = read(identity)
    expect(first).toBeDefined()
    for (let i = 0; i < 3; i++) {
      await collectGarbage()
      expect(read(identity)).toEqual(first)
    }
    expect(parsed).toHaveBeenCalledTimes(1)
  })

  test('all of it is read at once', async () => {
    const { identity } = await accepted()
    said(identity)
    expect(parsed).toHaveBeenCalledTimes(1)
  })

  test('what does not stand in its certificate is there without reading it', async () => {
    const { identity, auth } = await accepted()
    const { fingerprint, x5tS256, policies, chain, anchor, issuerCertificate, via, principal } = identity
    expect([fingerprint, via, policies, principal]).toEqual([alice.fingerprint, 'tls', [], undefined])
    expect([x5tS256.length, chain.length, anchor.name]).toEqual([43, 1, 'partners'])
    expect(`${issuerCertificate?.subject}`).toBe('CN=Test Intermediate CA')
    expect(auth.describe()).toBeDefined()
    expect(parsed).not.toHaveBeenCalled()
  })

  test('of a pinned certificate is its own anchor, and nobody issued it', async () => {
    const { identity } = await accepted({ trust: { pinned: alice.certificate.pem } as never })
    expect(identity.issuerCertificate).toBeUndefined()
    expect([identity.anchor.fingerprint, `${identity.anchor.subject}`]).toEqual([alice.fingerprint, 'CN=alice,O=Acme'])
  })

  test('is not read of octets that a checker has changed', async () => {
    const changing = (octet: number) => ({
      name: 'own',
      generation: 0,
      check: ({ certificates }: { certificates: readonly Certificate[] }) => {
        const { der } = certificates[0] as Certificate
        der[Buffer.from(der).indexOf('alice.acme.test')] = octet
        return { status: 'good' as const }
      },
    })
    const { identity: same } = await accepted({ revocation: changing('a'.charCodeAt(0)) })
    expect(same.names.dns).toEqual(['alice.acme.test'])
    const { identity: other } = await accepted({ revocation: changing('b'.charCodeAt(0)) })
    expect(() => other.names).toThrow(expect.objectContaining({ code: 'ERR_CLIENT_CERT_INTERNAL' }))
    expect(other.fingerprint).toBe(alice.fingerprint)
  })
})

describe('a decision', () => {
  test('has its path, the same at every reading, and with it its certificates', async () => {
    const { decision, decide } = await accepted()
    const { path } = decision
    await collectGarbage()
    expect(decision.path).toBe(path)
    expect((await decide()).path).toBe(path)
    expect(path.certificates.map(({ subject }) => `${subject}`)).toEqual(['CN=alice,O=Acme', 'CN=Test Intermediate CA'])
    expect(parsed).toHaveBeenCalledTimes(1)
  })

  test('made anew of what is remembered has its own time, and the same path and end', async () => {
    let now = noon.getTime()
    const { decision: first, decide } = await accepted({ rules: rules.custom('asked', () => true), now: () => now })
    now += second
    const next = await decide()
    expect(next).not.toBe(first)
    expect([first.decidedAt, next.decidedAt]).toEqual([noon, fromNoon(second)])
    expect([next.path, next.identity]).toEqual([first.path, first.identity])
    expect(next.path).toBe(first.path)
    expect(next.validUntil).toEqual(first.validUntil)
  })

  test('is a plain object whose fields are its own: copies have all of them', async () => {
    const { decision } = await accepted({ rules: rules.commonName('alice') })
    const fields = ['decidedAt', 'enforced', 'outcome', 'identity', 'path', 'validUntil', 'rules']
    expect(Object.keys(decision)).toEqual(fields)
    expect(Reflect.ownKeys(decision)).toEqual(fields)
    expect(Object.getPrototypeOf(decision)).toBe(Object.prototype)
    const copy = { ...decision }
    expect(copy).toEqual(decision)
    expect([copy.decidedAt, copy.path]).toEqual([noon, decision.path])
    expect(structuredClone({ at: decision.decidedAt, outcome: decision.outcome })).toEqual({
      at: noon,
      outcome: 'accepted',
    })
    for (const field of fields) expect(() => Object.assign(decision, { [field]: undefined })).toThrow(TypeError)
  })
})
