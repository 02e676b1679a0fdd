import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestPki,
} from '../../src/testing.js'
import { resolveTrust, type Trust } from '../../src/trust/trust-option.js'
import { TrustStore } from '../../src/trust/trust-store.js'
import { fromNoon, hour, identityOf, noon, present, refusedBy, temporaryFolder, thrownBy } from '../support/pki.js'

const at = temporaryFolder()
let pki: TestPki
let partner: TestAuthority
let stranger: TestAuthority

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  partner = await createTestAuthority({ now: noon, subject: 'CN=Partner Root' })
  stranger = await createTestAuthority({ now: noon, subject: 'CN=Stranger Root' })
  writeFileSync(at('ca.pem'), pki.trust)
})

const load = (trust: unknown) => resolveTrust('trust', trust as Trust, false)
const subjects = (store: TrustStore) => store.current().anchors.map(({ certificate }) => `${certificate.subject}`)
const names = (store: TrustStore) => store.current().anchors.map(({ name }) => name)

describe('every form of trust that admits alice', () => {
  test.each<[string, () => Trust]>([
    ['a path', () => at('ca.pem')],
    ['PEM text', () => pki.trust],
    ['PEM octets', () => Buffer.from(pki.trust)],
    ['DER octets', () => pki.root.certificate.der],
    ['a file', () => ({ file: at('ca.pem') })],
    ['a directory', () => ({ directory: at() })],
    ['a TrustStore', () => TrustStore.parse(pki.trust)],
    ['a list', () => [partner.certificate.pem, { file: at('ca.pem') }]],
    ['a list with a TrustStore', () => [TrustStore.parse(pki.trust), partner.certificate.der]],
    ['a named set', () => ({ internal: at('ca.pem'), partners: partner.certificate.pem })],
    ['a named list', () => ({ internal: [partner.certificate.pem, TrustStore.parse(pki.trust)] })],
  ])('%s; and not the client of a stranger', async (_, trust) => {
    const alice = await pki.issue()
    const mallory = await stranger.issue()
    expect((await identityOf(alice, { trust: trust() })).subject.get('CN')).toBe('alice')
    expect((await refusedBy(mallory, { trust: trust() })).code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
  })
})

describe('what says nothing, or nothing clear, is refused at construction', () => {
  test.each<{ name: string; given: unknown; says: RegExp }>([
    {
      name: 'undefined',
      given: undefined,
      says: /trust: is missing — trust: '\.\/clients-ca\.pem'.*never the system's roots/,
    },
    { name: 'null', given: null, says: /trust: is missing/ },
    {
      name: 'PEM in base64, of an environment variable, and not a word of it is said',
      given: Buffer.from(`-----BEGIN CERTIFICATE-----${'A'.repeat(300)}`).toString('base64'),
      says: /ClientCertConfigError: trust: is base64 \(environment variable\?\) — trust: Buffer\.from\(value, 'base64'\), or a file$/,
    },
    {
      name: 'an address',
      given: 'https://vault.test/ca.pem',
      says: /ClientCertConfigError: trust: is an address, which is not fetched — TrustStore\.from\(load/,
    },
    {
      name: 'a URL of a file',
      given: new URL('file:///ca.pem'),
      says: /ClientCertConfigError: trust: is a URL — trust: fileURLToPath\(url\)/,
    },
    {
      name: 'a promise',
      given: Promise.resolve('./ca.pem'),
      says: /ClientCertConfigError: trust: is a promise — await it/,
    },
    { name: 'an empty list', given: [], says: /trust: is an empty list/ },
    { name: 'an empty list as named set', given: { partners: [] }, says: /trust\.partners: is an empty list/ },
    { name: 'an empty list in a list', given: [[], '-----BEGIN'], says: /is an empty list/ },
    { name: 'undefined in a list', given: [undefined], says: /trust: is missing/ },
    {
      name: 'PEM in a list, by its place in it',
      given: [at('ca.pem'), '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'],
      says: /^ClientCertConfigError: trust\[1\]: block 1 of 1 \(line 1\)/,
    },
    {
      name: 'octets in a named list, by their place in it',
      given: { partners: [at('ca.pem'), at('ca.pem'), Buffer.from([0x30, 0])] },
      says: /^ClientCertConfigError: trust\.partners\[2\]: /,
    },
    { name: 'no set', given: {}, says: /trust: names no trust set/ },
    { name: 'a set that is undefined', given: { partners: undefined }, says: /trust\.partners: is missing/ },
    {
      name: 'a number',
      given: 7,
      says: /expected a path, PEM, DER, \{ file \}, \{ directory \} or a TrustStore, got number/,
    },
    { name: 'true', given: true, says: /got boolean/ },
    { name: 'a function', given: () => '', says: /got function/ },
    { name: 'file and directory', given: { file: 'a', directory: 'b' }, says: /unknown option "directory"/ },
    { name: 'a misspelt option beside file', given: { file: 'a', wacth: true }, says: /unknown option "wacth"/ },
    { name: 'a file that is no text', given: { file: 7 }, says: /trust\.file: .*got number/ },
    {
      name: 'sets within sets',
      given: { a: { b: '-----BEGIN' } },
      says: /named sets are for the top level of trust only — found b/,
    },
    { name: 'a Map', given: new Map([['a', 'b']]), says: /names no trust set/ },
  ])('C-01: $name', ({ given, says }) => {
    expect(thrownBy(() => load(given))).toMatch(says)
    expect(thrownBy(() => createAuthenticator({ trust: given as Trust, revocation: 'none' }))).toMatch(
      /^ClientCertConfigError/,
    )
  })

  test('intermediates have no named sets', () => {
    expect(thrownBy(() => resolveTrust('intermediates', { a: pki.trust }, false))).toMatch(/intermediates: named sets/)
    expect(subjects(resolveTrust('intermediates', [pki.trust], false))).toEqual(['CN=Test Root CA'])
  })

  test('C-09: one bad source among good ones loads none of them', () => {
    expect(thrownBy(() => load([pki.trust, at('missing.pem')]))).toMatch(/missing\.pem \(ENOENT\)/)
    expect(thrownBy(() => load({ a: pki.trust, b: 'x\ny' }))).toMatch(/trust\.b: line 1/)
  })
})

describe('named sets', () => {
  test('I-02: the identity says by which set it was admitted, and the same name under two sets is told apart', async () => {
    const trust = { internal: pki.trust, partners: partner.certificate.pem }
    const ours = await pki.issue({ subject: 'CN=alice' })
    const theirs = await partner.issue({ subject: 'CN=alice' })
    expect((await identityOf(ours, { trust })).anchor.name).toBe('internal')
    expect((await identityOf(theirs, { trust })).anchor.name).toBe('partners')
  })

  test('without names there is no name; a store in a set takes the name of the set', async () => {
    expect(names(load([pki.trust]))).toEqual([undefined])
    expect(names(load({ partners: [TrustStore.parse(partner.certificate.pem), pki.trust] }))).toEqual([
      'partners',
      'partners',
    ])
    expect(names(load([load({ partners: partner.certificate.pem }), pki.trust]))).toEqual(['partners', undefined])
  })

  test('I-11: __proto__ and constructor are names like any other and pollute nothing', async () => {
    const trust = Object.assign(JSON.parse('{"__proto__":"x","constructor":"y"}')) as Record<string, string>
    Object.defineProperty(trust, '__proto__', { value: pki.trust, enumerable: true })
    trust.constructor = partner.certificate.pem as never
    expect(names(load(trust))).toEqual(['__proto__', 'constructor'])
    expect((await identityOf(await pki.issue(), { trust: trust as Trust })).anchor.name).toBe('__proto__')
    expect(({} as { name?: unknown }).name).toBeUndefined()
  })
})

describe('pinned', () => {
  test('I-13: a pin admits its whole DER, and no other certificate of the same name or key', async () => {
    const device = await createSelfSigned({ subject: 'CN=device', notBefore: noon })
    const trust = { pinned: device.certificate.pem }
    const identity = await identityOf(device, { trust })
    expect(identity.anchor.name).toBe('pinned')
    expect(identity.anchor.fingerprint).toBe(device.fingerprint)

    const namesake = await createSelfSigned({ subject: 'CN=device', notBefore: noon })
    const sameKey = await createSelfSigned({ subject: 'CN=device', notBefore: noon, key: device })
    for (const other of [namesake, sameKey]) {
      expect((await refusedBy(other, { trust })).code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    }
  })

  test('I-13: a pinned certificate is nobody’s issuer, even if it is a CA', async () => {
    const trust = { pinned: pki.root.certificate.pem }
    expect((await refusedBy(await pki.root.issue(), { trust })).code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    expect((await identityOf({ certificate: pki.root.certificate, chain: [] }, { trust })).subject.get('CN')).toBe(
      'Test Root CA',
    )
  })

  test('a pin ends with its certificate, and a weak key stays weak', async () => {
    const ended = await createSelfSigned({ notBefore: new Date(0), notAfter: new Date(noon.getTime() - 1000) })
    const weak = await createSelfSigned({ notBefore: noon, keyAlgorithm: 'RSA-1024' })
    expect((await refusedBy(ended, { trust: { pinned: ended.certificate.der } })).code).toBe('ERR_CLIENT_CERT_EXPIRED')
    expect((await refusedBy(weak, { trust: { pinned: weak.certificate.der } })).code).toBe('ERR_CLIENT_CERT_WEAK_KEY')
  })

  describe('pinned by key', () => {
    const subject = 'CN=device 7'
    const names = { dns: ['device7.test'] }
    const renewed = async (change: Parameters<typeof createSelfSigned>[0] = {}) => {
      const device = await createSelfSigned({ subject, names, notBefore: noon })
      const renewal = await createSelfSigned({ subject, names, notBefore: noon, key: device, ...change })
      return { trust: { pinnedKeys: device.certificate.pem }, device, renewal }
    }

    test('a certificate renewed with the same key and names is admitted', async () => {
      const { trust, device, renewal } = await renewed()
      expect(renewal.fingerprint).not.toBe(device.fingerprint)
      expect((await identityOf(device, { trust })).anchor.name).toBe('pinnedKeys')
      expect((await identityOf(renewal, { trust })).fingerprint).toBe(renewal.fingerprint)
    })

    test.each([
      ['another key', { key: undefined }],
      ['another subject', { subject: 'CN=device 8' }],
      ['another subjectAltName', { names: { dns: ['device8.test'] } }],
      ['one subjectAltName more', { names: { dns: ['device7.test', 'admin.test'] } }],
      ['none', { names: {} }],
    ])('I-13: %s is refused, for a key signs whatever its holder likes', async (_, change) => {
      const { trust, renewal } = await renewed(change as object)
      expect((await refusedBy(renewal, { trust })).code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    })

    test('a renewal that ended is refused', async () => {
      const { trust, renewal } = await renewed({ notBefore: fromNoon(-2 * hour), notAfter: fromNoon(-hour) })
      expect((await refusedBy(renewal, { trust })).code).toBe('ERR_CLIENT_CERT_EXPIRED')
    })

    test('pinned by certificate, a renewal is refused', async () => {
      const { device, renewal } = await renewed()
      const trust = { pinned: device.certificate.pem }
      expect((await refusedBy(renewal, { trust })).code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    })
  })

  test('pins and anchors stand beside each other; the certificate of a client under the anchor is not pinned', async () => {
    const device = await createSelfSigned({ subject: 'CN=device', notBefore: noon })
    const trust = { pinned: [device.certificate.pem], internal: pki.trust }
    expect((await identityOf(device, { trust })).anchor.name).toBe('pinned')
    expect((await identityOf(await pki.issue(), { trust })).anchor.name).toBe('internal')
  })

  test('a TrustStore holds anchors, which are no pins', () => {
    expect(thrownBy(() => load({ pinned: TrustStore.parse(pki.trust) }))).toMatch(/trust\.pinned: takes files or bytes/)
  })
})

describe('independence', () => {
  test('C-01: an authenticator without the right anchor refuses what the machine’s roots would accept', async () => {
    const { rootCertificates } = await import('node:tls')
    const store = load(pki.trust)
    expect(store.current().anchors.length).toBe(1)
    const theirs = TrustStore.parse(rootCertificates[0] as string).current().anchors[0]
    expect(theirs && store.current().bySubject(theirs.certificate.subject).length).toBe(0)
  })

  test('C-07: NODE_EXTRA_CA_CERTS, SSL_CERT_FILE and NODE_TLS_REJECT_UNAUTHORIZED change no decision', async () => {
    const before = { ...process.env }
    writeFileSync(at('stranger.txt'), stranger.certificate.pem)
    const path = at('stranger.txt')
    Object.assign(process.env, { NODE_EXTRA_CA_CERTS: path, SSL_CERT_FILE: path, NODE_TLS_REJECT_UNAUTHORIZED: '0' })
    try {
      expect((await refusedBy(await stranger.issue(), { trust: pki.trust })).code).toBe(
        'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
      )
    } finally {
      for (const name of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'NODE_TLS_REJECT_UNAUTHORIZED']) {
        if (before[name] === undefined) delete process.env[name]
        else process.env[name] = before[name]
      }
    }
  })

  test('octets that are changed after construction change nothing', async () => {
    const octets = Uint8Array.from(pki.root.certificate.der)
    const { decision } = await present(await pki.issue(), { trust: octets })
    const store = load(octets)
    octets.fill(0)
    expect(decision.outcome).toBe('accepted')
    expect(store.reload().ok).toBe(true)
    expect(subjects(store)).toEqual(['CN=Test Root CA'])
  })

  test('an expired anchor at start is loaded, and refuses those under it (RFC 5280 §6.1.1 (d))', async () => {
    const old = await createTestAuthority({
      now: noon,
      notBefore: new Date(0),
      notAfter: new Date(noon.getTime() - 1000),
    })
    const error = await refusedBy(await old.issue(), { trust: [pki.trust, old.certificate.pem] })
    expect([error.code, error.depth]).toEqual(['ERR_CLIENT_CERT_EXPIRED', 1])
    expect((await identityOf(await pki.issue(), { trust: [pki.trust, old.certificate.pem] })).subject.get('CN')).toBe(
      'alice',
    )
  })
})
