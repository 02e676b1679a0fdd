/** The effective policy as data: what it tells, what it keeps to itself, and how long it is remembered. */
import { describe, expect, jest, test } from '@jest/globals'
import {
  denyList,
  forwardedHeader,
  proxyCertificate,
  proxySecret,
  type RevocationChecker,
  rules,
  TrustStore,
  tlsSocket,
} from '../../src/index.js'
import { strictProfile } from '../../src/path/profile.js'
import { partsOf } from '../../src/rules/rule.js'
import { day } from '../support/pki.js'
import {
  at,
  fingerprint,
  fingerprintOf,
  hashOf,
  made,
  make,
  rich,
  secret,
  told,
  until,
  write,
} from '../support/policies.js'
import { closing } from '../support/revocation.js'

const isFrozen = (value: unknown): boolean =>
  typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen))

describe('what it tells', () => {
  test('everything, as data that is frozen to the bottom and that JSON carries whole', () => {
    const description = told(rich())
    expect(JSON.parse(JSON.stringify(description))).toEqual(description)
    expect(isFrozen(description)).toBe(true)
    expect(description).toMatchObject({
      policyHash: expect.stringMatching(/^[0-9a-f]{16}$/),
      dangerous: ['exceptions', 'revocation-short-lived-skipped', 'revocation-unknown-allowed'],
      trust: {
        anchors: [
          {
            fingerprint: fingerprintOf(made.pki.root),
            set: 'partners',
            subject: 'CN=Test Root CA',
            notAfter: expect.stringMatching(/^\d{4}-.*Z$/),
          },
        ],
        pinned: [{ set: 'pinned', by: 'certificate' }],
        keepsDomainsApart: false,
        store: { kind: 'TrustStore', watch: true, maxStalenessMilliseconds: day },
      },
      intermediates: { fingerprints: [fingerprintOf(made.pki.intermediate)] },
      profile: strictProfile,
      exceptions: { count: 1, ignore: ['expired'], earliestEnd: until.toISOString() },
      principal: { from: 'email' },
      clock: 'system',
      observers: { log: false, onDecision: true, auditNames: true },
    })
  })

  test('rules, with their operands, as a tree', () => {
    const list = { kind: 'listed', certificates: 1, digest: expect.stringMatching(/^[0-9a-f]{64}$/) }
    expect(told(rich()).rules).toMatchObject({
      kind: 'all',
      of: [
        {
          kind: 'any',
          of: [
            { kind: 'dnsName', operands: ['a.test'] },
            { kind: 'subject', operands: [{ O: 'Acme', OU: ['a', 'b'] }] },
          ],
        },
        { kind: 'deny', of: [{ kind: 'issuedBy', operands: ['CN=Other Root CA'], publicKeyPin: expect.any(String) }] },
        { kind: 'not', of: [{ kind: 'serialNumber', operands: ['4f'], issuer: { kind: 'anchor' } }] },
        { kind: 'custom', operands: ['office hours'], remember: 'identity', timeoutMilliseconds: 1000 },
        list,
      ],
    })
    const file = write('rules.json', JSON.stringify({ allow: { dnsName: 'a.test' } }))
    expect(told({ rules: { file } }).rules).toEqual({
      kind: 'document',
      where: { file },
      watch: true,
      allowsSha1Thumbprints: false,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(told().rules).toBeNull()
  })

  test('checkers, with their settings, as they are nested', () => {
    expect(told(rich()).revocation).toMatchObject({
      kind: 'firstDefinite',
      denyLists: [{ kind: 'denyList', entries: 2 }],
      inOrder: [
        {
          kind: 'skipShortLived',
          lifetimeBelowSeconds: 3600,
          noRevAvail: false,
          checker: {
            kind: 'crl',
            where: { files: [at('root.crl')] },
            urls: ['https://crl.test/a.crl?…'],
            maxAgeSeconds: 3600,
          },
        },
        {
          kind: 'allowUnknown',
          because: 'it is an experiment',
          recheckAfterSeconds: 60,
          checker: { kind: 'ocsp', responder: 'http://ocsp.test/?…', fetcher: { timeoutMilliseconds: 3000 } },
        },
      ],
    })
    expect(told({ revocation: 'none' }).revocation).toEqual({ kind: 'none' })
  })

  test('the source, its header fields and its gates', () => {
    expect(told(rich()).source).toEqual({
      kind: 'byPeer',
      proxy: {
        kind: 'forwardedHeader',
        preset: 'nginx',
        headers: { certificate: 'x-ssl-client-cert', chain: [], status: 'x-ssl-client-verify' },
        statusAccepts: 'SUCCESS',
        trustedHops: 0,
        from: {
          kind: 'allOf',
          of: [
            {
              kind: 'anyOf',
              of: [{ kind: 'proxyAddress', ranges: ['10.0.3.0/24'], isWide: false }, { kind: 'unixSocket' }],
            },
            { kind: 'proxySecret', header: 'x-proxy-secret', secrets: 1, where: {} },
          ],
        },
      },
      direct: { kind: 'tlsSocket' },
    })
  })

  test('a profile as it could be written: it makes the same profile', () => {
    const profile = { signatureAlgorithms: ['1.2.840.10045.4.3.2'], curves: ['P-256', '1.3.132.0.10'] }
    const { profile: effective } = told({ profile })
    expect(effective).toMatchObject({ signatureAlgorithms: ['ecdsa-with-SHA256'], curves: ['P-256', '1.3.132.0.10'] })
    expect(hashOf({ profile: effective })).toBe(hashOf({ profile }))
    expect(Object.keys(effective).sort()).toEqual(Object.keys(strictProfile).sort())
  })

  test('no secret, no client, no key in a URL', () => {
    const text = JSON.stringify(told(rich()))
    for (const hidden of [secret, fingerprint, 'alice-laptop', 'hidden', 'ticket 4711', 'BEGIN']) {
      expect(text).not.toContain(hidden)
    }
    expect(text).toContain('Test Root CA')
  })

  test('an authenticator that judges proxies: its hash and its dangers', () => {
    const proxies = make({ trust: at('other.pem'), revocation: 'none' })
    const description = told({
      source: forwardedHeader({ preset: 'nginx', from: proxyCertificate(proxies) }),
    })
    const { policyHash } = proxies.describe()
    expect(description.source).toMatchObject({
      from: {
        kind: 'proxyCertificate',
        authenticator: { kind: 'authenticator', policyHash, dangerous: ['revocation-none'] },
      },
    })
    expect(description.dangerous).toEqual(['proxy:revocation-none'])
    const mine = { authenticateSocket: async () => ({ outcome: 'refused' }) }
    expect(told({ source: forwardedHeader({ preset: 'nginx', from: proxyCertificate(mine) }) })).toMatchObject({
      source: { from: { authenticator: { kind: 'custom' } } },
      dangerous: [],
    })
  })
})

describe('what an application made', () => {
  const check: RevocationChecker['check'] = () => ({ status: 'good' })
  const read = tlsSocket().read

  test('says of itself what it likes, in every place', () => {
    const says = { describe: () => ({ kind: 'ours', table: 'clients' }) }
    const source = forwardedHeader({ preset: 'nginx', from: { description: 'mine', admits: () => true, ...says } })
    expect(told({ revocation: { name: 'mine', check, ...says }, source })).toMatchObject({
      revocation: { kind: 'ours', table: 'clients' },
      source: { from: { kind: 'ours', table: 'clients' } },
    })
    expect(told({ source: { name: 'mine', read, ...says } }).source).toEqual({ kind: 'ours', table: 'clients' })
  })

  test('is custom with its name where it says nothing', () => {
    const source = forwardedHeader({ preset: 'nginx', from: { description: 'mine', admits: () => true } })
    expect(told({ revocation: { name: 'mine', check }, source })).toMatchObject({
      revocation: { kind: 'custom', name: 'mine' },
      source: { from: { kind: 'custom', name: 'mine' } },
    })
    expect(told({ source: { name: 'mine', read } }).source).toEqual({ kind: 'custom', name: 'mine' })
  })

  test('a rule of an older copy of the package is told as it was written', () => {
    const rule = rules.dnsName('a.test')
    const { describe: ignored, ...parts } = partsOf(rule)
    const older = { ...rule, [Symbol.for('mtls-identity/1.Rule')]: parts } as never
    expect(told({ rules: rules.not(older) }).rules).toEqual({
      kind: 'not',
      of: [{ kind: 'custom', operands: ['dnsName("a.test")'] }],
    })
  })

  test('cannot keep the rest from being told', () => {
    const revocation: RevocationChecker = {
      name: 'mine',
      check,
      describe() {
        throw new Error('the database is away')
      },
    }
    expect(told({ revocation })).toMatchObject({ revocation: { kind: 'custom', name: 'mine' }, clock: 'system' })
  })

  test('is asked again when its generation has risen', () => {
    const revocation = {
      name: 'mine',
      generation: 0,
      table: 'a',
      check,
      describe: () => ({ kind: 'ours', table: revocation.table }),
    }
    const auth = make({ revocation })
    const before = auth.describe().policyHash
    revocation.table = 'b'
    expect(auth.describe().policyHash).toBe(before)
    revocation.generation++
    expect(auth.describe().policyHash).not.toBe(before)
  })
})

describe('it is remembered', () => {
  test('as long as nothing was read again', () => {
    const auth = make(rich())
    expect(auth.describe()).toBe(auth.describe())
  })

  test('until trust is read again, and says what is trusted now', async () => {
    const file = write('moving.pem', made.pki.trust)
    const store = closing(TrustStore.load(file, { watch: false }))
    const auth = make({ trust: store })
    const before = auth.describe()
    write('moving.pem', made.pki.trust)
    store.reload()
    expect(auth.describe()).toEqual(before)
    write('moving.pem', made.other.trust)
    expect(auth.describe().policyHash).toBe(before.policyHash)
    store.reload()
    const after = auth.describe()
    expect(after.trust.anchors.map(({ subject }) => subject)).toEqual(['CN=Other Root CA'])
    expect(after.policyHash).not.toBe(before.policyHash)
    write('moving.pem', made.pki.trust)
    store.reload()
    expect(auth.describe().policyHash).toBe(before.policyHash)
  })

  test('until rules, a list, a deny list, a secret or the authenticator of a gate are', async () => {
    const file = write('changing.json', '{"allow":{"dnsName":"a.test"}}')
    const rule = closing(rules.document({ file, watch: false }))
    const content = { list: [made.device] }
    const list = closing(rules.listed({ load: () => content.list }))
    const denied = closing(denyList({ entries: [] }))
    const trust = closing(TrustStore.load(write('proxies.pem', made.pki.trust), { watch: false }))
    const source = forwardedHeader({ preset: 'nginx', from: proxyCertificate(make({ trust })) })
    const auth = make({ rules: rules.all(rule, list), revocation: denied, source })
    const hashes = [auth.describe().policyHash]
    const next = () => hashes.push(auth.describe().policyHash)
    write('changing.json', '{"allow":{"dnsName":"b.test"}}')
    rule.reload()
    next()
    content.list = []
    await list.reload()
    next()
    denied.replace([fingerprint])
    next()
    write('proxies.pem', made.other.trust)
    trust.reload()
    next()
    expect(new Set(hashes).size).toBe(5)
  })

  test('a file of secrets that gets another one is counted anew', async () => {
    jest.useFakeTimers()
    try {
      const file = write('secrets', `${secret}\n`)
      const gate = closing(proxySecret({ header: 'X-S', secrets: { file } }))
      const auth = make({ source: forwardedHeader({ preset: 'nginx', from: gate }) })
      expect(auth.describe().source).toMatchObject({ from: { secrets: 1, where: { file } } })
      write('secrets', `${secret}\n${secret}2\n`)
      jest.advanceTimersByTime(2_000)
      expect(auth.describe().source).toMatchObject({ from: { secrets: 2 } })
    } finally {
      jest.useRealTimers()
    }
  })
})
