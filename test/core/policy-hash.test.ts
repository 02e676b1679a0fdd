/** The hash of a policy: what it depends on, and what it does not. */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { optionNames } from '../../src/core/options.js'
import {
  type AuthenticatorOptions,
  allOf,
  allowUnknown,
  anyOf,
  byPeer,
  crl,
  denyList,
  firstDefinite,
  forwardedHeader,
  ocsp,
  platformNetwork,
  proxyAddress,
  proxyCertificate,
  proxySecret,
  rules,
  skipShortLived,
  spiffeBundles,
  TrustStore,
  tlsSocket,
  unixSocket,
} from '../../src/index.js'
import { strictProfile } from '../../src/path/profile.js'
import { createTestPki } from '../../src/testing.js'
import { compileInto } from '../support/compiled.js'
import { day } from '../support/pki.js'
import {
  at,
  exception,
  fingerprint,
  hashOf,
  made,
  make,
  otherFingerprint,
  rich,
  secret,
  until,
  write,
} from '../support/policies.js'
import { closing } from '../support/revocation.js'

describe('the hash is the same', () => {
  const writeCopies = () => {
    mkdirSync(at('elsewhere.d'), { recursive: true })
    writeFileSync(at('elsewhere.d', 'a.pem'), made.other.trust)
    writeFileSync(at('elsewhere.d', 'b.pem'), made.pki.trust)
    writeFileSync(at('elsewhere.json'), '{"description": "the same", "allow": {"ip": "10.0.0.1", "dnsName": "a.test"}}')
    writeFileSync(at('here.json'), '{ "allow": { "dnsName": "a.test", "ip": "10.0.0.1" } }')
  }
  const same: [what: string, a: () => Partial<AuthenticatorOptions>, b: () => Partial<AuthenticatorOptions>][] = [
    ['for a second authenticator', rich, rich],
    [
      'wherever the files lie, and however many they are',
      () => ({ trust: at('both.pem') }),
      () => ({ trust: { directory: at('elsewhere.d') } }),
    ],
    [
      'in whichever order anchors come',
      () => ({ trust: [at('root.pem'), at('other.pem')] }),
      () => ({ trust: [at('other.pem'), at('root.pem')] }),
    ],
    [
      'for an anchor that is there twice',
      () => ({ trust: at('root.pem') }),
      () => ({ trust: [at('root.pem'), at('root.pem')] }),
    ],
    [
      'for a default that is written',
      () => ({}),
      () => ({ profile: 'strict', source: tlsSocket(), watch: true, maxStaleness: day }),
    ],
    [
      'for a profile by name and by its fields',
      () => ({ profile: 'compatible' }),
      () => ({ profile: { allowVersion1: true, requireExtendedKeyUsage: false } }),
    ],
    [
      'in whichever order a profile lists',
      () => ({ profile: { curves: ['P-256', 'P-384'] } }),
      () => ({ profile: { curves: ['P-384', 'P-256'] } }),
    ],
    [
      'for a curve by name and by identifier',
      () => ({ profile: { curves: ['P-256'] } }),
      () => ({ profile: { curves: ['1.2.840.10045.3.1.7'] } }),
    ],
    [
      'in whichever order rules are combined',
      () => ({ rules: rules.any(rules.dnsName('a.test'), rules.dnsName('b.test')) }),
      () => ({ rules: rules.any(rules.dnsName('b.test'), rules.dnsName('a.test')) }),
    ],
    [
      'for a document whose members are in another order, elsewhere',
      () => ({ rules: { file: at('here.json') } }),
      () => ({ rules: { file: at('elsewhere.json') } }),
    ],
    [
      'in whichever order exceptions come, and whatever their reasons',
      () => ({ exceptions: [exception, { ...exception, fingerprint: otherFingerprint }] }),
      () => ({ exceptions: [{ ...exception, fingerprint: otherFingerprint, reason: 'x' }, exception] }),
    ],
    [
      'in whichever order a deny list is',
      () => ({ revocation: denyList({ entries: [fingerprint, otherFingerprint] }) }),
      () => ({ revocation: denyList({ entries: [otherFingerprint, fingerprint] }) }),
    ],
    [
      'for CRLs elsewhere',
      () => ({ revocation: closing(crl({ files: at('root.crl') })) }),
      () => ({ revocation: closing(crl({ files: [at('root.crl'), at('root.crl')] })) }),
    ],
    [
      'whatever the reason of a soft-fail',
      () => ({ revocation: closing(allowUnknown(ocsp({ responder: 'http://a.test/' }), { because: 'x' })) }),
      () => ({ revocation: closing(allowUnknown(ocsp({ responder: 'http://a.test/' }), { because: 'y' })) }),
    ],
    [
      'whoever listens',
      () => ({}),
      () => ({ log: () => {}, onDecision: () => {}, auditNames: true, requestId: () => 'x' }),
    ],
    [
      'whatever is warned about beforehand',
      () => ({}),
      () => ({ expiry: { warnDays: [90] }, nextStandard: { minimumRsaBits: 4096 } }),
    ],
    [
      'however an address is written',
      () => ({ source: forwardedHeader({ preset: 'nginx', from: proxyAddress('10.0.3.7', '2001:DB8:0::/48') }) }),
      () => ({ source: forwardedHeader({ preset: 'nginx', from: proxyAddress('2001:db8::/48', '10.0.3.7/32') }) }),
    ],
    ['for another secret: none is part of it', () => gatedBy(secret), () => gatedBy(secret.toUpperCase())],
  ]
  const gatedBy = (...secrets: string[]) => ({
    source: forwardedHeader({ preset: 'nginx', from: proxySecret({ header: 'X-S', secrets }) }),
  })
  test.each(same)('%s', (_, a, b) => {
    writeCopies()
    expect(hashOf(a())).toBe(hashOf(b()))
  })

  test('in another process, with other files, another order of keys and of anchors', async () => {
    compileInto(at('compiled'))
    const entry = JSON.stringify(at('compiled/src/index.js'))
    const program = (folder: string, body: string) => {
      mkdirSync(at(folder))
      for (const [name, content] of [
        ['a.pem', made.pki.trust],
        ['b.pem', made.other.trust],
      ] as const)
        writeFileSync(at(folder, name), content)
      writeFileSync(at(folder, 'deny.txt'), `# ${folder}\n${fingerprint}\n`)
      const text = `import { createAuthenticator, denyList, firstDefinite, ocsp, rules } from ${entry}
process.chdir(${JSON.stringify(at(folder))})
const auth = createAuthenticator(${body})
process.stdout.write(JSON.stringify(auth.describe()))
process.exit()`
      writeFileSync(at(folder, 'program.mjs'), text)
      return at(folder, 'program.mjs')
    }
    const bodyOfOne = `{ trust: ['./a.pem', './b.pem'], profile: { allowVersion1: true, minimumRsaBits: 3072 },
      rules: rules.subject({ O: 'Acme', OU: ['a'] }), log: false,
      revocation: firstDefinite(denyList({ file: './deny.txt' }), ocsp({ responder: 'http://a.test/', leafOnly: true })) }`
    const one = program('one', bodyOfOne)
    const two = program(
      'two',
      `{ log: false, revocation: firstDefinite(ocsp({ leafOnly: true, responder: 'http://a.test/' }), denyList({ file: './deny.txt' })),
      rules: rules.subject({ OU: ['a'], O: 'Acme' }), profile: { minimumRsaBits: 3072, allowVersion1: true }, trust: ['./b.pem', './a.pem'] }`,
    )
    const three = program('three', bodyOfOne.replace('3072', '3073'))
    const run = async (file: string) =>
      JSON.parse(
        (
          await promisify(execFile)(process.execPath, [file], {
            env: { ...process.env, TZ: file === two ? 'Asia/Tokyo' : 'UTC' },
          })
        ).stdout,
      )
    const [a, b, c] = await Promise.all([one, two, three].map(run))
    expect(a.trust.store.where).not.toEqual({})
    expect(a.dangerous).toEqual(b.dangerous)
    expect(a.policyHash).toBe(b.policyHash)
    expect(c.policyHash).not.toBe(a.policyHash)
  }, 60_000)
})

describe('the hash differs by', () => {
  const checkerOf = (options: Parameters<typeof ocsp>[0]) => ({
    revocation: closing(ocsp({ responder: 'http://a.test/', ...options })),
  })
  const crlOf = (options: Parameters<typeof crl>[0]) => ({
    revocation: closing(crl({ urls: 'http://127.0.0.1:1/a.crl', ...options })),
  })
  const headerOf = (options: Partial<Parameters<typeof forwardedHeader>[0]>) => ({
    source: forwardedHeader({ preset: 'nginx', from: proxyAddress('10.0.3.7'), ...options }),
  })
  /** Each one beside all others: no two of them are alike. */
  const variants: { readonly [what: string]: () => Partial<AuthenticatorOptions> } = {
    nothing: () => ({}),
    'another anchor': () => ({ trust: at('other.pem') }),
    'one anchor more': () => ({ trust: at('both.pem') }),
    'the name of a set': () => ({ trust: { partners: at('root.pem') } }),
    'a pin': () => ({ trust: { a: at('root.pem'), pinned: made.device } }),
    'a pin by key': () => ({ trust: { a: at('root.pem'), pinnedKeys: made.device } }),
    'domains kept apart': () => ({ trust: closing(spiffeBundles({ 'acme.example': at('root.pem') })) }),
    'a set that is called like a domain': () => ({ trust: { 'acme.example': at('root.pem') } }),
    staleness: () => ({ maxStaleness: 1_000 }),
    'the staleness of a store within': () => ({
      trust: [closing(TrustStore.load(at('root.pem'), { maxStaleness: 1_000 }))],
    }),
    watching: () => ({ watch: false }),
    intermediates: () => ({ intermediates: made.pki.intermediate.certificate.pem }),
    'other intermediates': () => ({ intermediates: made.other.intermediate.certificate.pem }),
    ...Object.fromEntries(
      Object.entries(strictProfile).map(([name, value]) => [
        `profile.${name}`,
        () => ({
          profile: {
            [name]:
              typeof value === 'boolean'
                ? !value
                : typeof value === 'number'
                  ? value - 1
                  : typeof value === 'string'
                    ? 'any'
                    : name === 'initialPolicySet'
                      ? ['1.2.3']
                      : value.slice(1),
          },
        }),
      ]),
    ),
    'no revocation': () => ({ revocation: 'none' }),
    'another address of a CRL': () => crlOf({ urls: 'http://127.0.0.1:1/b.crl' }),
    'CRLs from a file': () => ({ revocation: closing(crl({ files: at('root.crl') })) }),
    'crl leafOnly': () => crlOf({ leafOnly: true }),
    'crl maxAge': () => crlOf({ maxAge: 60 }),
    'crl fromCertificate': () => crlOf({ fromCertificate: true, allowHosts: ['a.test'] }),
    'crl allowHosts': () => crlOf({ fromCertificate: true, allowHosts: ['b.test'] }),
    'crl allowPrivateNetworks': () => crlOf({ allowPrivateNetworks: ['10.0.0.0/16'] }),
    'crl maximumBytes': () => crlOf({ maximumBytes: 1 }),
    'crl timeoutMilliseconds': () => crlOf({ timeoutMilliseconds: 1 }),
    'crl now': () => crlOf({ now: () => Date.now() }),
    ocsp: () => checkerOf({}),
    'ocsp responder': () => checkerOf({ responder: 'http://b.test/' }),
    'ocsp responder function': () => checkerOf({ responder: () => 'http://b.test/' }),
    'ocsp fromCertificate': () => checkerOf({ fromCertificate: true, allowHosts: ['a.test'] }),
    'ocsp hash': () => checkerOf({ hash: 'sha256' }),
    'ocsp method': () => checkerOf({ method: 'get' }),
    'ocsp nonce': () => checkerOf({ nonce: 'required' }),
    'ocsp skewSeconds': () => checkerOf({ skewSeconds: 1 }),
    'ocsp maxAgeSeconds': () => checkerOf({ maxAgeSeconds: 1 }),
    'ocsp refreshSeconds': () => checkerOf({ refreshSeconds: 7 }),
    'ocsp leafOnly': () => checkerOf({ leafOnly: true }),
    'ocsp responderCertificates': () => checkerOf({ responderCertificates: made.device }),
    'ocsp delegates': () => checkerOf({ delegates: 'unchecked' }),
    'ocsp delegates by a checker': () => checkerOf({ delegates: closing(crl({ files: at('root.crl') })) }),
    'ocsp timeoutMilliseconds': () => checkerOf({ timeoutMilliseconds: 1 }),
    'ocsp now': () => checkerOf({ now: () => Date.now() }),
    'a deny list': () => ({ revocation: denyList({ entries: [] }) }),
    'an entry of it': () => ({ revocation: denyList({ entries: [fingerprint] }) }),
    'another entry': () => ({ revocation: denyList({ entries: [otherFingerprint] }) }),
    'a pair of it': () => ({ revocation: denyList({ entries: [{ issuer: 'CN=Acme', serialNumber: '4f' }] }) }),
    'who is asked first': () => ({
      revocation: closing(
        firstDefinite(ocsp({ responder: 'http://a.test/' }), crl({ urls: 'http://127.0.0.1:1/a.crl' })),
      ),
    }),
    'who is asked last': () => ({
      revocation: closing(
        firstDefinite(crl({ urls: 'http://127.0.0.1:1/a.crl' }), ocsp({ responder: 'http://a.test/' })),
      ),
    }),
    'soft-fail': () => ({ revocation: closing(allowUnknown(ocsp({ responder: 'http://a.test/' }), { because: 'x' })) }),
    'soft-fail recheckAfter': () => ({
      revocation: closing(allowUnknown(ocsp({ responder: 'http://a.test/' }), { because: 'x', recheckAfter: 5 })),
    }),
    'short-lived': () => ({
      revocation: closing(skipShortLived(ocsp({ responder: 'http://a.test/' }), { lifetimeBelow: 60 })),
    }),
    'short-lived noRevAvail': () => ({
      revocation: closing(
        skipShortLived(ocsp({ responder: 'http://a.test/' }), { lifetimeBelow: 60, noRevAvail: true }),
      ),
    }),
    'a checker of one’s own': () => ({ revocation: { name: 'mine', check: () => ({ status: 'good' }) } }),
    'another of one’s own': () => ({ revocation: { name: 'yours', check: () => ({ status: 'good' }) } }),
    'a rule': () => ({ rules: rules.commonName('alice') }),
    'its operand': () => ({ rules: rules.commonName('bob') }),
    'its name': () => ({ rules: rules.dnsName('alice') }),
    'not of it': () => ({ rules: rules.not(rules.commonName('alice')) }),
    'deny of it': () => ({ rules: rules.deny(rules.commonName('alice')) }),
    'one or the other': () => ({ rules: rules.any(rules.commonName('alice'), rules.commonName('bob')) }),
    'one and the other': () => ({ rules: rules.all(rules.commonName('alice'), rules.commonName('bob')) }),
    'a CA by name and key': () => ({ rules: rules.issuedBy(made.pki.trust) }),
    'a rule of one’s own': () => ({ rules: rules.custom('mine', () => true) }),
    'its timeout': () => ({ rules: rules.custom('mine', () => true, { timeout: 5 }) }),
    'its memory': () => ({ rules: rules.custom('mine', () => true, { remember: 'identity' }) }),
    'an extension by its octets': () => ({ rules: rules.extension('1.2.3', Buffer.from('00', 'hex')) }),
    'an extension by a function': () => ({ rules: rules.extension('1.2.3', () => true) }),
    'a list': () => ({ rules: rules.listed({ load: () => [] }) }),
    'a certificate in it': () => ({ rules: rules.listed({ load: () => [made.device] }) }),
    'an Azure subject, which is read either way': () => ({ rules: { identities: [{ subject: 'CN=a,O=b' }] } }),
    'a subject, as any of one': () => ({ rules: rules.any(rules.subject('CN=a,O=b')) }),
    'a document': () => ({ rules: { file: write('d1.json', '{"allow":{"dnsName":"a.test"}}') } }),
    'its content': () => ({ rules: { file: write('d2.json', '{"allow":{"dnsName":"b.test"}}') } }),
    'its SHA-1': () => ({ rules: { file: at('d1.json'), dangerouslyAllowSha1Thumbprints: true } }),
    'a header': () => headerOf({}),
    'a preset': () => headerOf({ preset: 'caddy' }),
    'the name of a header': () => headerOf({ headers: { certificate: 'X-Cert' } }),
    'a verdict': () => headerOf({ headers: { status: 'X-Verify' } }),
    'the accepting verdict': () => headerOf({ headers: { status: 'X-Verify' }, statusAccepts: 'OK' }),
    'trustedHops 0': () => headerOf({ preset: 'envoy' }),
    'trustedHops 1': () => headerOf({ preset: 'envoy', trustedHops: 1 }),
    'a gate': () => headerOf({ from: unixSocket() }),
    'the address of a proxy': () => headerOf({ from: proxyAddress('10.0.3.8') }),
    'a secret': () => headerOf({ from: proxySecret({ header: 'X-S', secrets: [secret] }) }),
    'two secrets': () => headerOf({ from: proxySecret({ header: 'X-S', secrets: [secret, `${secret}2`] }) }),
    'all of two gates': () => headerOf({ from: allOf(unixSocket(), proxyAddress('10.0.3.7')) }),
    'any of two gates': () => headerOf({ from: anyOf(unixSocket(), proxyAddress('10.0.3.7')) }),
    'a pinned proxy': () => headerOf({ from: proxyCertificate({ pins: [`${'A'.repeat(43)}=`] }) }),
    'another pinned proxy': () => headerOf({ from: proxyCertificate({ pins: [`${'E'.repeat(43)}=`] }) }),
    'proxies of a CA': () => headerOf({ from: proxyCertificate(make({ trust: at('other.pem') })) }),
    'proxies of another': () => headerOf({ from: proxyCertificate(make()) }),
    'the platform': () => headerOf({ from: platformNetwork('I have read that anybody may come') }),
    'two ways in': () => ({ source: byPeer({ proxy: headerOf({}).source, direct: tlsSocket() }) }),
    'an exception': () => ({ exceptions: [exception] }),
    'whom it is for': () => ({ exceptions: [{ ...exception, fingerprint: otherFingerprint }] }),
    'what it overlooks': () => ({ exceptions: [{ ...exception, ignore: ['weak-key'] }] }),
    'when it ends': () => ({ exceptions: [{ ...exception, until: new Date(until.getTime() + 1) }] }),
    resolve: () => ({ resolve: () => undefined }),
    'its lifetime': () => ({ resolve: () => undefined, principalLifetime: 0 }),
    principalFrom: () => ({ principalFrom: 'dns' }),
    'another form of it': () => ({ principalFrom: 'email' }),
    'a clock': () => ({ now: () => Date.now() }),
  }

  test('everything that decides, each in its own way', () => {
    const seen = new Map<string, string>()
    const alike: string[] = []
    for (const [what, options] of Object.entries(variants)) {
      const hash = hashOf(options())
      if (seen.has(hash)) alike.push(`${what} = ${seen.get(hash)}`)
      seen.set(hash, what)
    }
    expect(alike).toEqual([])
    expect(seen.size).toBeGreaterThan(100)
  })

  test('every option of an authenticator that decides anything is among them', () => {
    const tried = new Set(Object.values(variants).flatMap((options) => Object.keys(options())))
    expect(optionNames.filter((name) => !tried.has(name))).toEqual([
      'log',
      'expiry',
      'nextStandard',
      'onDecision',
      'auditNames',
      'requestId',
      'candidate',
    ])
  })

  test('a CA of the same name with another key', async () => {
    const namesake = await createTestPki()
    expect(hashOf({ rules: rules.issuedBy(namesake.trust) })).not.toBe(
      hashOf({ rules: rules.issuedBy(made.pki.trust) }),
    )
  })
})
