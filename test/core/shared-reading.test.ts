/** What was read of one client's certificate is read once for others that have the same: whoever writes to it changes nobody else's. */
import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createAuthenticator, crl, firstDefinite, type RevocationChecker, rules } from '../../src/index.js'
import {
  createTestAuthority,
  type IssueOptions,
  type TestAuthority,
  type TestCredential,
  type TestExtension,
} from '../../src/testing.js'
import { TrustStore } from '../../src/trust/trust-store.js'
import type { Certificate } from '../../src/x509/certificate.js'
import { ia5, noon, seq, temporaryFolder, tlv } from '../support/pki.js'

const folder = temporaryFolder()
let root: TestAuthority
beforeAll(async () => {
  root = await createTestAuthority({ now: noon, subject: 'CN=Root,O=Acme' })
})

/** A certificate without the promise that nobody writes to it: what JavaScript makes of one. */
// biome-ignore lint/suspicious/noExplicitAny: a careless application has no types
type Writable = any

/** A checker that does something to every certificate it sees; what it may not do throws. */
const careless = (act: (certificate: Writable, anchor: Writable) => void): RevocationChecker => ({
  name: 'careless',
  generation: 0,
  check: async ({ certificates: [endEntity], anchor }) => {
    try {
      act(endEntity, anchor.certificate)
    } catch {
      // As an application that logs and goes on.
    }
    return { status: 'good' }
  },
})

const now = () => noon.getTime()
const issue = (subject: string, options: IssueOptions = {}) => root.issue({ subject, ...options })

async function ask(credential: TestCredential, trust = root.certificate.pem, revocation?: RevocationChecker) {
  const auth = createAuthenticator({ trust, revocation: revocation ?? 'none', now, log: false })
  const [certificate, ...intermediates] = [credential.certificate, ...credential.chain].map(({ der }) => der)
  const decision = await auth.authenticateChain({
    certificate: certificate as Uint8Array,
    intermediates,
    via: 'tls',
  })
  if (decision.outcome === 'refused') return { code: decision.error.code, detail: decision.error.detail }
  if (decision.outcome !== 'accepted') throw new Error(decision.outcome)
  const { subject, issuer, names, extendedKeyUsage } = decision.identity
  return JSON.stringify([subject, issuer, names, extendedKeyUsage])
}

/** Its own certificate, whose fields may be refused to it from then on. */
const spoil = (credential: TestCredential, act: Parameters<typeof careless>[0]) =>
  ask(credential, root.certificate.pem, careless(act)).catch(() => undefined)

describe('an application that writes to the certificate of one client changes nothing for another', () => {
  const point = (url: string) => seq(seq(tlv(0xa0, tlv(0xa0, ia5(0x86, url)))))
  const rich: IssueOptions = {
    names: { dns: ['a.test'], ip: ['10.0.0.7'], email: ['team@acme.test'], uri: ['spiffe://acme.test/a'] },
    extensions: [
      { oid: '2.5.29.31', value: point('http://crl.test/a.crl') },
      { oid: '2.5.29.32', value: seq(seq(tlv(6, [0x2a, 3, 4]))) },
    ],
  }

  test.each<[string, (certificate: Writable, anchor: Writable) => void]>([
    ['empties extKeyUsage', ({ extensions }) => extensions.extKeyUsage.splice(0)],
    ['makes it a CA', ({ extensions }) => Object.assign(extensions.basicConstraints, { cA: true })],
    ['lengthens paths', (_, { extensions }) => Object.assign(extensions.basicConstraints, { pathLenConstraint: 9 })],
    ['adds a name', ({ extensions }) => extensions.subjectAltName.push({ type: 'dNSName', value: 'admin.test' })],
    ['masks an address', ({ extensions }) => mask(extensions.subjectAltName)],
    ['empties a distribution point', ({ extensions }) => extensions.cRLDistributionPoints[0].fullName.splice(0)],
    ['adds a policy', ({ extensions }) => extensions.certificatePolicies.push({ policyIdentifier: '1.2.3.5' })],
    ['turns key identifiers round', ({ extensions }) => extensions.authorityKeyIdentifier.keyIdentifier.reverse()],
    ['renames extensions', ({ extensionList }) => Object.assign(extensionList[0], { oid: '1.2.3', critical: true })],
    ['empties extensions', ({ extensionList }) => extensionList.map(({ value }: Writable) => value.fill(0))],
    ['renames its issuer', ({ issuer }) => Object.assign(issuer.rdns[0][0], { value: 'Evil' })],
    ['turns its issuer round', ({ issuer }) => issuer.rdns.reverse()],
    ['renames its organisation', ({ subject }) => Object.assign(subject.rdns[0][0], { value: 'Evil' })],
    ['empties its name', ({ subject }) => Object.assign(subject.rdns[0], { length: 0 })],
    ['rewrites the algorithm', ({ signatureAlgorithm: { der } }) => der.fill(5)],
    ['rewrites the parameters of the key', ({ publicKey: { key } }) => key.subarray(0, 0).fill(5)],
    ['calls the key another', ({ publicKey: { facts } }) => Object.assign(facts, { curve: '1.2.3' })],
  ])('%s', async (_, act) => {
    // Twice, and it is remembered; the third is what the careless one gets.
    for (const subject of ['CN=a,O=Acme', 'CN=b,O=Acme', 'CN=c,O=Acme']) await ask(await issue(subject, rich))
    const victim = await issue('CN=victim,O=Acme', rich)
    const before = await ask(victim)
    expect(before).toContain('victim')
    for (const subject of ['CN=d,O=Acme', 'CN=e,O=Acme']) {
      await spoil(await issue(subject, rich), act)
    }
    expect(await ask(victim)).toBe(before)
    expect(await ask(await issue('CN=victim,O=Acme', rich))).toBe(before)
  })

  const mask = (names: Writable[]) => {
    for (const { octets } of names) if (octets !== undefined) octets[3] = 0
  }

  test('a client of another address is not taken for one whose address was masked', async () => {
    const options = { names: { ip: ['10.0.0.7'] } }
    for (const name of ['a', 'b', 'c'])
      await spoil(await issue(`CN=${name}`, options), ({ extensions }) => mask(extensions.subjectAltName))
    const mallory = await issue('CN=mallory', { names: { ip: ['10.0.0.0'] } })
    const auth = createAuthenticator({
      trust: root.certificate.pem,
      revocation: 'none',
      now,
      log: false,
      rules: rules.ip('10.0.0.7'),
    })
    const decide = ({ certificate }: TestCredential) =>
      auth.authenticateChain({ certificate: certificate.der, intermediates: [], via: 'tls' })
    expect(await decide(mallory)).toMatchObject({ outcome: 'refused', error: { code: 'ERR_CLIENT_CERT_RULE' } })
    expect(await decide(await issue('CN=alice', options))).toMatchObject({ outcome: 'accepted' })
  })

  test('name constraints of one anchor are not those of another with the same', async () => {
    const excluded = tlv(0xa1, seq(tlv(0x87, [10, 0, 0, 7, 255, 255, 255, 255])))
    const value = seq(excluded)
    const named = (n: number) =>
      createTestAuthority({
        now: noon,
        subject: `CN=Root ${n}`,
        extensions: [{ oid: '2.5.29.30', critical: true, value }],
      })
    const authorities = await Promise.all([1, 2, 3, 4].map(named))
    const store = TrustStore.parse(authorities.map(({ certificate }) => certificate.pem).join(''))
    const certificates = store.current().anchors.map(({ certificate }) => certificate) as Certificate[]
    for (const { extensions } of certificates) expect(extensions.nameConstraints?.excludedSubtrees).toHaveLength(1)
    for (const { base } of (certificates[2] as Writable).extensions.nameConstraints.excludedSubtrees) base.octets[3] = 0
    const client = await (authorities[3] as TestAuthority).issue({ names: { ip: ['10.0.0.7'] } })
    const auth = createAuthenticator({ trust: store, revocation: 'none', now, log: false })
    const decision = await auth.authenticateChain({
      certificate: client.certificate.der,
      intermediates: [],
      via: 'tls',
    })
    expect(decision).toMatchObject({ outcome: 'refused', error: { code: 'ERR_CLIENT_CERT_NAME_CONSTRAINTS' } })
  })

  describe('nor to CA certificates, which are one for all clients', () => {
    const excluding = { oid: '2.5.29.30', critical: true, value: seq(tlv(0xa1, seq(ia5(0x82, 'evil.test')))) }
    const unknown = { oid: '1.2.3.4', critical: true, value: new Uint8Array([5, 0]) }
    const evil = { names: { dns: ['evil.test'] } }

    test.each<[string, TestExtension, IssueOptions, string, (certificate: Writable) => void]>([
      [
        'taking their name constraints',
        excluding,
        evil,
        'NAME_CONSTRAINTS',
        ({ extensions }) => extensions.nameConstraints.excludedSubtrees.splice(0),
      ],
      [
        'leaving them out',
        excluding,
        evil,
        'NAME_CONSTRAINTS',
        ({ extensions }) => Object.assign(extensions, { nameConstraints: undefined }),
      ],
      ['emptying the list of extensions', unknown, {}, 'EXTENSION', ({ extensionList }) => extensionList.splice(0)],
      [
        'making them younger',
        excluding,
        evil,
        'NAME_CONSTRAINTS',
        (certificate) => Object.assign(certificate, { notAfter: 9e15 }),
      ],
    ])('%s', async (_, extra, client, code, act) => {
      const ca = await createTestAuthority({ now: noon, extensions: [extra] })
      const store = TrustStore.parse(ca.certificate.pem)
      const attempt = (certificate: Writable) => {
        try {
          act(certificate)
        } catch {
          // As an application that logs and goes on.
        }
      }
      const revocation: RevocationChecker = {
        name: 'careless',
        generation: 0,
        attach: (issuers) => issuers().forEach(attempt),
        check: async () => ({ status: 'good' }),
      }
      const [own, other] = [revocation, 'none' as const].map((each) =>
        createAuthenticator({ trust: store, revocation: each, now, log: false }),
      )
      for (const { certificate } of store.current().anchors) attempt(certificate)
      const leaf = await ca.issue(client)
      for (const auth of [own, other]) {
        const decision = await auth?.authenticateChain({
          certificate: leaf.certificate.der,
          intermediates: [],
          via: 'tls',
        })
        expect(decision).toMatchObject({ outcome: 'refused', error: { code: `ERR_CLIENT_CERT_${code}` } })
      }
    })

    test('an intermediate that a checker was shown with the first client is what it was for the next', async () => {
      const ca = await root.issueAuthority({ subject: 'CN=Issuing', extensions: [excluding] })
      const spoiling: RevocationChecker = {
        name: 'careless',
        generation: 0,
        check: async ({ certificates: [, issuer] }) => {
          for (const act of [
            () => Object.assign((issuer as Writable).extensions, { nameConstraints: undefined }),
            () => (issuer as Writable).extensions.nameConstraints.excludedSubtrees.splice(0),
          ]) {
            try {
              act()
            } catch {
              // The same.
            }
          }
          return { status: 'good' }
        },
      }
      const auth = createAuthenticator({ trust: root.certificate.pem, revocation: spoiling, now, log: false })
      const decide = ({ certificate }: TestCredential, intermediates: Uint8Array[]) =>
        auth.authenticateChain({ certificate: certificate.der, intermediates, via: 'tls' })
      expect(await decide(await ca.issue(), [ca.certificate.der])).toMatchObject({ outcome: 'accepted' })
      for (const sent of [[ca.certificate.der], []]) {
        expect(await decide(await ca.issue(evil), sent)).toMatchObject({
          error: { code: 'ERR_CLIENT_CERT_NAME_CONSTRAINTS' },
        })
      }
    })
  })

  test('serial numbers are given away as copies: a revoked client that was logged backwards stays revoked', async () => {
    const client = await issue('CN=revoked')
    const file = folder('client.crl')
    writeFileSync(file, (await root.crl({ revoked: [{ serialNumber: client }] })).pem)
    const logged: string[] = []
    const backwards: Writable = {
      name: 'log',
      generation: 0,
      statusOf: async ({ certificate }: Writable) => {
        logged.push(certificate.serialNumber.reverse().toString())
        return { status: 'unknown', reason: 'it only logs' }
      },
      check: async () => ({ status: 'unknown', reason: 'it only logs' }),
    }
    const revocation = firstDefinite(backwards, crl({ files: file, now }))
    const auth = createAuthenticator({ trust: root.certificate.pem, revocation, now, log: false })
    await auth.ready()
    const decide = ({ certificate }: TestCredential) =>
      auth.authenticateChain({ certificate: certificate.der, intermediates: [], via: 'tls' })
    expect(await decide(client)).toMatchObject({ outcome: 'refused', error: { code: 'ERR_CLIENT_CERT_REVOKED' } })
    expect(await decide(await issue('CN=good'))).toMatchObject({ outcome: 'accepted' })
    expect(logged).toHaveLength(2)
    await auth.close()
    revocation.close()
  })

  test('the algorithms a checker is told are accepted are not widened for everybody', async () => {
    const widen: RevocationChecker = {
      name: 'careless',
      generation: 0,
      check: async (_path, _at, { profile }) => {
        for (const set of [profile.signatureAlgorithms, profile.curves] as Writable[]) {
          for (const act of [() => set.add('1.2.3'), () => set.delete('1.2.840.10045.4.3.2'), () => set.clear()]) {
            expect(act).toThrow(TypeError)
          }
        }
        return { status: 'good' }
      },
    }
    const client = await issue('CN=a')
    expect(await ask(client, root.certificate.pem, widen)).toContain('CN=a')
    expect(await ask(client)).toContain('CN=a')
  })
})
