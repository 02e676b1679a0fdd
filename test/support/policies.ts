/** Authenticators that are described: one as strict as can be, one with something of everything. */
import { hash } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { beforeAll, beforeEach, jest } from '@jest/globals'
import {
  type AuthenticatorOptions,
  allOf,
  allowUnknown,
  anyOf,
  byPeer,
  createAuthenticator,
  crl,
  denyList,
  firstDefinite,
  forwardedHeader,
  ocsp,
  proxyAddress,
  proxySecret,
  rules,
  skipShortLived,
  tlsSocket,
  unixSocket,
} from '../../src/index.js'
import { createSelfSigned, createTestPki, type TestPki } from '../../src/testing.js'
import { day, temporaryFolder } from './pki.js'
import { closing } from './revocation.js'

export const at = temporaryFolder()

/** By one test file for all of its tests. */
export const made = {} as { pki: TestPki; other: TestPki /** PEM. */; device: string }

beforeAll(async () => {
  const [pki, other, device] = await Promise.all([
    createTestPki(),
    createTestPki({ name: 'Other' }),
    createSelfSigned({ subject: 'CN=alice-laptop' }),
  ])
  Object.assign(made, { pki, other, device: device.certificate.pem })
  write('root.pem', pki.trust)
  write('other.pem', other.trust)
  write('both.pem', pki.trust + other.trust)
  write('root.crl', (await pki.root.crl()).pem)
})
beforeEach(() => {
  // Most of what is made here is warned about.
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
})

export function write(name: string, content: string): string {
  writeFileSync(at(`${name}.new`), content)
  renameSync(at(`${name}.new`), at(name))
  return at(name)
}

export const fingerprint = '3f'.repeat(32)
export const otherFingerprint = '4a'.repeat(32)
export const secret = 'a-secret-of-the-proxy-and-of-us-0123'
export const until = new Date(Date.now() + day)
export const exception = { fingerprint, ignore: ['expired' as const], until, reason: 'ticket 4711' }

export const fingerprintOf = ({ certificate }: { readonly certificate: { readonly der: Uint8Array } }): string =>
  hash('sha256', certificate.der)

/** As strict as can be, and kept up to date, but for these options. */
export const make = (options: Partial<AuthenticatorOptions> = {}) =>
  closing(
    createAuthenticator({
      trust: at('root.pem'),
      revocation: closing(ocsp({ responder: 'http://127.0.0.1:1/' })),
      log: false,
      ...options,
    } as AuthenticatorOptions),
  )
export const told = (options?: Partial<AuthenticatorOptions>) => make(options).describe()
export const hashOf = (options?: Partial<AuthenticatorOptions>): string => told(options).policyHash

/** With something of everything. */
export const rich = (): Partial<AuthenticatorOptions> => ({
  trust: { partners: at('root.pem'), pinned: made.device },
  intermediates: made.pki.intermediate.certificate.pem,
  revocation: closing(
    firstDefinite(
      denyList({ entries: [fingerprint, { issuer: 'CN=Acme', serialNumber: '4f' }] }),
      skipShortLived(crl({ files: at('root.crl'), urls: 'https://crl.test/a.crl?sig=hidden', maxAge: 3600 }), {
        lifetimeBelow: 3600,
      }),
      allowUnknown(ocsp({ responder: 'http://ocsp.test/?key=hidden' }), { because: 'it is an experiment' }),
    ),
  ),
  rules: rules.all(
    rules.any(rules.dnsName('a.test'), rules.subject({ O: 'Acme', OU: ['a', 'b'] })),
    rules.deny(rules.issuedBy(made.other.trust)),
    rules.not(rules.serialNumber('4f', rules.anchor('partners'))),
    rules.custom('office hours', () => true, { remember: 'identity' }),
    rules.listed({ load: () => [made.device] }),
  ),
  source: byPeer({
    proxy: forwardedHeader({
      preset: 'nginx',
      headers: { status: 'X-SSL-Client-Verify' },
      from: allOf(
        anyOf(proxyAddress('10.0.3.0/24'), unixSocket()),
        proxySecret({ header: 'X-Proxy-Secret', secrets: [secret] }),
      ),
    }),
    direct: tlsSocket(),
  }),
  exceptions: [exception],
  principalFrom: 'email',
  onDecision: () => {},
  auditNames: true,
})
