/** Trust domains that are kept apart: an X509-SVID is verified against its own domain's bundle only. */
import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import { createAuthenticator, rules, type SpiffeBundle, spiffeBundles } from '../../src/index.js'
import { createTestPki, type IssueOptions, type TestPki } from '../../src/testing.js'
import { noon, pemOf, present, temporaryFolder, thrownBy } from '../support/pki.js'

const folder = temporaryFolder()
let acme: TestPki
let partner: TestPki
beforeAll(async () => {
  acme = await createTestPki({ now: noon, name: 'Acme' })
  partner = await createTestPki({ now: noon, name: 'Partner' })
})

const svid = (id: string, options: IssueOptions = {}): IssueOptions => ({ names: { uri: [id] }, ...options })
const base64 = (pki: TestPki) => Buffer.from(pki.root.certificate.der).toString('base64')
const document = (pki: TestPki, more: object = {}) => ({
  keys: [
    { use: 'x509-svid', kty: 'EC', x5c: [base64(pki)] },
    { use: 'jwt-svid', kty: 'EC', kid: 'x' },
    { use: 'of-tomorrow', kty: 'QQ', x5c: 'whatever' },
  ],
  spiffe_refresh_hint: 300,
  ...more,
})
const both = () => spiffeBundles({ 'spiffe://acme.test': acme.trust, 'partner.test': document(partner) })

async function verdict(pki: TestPki, given: IssueOptions, trust = both()) {
  const { decision, line } = await present(await pki.issue(given), { trust })
  return decision.outcome === 'accepted' ? `${decision.identity.spiffeId} by ${decision.identity.anchor.name}` : line
}

describe('I-03: an identity is verified against its own trust domain', () => {
  test('each domain speaks for itself', async () => {
    expect(await verdict(acme, svid('spiffe://acme.test/api'))).toBe('spiffe://acme.test/api by acme.test')
    expect(await verdict(partner, svid('spiffe://partner.test/api'))).toBe('spiffe://partner.test/api by partner.test')
  })

  test('and for no other: a CA of the partner’s cannot name a client of ours, nor the other way round', async () => {
    for (const [pki, id] of [
      [partner, 'spiffe://acme.test/api'],
      [acme, 'spiffe://partner.test/api'],
    ] as const) {
      expect(await verdict(pki, svid(id))).toMatch(/ERR_CLIENT_CERT_UNKNOWN_ISSUER/)
      // The same certificates in one store of two anchors: that is what is kept from happening.
      const merged = [acme.trust, partner.trust]
      expect((await present(await pki.issue(svid(id)), { trust: merged })).decision.outcome).toBe('accepted')
    }
  })

  test('what was accepted for one domain is not remembered for the other', async () => {
    const auth = createAuthenticator({ trust: both(), revocation: 'none', log: false, now: () => noon.getTime() })
    const ask = async (pki: TestPki, id: string) => {
      const { certificate, chain } = await pki.issue(svid(id))
      return (
        await auth.authenticateChain({
          certificate: certificate.der,
          intermediates: chain.map(({ der }) => der),
          via: 'tls',
        })
      ).outcome
    }
    expect(await ask(partner, 'spiffe://partner.test/a')).toBe('accepted')
    expect(await ask(partner, 'spiffe://acme.test/a')).toBe('refused')
    expect(await ask(acme, 'spiffe://acme.test/a')).toBe('accepted')
    expect(await ask(acme, 'spiffe://partner.test/a')).toBe('refused')
  })

  test('a rule about an ID needs no issuer there', async () => {
    const warnings: string[] = []
    const listen = (warning: Error & { code?: string }) => warnings.push(warning.code ?? '')
    process.on('warning', listen)
    createAuthenticator({ trust: both(), revocation: 'none', rules: rules.spiffeId('spiffe://acme.test/a') })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings).toEqual([])
  })

  test('such a store cannot be one of several, where the domains would be one', () => {
    for (const trust of [[both()], [both(), acme.trust], { a: both() }]) {
      expect(thrownBy(() => createAuthenticator({ trust, revocation: 'none' }))).toMatch(/cannot be one of several/)
    }
  })
})

describe('what is no X509-SVID of a known domain is refused', () => {
  test.each<[string, IssueOptions, RegExp]>([
    [
      'an unknown domain',
      svid('spiffe://other.test/a'),
      /"spiffe:\/\/other\.test\/a": no bundle of its trust domain other\.test is configured/,
    ],
    ['a subdomain', svid('spiffe://sub.acme.test/a'), /no bundle of its trust domain sub\.acme\.test/],
    ['no URI name', { names: { dns: ['acme.test'] } }, /it has 0 URI names/],
    ['two URI names', { names: { uri: ['spiffe://acme.test/a', 'urn:x:y'] } }, /it has 2 URI names/],
    ['two SPIFFE IDs', { names: { uri: ['spiffe://acme.test/a', 'spiffe://partner.test/a'] } }, /it has 2 URI names/],
    ['the ID of a domain', svid('spiffe://acme.test'), /is not the SPIFFE ID of a workload/],
    ['another scheme', svid('https://acme.test/a'), /is not the SPIFFE ID of a workload/],
    ['a spelling that is none', svid('spiffe://ACME.test/a'), /is not the SPIFFE ID of a workload/],
    [
      'no digitalSignature',
      svid('spiffe://acme.test/a', { keyUsage: ['keyAgreement'] }),
      /keyUsage lacks digitalSignature/,
    ],
    ['no keyUsage', svid('spiffe://acme.test/a', { keyUsage: false }), /keyUsage lacks digitalSignature/],
    [
      'cRLSign',
      svid('spiffe://acme.test/a', { keyUsage: ['digitalSignature', 'cRLSign'] }),
      /keyCertSign or cRLSign, which is for CAs/,
    ],
    [
      'keyCertSign',
      svid('spiffe://acme.test/a', { keyUsage: ['digitalSignature', 'keyCertSign'] }),
      /keyCertSign or cRLSign/,
    ],
  ])('%s', async (_, given, says) => {
    const line = await verdict(acme, given)
    expect(line).toMatch(/^mtls-identity ERR_CLIENT_CERT_SVID: /)
    expect(line).toMatch(says)
  })

  test('a DNS name beside the ID is fine', async () => {
    expect(await verdict(acme, { names: { uri: ['spiffe://acme.test/a'], dns: ['a.acme.test'] } })).toMatch(
      /by acme\.test$/,
    )
  })
})

describe('where bundles come from', () => {
  const accepts = async (bundle: SpiffeBundle) =>
    verdict(acme, svid('spiffe://acme.test/a'), spiffeBundles({ 'acme.test': bundle }, { watch: false }))

  test('PEM, DER, documents as text and as value, files of each', async () => {
    writeFileSync(folder('b.json'), JSON.stringify(document(acme)))
    writeFileSync(folder('b.pem'), acme.trust)
    writeFileSync(folder('b.der'), acme.root.certificate.der)
    const forms: SpiffeBundle[] = [
      acme.trust,
      acme.root.certificate.der,
      document(acme),
      JSON.stringify(document(acme)),
      ...['b.json', 'b.pem', 'b.der'].flatMap((name) => [folder(name), { file: folder(name) }]),
    ]
    for (const form of forms) expect(await accepts(form)).toBe('spiffe://acme.test/a by acme.test')
  })

  test('a document without keys is a domain that trusts nobody any more', async () => {
    expect(await accepts({ keys: [] })).toMatch(/ERR_CLIENT_CERT_UNKNOWN_ISSUER/)
  })

  test('C-02: files are read again, all or none; an older spiffe_sequence is refused', async () => {
    const write = (name: string, content: object) => writeFileSync(folder(name), JSON.stringify(content))
    write('acme.json', document(acme, { spiffe_sequence: 7 }))
    write('partner.json', document(partner))
    const store = spiffeBundles(
      { 'acme.test': folder('acme.json'), 'partner.test': folder('partner.json') },
      { watch: false },
    )
    const ofAcme = () => verdict(acme, svid('spiffe://acme.test/a'), store)
    expect(await ofAcme()).toMatch(/by acme/)
    write('acme.json', { keys: [], spiffe_sequence: 6 })
    expect(store.reload()).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/spiffe_sequence 6 is older than 7/) },
    })
    expect(await ofAcme()).toMatch(/by acme/)
    write('acme.json', { keys: [], spiffe_sequence: 9 })
    write('partner.json', { keys: 'x' })
    expect(store.reload().ok).toBe(false)
    expect(await ofAcme()).toMatch(/by acme/)
    write('acme.json', { keys: [], spiffe_sequence: 8 })
    write('partner.json', document(partner))
    expect(store.reload().ok).toBe(true)
    expect(await ofAcme()).toMatch(/ERR_CLIENT_CERT_UNKNOWN_ISSUER/)
    store.close()
  })

  const cert = () => base64(acme)
  test.each<[string, () => { [domain: string]: unknown }, RegExp]>([
    ['nothing', () => ({}), /names no trust domain/],
    ['no domain', () => ({ 'https://acme.test': './x' }), /is not a trust domain/],
    ['a domain with a path', () => ({ 'spiffe://acme.test/a': './x' }), /is not a trust domain/],
    ['a domain in capitals', () => ({ 'Acme.test': './x' }), /is not a trust domain/],
    [
      'a domain twice',
      () => ({ 'acme.test': acme.trust, 'spiffe://acme.test': acme.trust }),
      /names a trust domain twice/,
    ],
    ['no bundle', () => ({ 'acme.test': undefined }), /expected a path, PEM, DER, or a bundle document/],
    ['no file', () => ({ 'acme.test': './none.json' }), /cannot read \.\/none\.json/],
    ['no list of keys', () => ({ 'acme.test': '{"keys":{}}' }), /has no list of keys/],
    ['no JSON', () => ({ 'acme.test': '{"keys":' }), /a bundle document is JSON/],
    [
      'no x5c',
      () => ({ 'acme.test': { keys: [{ use: 'x509-svid' }] } }),
      /keys\[0\]: x5c holds no certificates, expected one/,
    ],
    [
      'two in x5c',
      () => ({ 'acme.test': { keys: [{ use: 'x509-svid', x5c: [cert(), cert()] }] } }),
      /x5c holds 2 certificates/,
    ],
    ['no base64', () => ({ 'acme.test': { keys: [{ use: 'x509-svid', x5c: [`${cert()}*`] }] } }), /x5c is not base64/],
    [
      'base64url',
      () => ({
        'acme.test': {
          keys: [{ use: 'x509-svid', x5c: [cert().replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')] }],
        },
      }),
      /x5c is not base64/,
    ],
    ['no certificate', () => ({ 'acme.test': { keys: [{ use: 'x509-svid', x5c: ['AAAA'] }] } }), /keys\[0\]/],
    [
      'a sequence that is none',
      () => ({ 'acme.test': { ...document(acme), spiffe_sequence: '1' } }),
      /spiffe_sequence is not a whole number/,
    ],
    [
      'one CA in two bundles',
      () => ({ 'acme.test': acme.trust, 'partner.test': document(acme) }),
      /is a CA of acme\.test and of partner\.test/,
    ],
  ])('%s is refused', (_, given, says) => {
    expect(thrownBy(() => spiffeBundles(given() as never))).toMatch(says)
    expect(() => spiffeBundles(given() as never)).toThrow(ClientCertConfigError)
  })

  test('an end entity in a bundle is refused: it is no CA', async () => {
    const leaf = await acme.issue(svid('spiffe://acme.test/a'))
    expect(thrownBy(() => spiffeBundles({ 'acme.test': pemOf('CERTIFICATE', leaf.certificate.der) }))).toMatch(
      /not a CA certificate/,
    )
  })
})
