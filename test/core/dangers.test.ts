/** The switches that make decisions weaker than they are by default: each is told, and nothing else is. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { type DangerousSwitch, dangers } from '../../src/core/dangers.js'
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
  rules,
  skipShortLived,
  TrustStore,
  tlsSocket,
  unixSocket,
} from '../../src/index.js'
import { type PathProfile, strictProfile } from '../../src/path/profile.js'
import { at, exception, made, make, told, write } from '../support/policies.js'
import { closing } from '../support/revocation.js'

describe('dangerous switches', () => {
  const header = (from: Parameters<typeof forwardedHeader>[0]['from']) => ({
    source: forwardedHeader({ preset: 'nginx', from }),
  })
  const asked = () => ocsp({ responder: 'http://a.test/' })
  const cases: { readonly [D in DangerousSwitch]: readonly (() => Partial<AuthenticatorOptions>)[] } = {
    'revocation-none': [() => ({ revocation: 'none' })],
    'revocation-deny-list-only': [
      () => ({ revocation: denyList({ entries: [] }) }),
      () => ({ revocation: firstDefinite(denyList({ entries: [] }), denyList({ entries: [] })) }),
    ],
    'revocation-leaf-only': [
      () => ({ revocation: ocsp({ responder: 'http://a.test/', leafOnly: true }) }),
      () => ({
        revocation: firstDefinite(denyList({ entries: [] }), crl({ urls: 'http://127.0.0.1:1/', leafOnly: true })),
      }),
    ],
    'revocation-unknown-allowed': [
      () => ({ revocation: allowUnknown(asked(), { because: 'x' }) }),
      () => ({ revocation: firstDefinite(denyList({ entries: [] }), allowUnknown(asked(), { because: 'x' })) }),
    ],
    'revocation-short-lived-skipped': [() => ({ revocation: skipShortLived(asked(), { noRevAvail: true }) })],
    'ocsp-delegates-unchecked': [() => ({ revocation: ocsp({ responder: 'http://a.test/', delegates: 'unchecked' }) })],
    'ocsp-old-answers': [
      () => ({ revocation: ocsp({ responder: 'http://a.test/', maxAgeSeconds: 301 }) }),
      () => ({ revocation: ocsp({ responder: 'http://a.test/', skewSeconds: 301 }) }),
    ],
    'fetch-private-networks': [
      () => ({ revocation: ocsp({ responder: 'http://a.test/', allowPrivateNetworks: ['10.0.0.0/16'] }) }),
      () => ({ revocation: crl({ urls: 'http://127.0.0.1:1/', allowPrivateNetworks: ['10.0.0.0/16'] }) }),
    ],
    'extended-key-usage-any': [() => ({ profile: { extendedKeyUsage: 'any' } })],
    'extended-key-usage-optional': [() => ({ profile: { requireExtendedKeyUsage: false } })],
    'ca-as-client': [() => ({ profile: { allowCaAsClient: true } })],
    'version-1': [() => ({ profile: { allowVersion1: true } })],
    'weak-signatures': ['sha1WithRSAEncryption', 'md5WithRSAEncryption', 'ecdsa-with-SHA1', 'id-dsa-with-sha256'].map(
      (name) => () => ({ profile: { signatureAlgorithms: [...strictProfile.signatureAlgorithms, name] } }),
    ),
    'weak-keys': [() => ({ profile: { minimumRsaBits: 1024 } }), () => ({ profile: { minimumRsaExponent: 3 } })],
    'other-curves': [() => ({ profile: { curves: ['P-256', '1.3.132.0.10'] } })],
    'profile-limits-raised': [
      () => ({ profile: { maximumRsaBits: 16_384 } }),
      () => ({ profile: { maxSignatures: 33 } }),
    ],
    exceptions: [() => ({ exceptions: [exception] })],
    'unbound-rules': [() => ({ trust: at('both.pem'), rules: rules.commonName('alice') })],
    'sha1-thumbprints': [
      () => ({ rules: { file: write('sha1.json', '{"identities":[]}'), dangerouslyAllowSha1Thumbprints: true } }),
      () => ({
        rules: rules.document({ allow: { thumbprint: 'ab'.repeat(20) } }, { dangerouslyAllowSha1Thumbprints: true }),
      }),
    ],
    'pinned-keys': [() => ({ trust: { a: at('root.pem'), pinnedKeys: made.device } })],
    'trust-stale-for-ever': [
      () => ({ maxStaleness: Number.POSITIVE_INFINITY }),
      () => ({ trust: [closing(TrustStore.load(at('root.pem'), { maxStaleness: Number.POSITIVE_INFINITY }))] }),
    ],
    'files-read-once': [
      () => ({ watch: false }),
      () => ({ trust: closing(TrustStore.load(at('root.pem'), { watch: false })) }),
      () => ({ rules: { file: write('once.json', '{"identities":[]}'), watch: false } }),
      () => ({ rules: rules.listed({ file: at('root.pem'), watch: false }) }),
      () => ({ revocation: crl({ files: at('root.crl'), watch: false }) }),
      () => ({ revocation: firstDefinite(asked(), denyList({ file: write('deny.txt', '#\n'), watch: false })) }),
      () => ({ exceptions: { file: write('exceptions.json', '[]'), watch: false } }),
    ],
    'platform-network': [() => header(anyOf(platformNetwork('I have read that anybody may come'), unixSocket()))],
    'wide-proxy-range': [
      () => header(proxyAddress('10.0.0.0/15')),
      () => ({ source: byPeer({ proxy: header(allOf(proxyAddress('2001:db8::/47'))).source, direct: tlsSocket() }) }),
    ],
    'custom-clock': [
      () => ({ now: () => Date.now() }),
      () => ({ revocation: crl({ urls: 'http://127.0.0.1:1/', now: () => Date.now() }) }),
      () => ({ revocation: ocsp({ responder: 'http://a.test/', now: () => Date.now() }) }),
    ],
  }
  const dangerous = (options: () => Partial<AuthenticatorOptions>) => {
    const given = options()
    if (given.revocation !== undefined && given.revocation !== 'none') closing(given.revocation)
    return told(given).dangerous
  }

  test('by default there are none', () => {
    expect(told().dangerous).toEqual([])
  })

  test.each(Object.entries(cases))('%s is told, and nothing else', (name, configurations) => {
    expect(configurations.length).toBeGreaterThan(0)
    for (const options of configurations) expect(dangerous(options)).toEqual([name])
  })

  test.each<[string, () => Partial<AuthenticatorOptions>]>([
    [
      'checks of leaves alone, beside one of the others',
      () => ({
        revocation: firstDefinite(
          ocsp({ responder: 'http://a.test/', leafOnly: true }),
          crl({ urls: 'http://127.0.0.1:1/' }),
        ),
      }),
    ],
    ['a deny list beside a checker', () => ({ revocation: firstDefinite(denyList({ entries: [] }), asked()) })],
    [
      'delegates that are checked',
      () => ({ revocation: ocsp({ responder: 'http://a.test/', delegates: closing(crl({ files: at('root.crl') })) }) }),
    ],
    [
      'answers that have to be younger',
      () => ({ revocation: ocsp({ responder: 'http://a.test/', maxAgeSeconds: 300, skewSeconds: 0 }) }),
    ],
    [
      'a stricter profile',
      () => ({
        profile: { minimumRsaBits: 3072, curves: ['P-384'], maxIntermediates: 1, requireKeyIdentifiers: true },
      }),
    ],
    ['no exceptions', () => ({ exceptions: [] })],
    [
      'a rule that says whose name, with two CAs',
      () => ({
        trust: { a: at('root.pem'), b: at('other.pem') },
        rules: rules.all(rules.anchor('a'), rules.commonName('alice')),
      }),
    ],
    ['a name, with one CA', () => ({ rules: rules.commonName('alice') })],
    ['a pin by certificate', () => ({ trust: { a: at('root.pem'), pinned: made.device } })],
    ['trust that is no file', () => ({ trust: made.pki.trust })],
    ['a narrow range', () => header(proxyAddress('10.0.0.0/16', '2001:db8::/48'))],
  ])('%s is none', (_, options) => {
    expect(dangerous(options)).toEqual([])
  })

  /** Less strict than the default, and what is told of it. A new field does not compile until somebody has thought of it. */
  const loosened: { readonly [F in keyof PathProfile]: readonly [value: unknown, told: DangerousSwitch | undefined] } =
    {
      extendedKeyUsage: ['any', 'extended-key-usage-any'],
      requireExtendedKeyUsage: [false, 'extended-key-usage-optional'],
      allowCaAsClient: [true, 'ca-as-client'],
      allowVersion1: [true, 'version-1'],
      signatureAlgorithms: [['sha1WithRSAEncryption'], 'weak-signatures'],
      minimumRsaBits: [2047, 'weak-keys'],
      maximumRsaBits: [8193, 'profile-limits-raised'],
      minimumRsaExponent: [65_535, 'weak-keys'],
      maximumRsaExponent: [2 ** 32, 'profile-limits-raised'],
      curves: [['1.3.132.0.10'], 'other-curves'],
      maxIntermediates: [11, 'profile-limits-raised'],
      maxNameComparisons: [50_001, 'profile-limits-raised'],
      maxPolicyNodes: [2_049, 'profile-limits-raised'],
      maxSignatures: [33, 'profile-limits-raised'],
      maxBuildSteps: [1_001, 'profile-limits-raised'],
      // Off, and open to all, by default: these can only be made stricter.
      requireKeyIdentifiers: [false, undefined],
      requireConformingCas: [false, undefined],
      initialPolicySet: [['2.5.29.32.0'], undefined],
      requireExplicitPolicy: [false, undefined],
      inhibitPolicyMapping: [false, undefined],
      inhibitAnyPolicy: [false, undefined],
    }
  test.each(Object.entries(loosened))('profile.%s: what is less strict is told', (name, [value, switched]) => {
    expect(told({ profile: { [name]: value } }).dangerous).toEqual(switched === undefined ? [] : [switched])
  })

  test.each(['ocsp', 'firstDefinite', 'allowUnknown', 'proxyAddress', 'authenticator', 'crl'])(
    'an application’s own %j is told too, whatever it means by that',
    (kind) => {
      const own = { name: 'mine', check: () => ({ status: 'good' }) as const, describe: () => ({ kind }) }
      const source = { name: 'mine', read: tlsSocket().read, describe: () => ({ kind }) }
      expect(told({ revocation: own, source })).toMatchObject({ revocation: { kind }, source: { kind } })
    },
  )

  test('those of proxies behind proxies are told once', () => {
    const inner = make({ revocation: 'none' })
    const middle = make({ revocation: 'none', ...header(proxyCertificate(inner)) })
    expect(told(header(proxyCertificate(middle))).dangerous).toEqual(['proxy:revocation-none'])
  })

  test('profile: compatible is both of its switches', () => {
    expect(told({ profile: 'compatible' }).dangerous).toEqual(['extended-key-usage-optional', 'version-1'])
  })

  test('the table of the README has a row for each, and none for others', () => {
    const section =
      readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
        .split('### Dangerous switches')[1]
        ?.split('\n#')[0] ?? ''
    const rows = [...section.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name)
    expect(rows.sort()).toEqual(Object.keys(dangers).sort())
  })
})
