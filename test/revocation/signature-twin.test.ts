import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { twinFingerprint } from '../../src/revocation/signature-twin.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { checker } from '../support/checkers.js'
import { children, integer, noon, openssl, pemOf, seq, temporaryFolder, tlv } from '../support/pki.js'
import { deciding, heardWarnings } from '../support/revocation.js'

heardWarnings()
const at = temporaryFolder()

/** The order of each curve's group, as openssl prints it. */
function orderOf(curve: string): bigint {
  const text = openssl('ecparam', '-name', curve, '-param_enc', 'explicit', '-text', '-noout').toString()
  const [, digits = ''] = /Order:\s*([0-9a-f:\s]+)Cofactor/.exec(text) ?? []
  return BigInt(`0x${digits.replace(/[\s:]/g, '')}`)
}

const contents = (der: Uint8Array) =>
  BigInt(`0x${Buffer.from(der.subarray(2 + (der[1] === 0x81 ? 1 : 0))).toString('hex')}`)

/** The same certificate with the other signature, made here from nothing but its octets. */
function twinOf(der: Uint8Array, order: bigint): Uint8Array {
  const [tbs, algorithm, bits] = children(der) as [Uint8Array, Uint8Array, Uint8Array]
  const signature = bits.subarray(bits.length - (bits[1] === 0x81 ? (bits[2] as number) : (bits[1] as number)) + 1)
  const [r, s] = children(signature) as [Uint8Array, Uint8Array]
  return seq(tbs, algorithm, tlv(3, [0], seq(r, integer(order - contents(s)))))
}

const fingerprintOf = (der: Uint8Array) => Certificate.parse(der).fingerprint

describe.each([
  ['P-256', 'prime256v1'],
  ['P-384', 'secp384r1'],
  ['P-521', 'secp521r1'],
  ['secp256k1', 'secp256k1'],
] as const)('a certificate signed on %s', (keyAlgorithm, curve) => {
  let pki: TestPki
  let alice: TestCredential
  let twin: Uint8Array
  beforeAll(async () => {
    pki = await createTestPki({ keyAlgorithm })
    alice = await pki.issue({ keyAlgorithm: 'P-256' })
    twin = twinOf(alice.certificate.der, orderOf(curve))
  })

  test('has a twin of another fingerprint, which OpenSSL verifies', () => {
    expect(fingerprintOf(twin)).not.toBe(alice.fingerprint)
    writeFileSync(at('twin.pem'), pemOf('CERTIFICATE', twin))
    writeFileSync(at('root.pem'), pki.trust)
    writeFileSync(at('intermediate.pem'), pki.intermediate.certificate.pem)
    const args = ['-CAfile', at('root.pem'), '-untrusted', at('intermediate.pem'), at('twin.pem')]
    expect(openssl('verify', ...args).toString()).toContain('twin.pem: OK')
    // Its own refusing twin: a signature that is neither.
    const forged = Buffer.from(twin)
    forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1
    writeFileSync(at('twin.pem'), pemOf('CERTIFICATE', forged))
    expect(() => openssl('verify', ...args)).toThrow(/signature failure/)
  })

  test('its fingerprint is computed, and that of the twin is the certificate’s own', () => {
    const issuer = Certificate.parse(pki.intermediate.certificate.der)
    expect(twinFingerprint(Certificate.parse(alice.certificate.der), issuer)).toBe(fingerprintOf(twin))
    expect(twinFingerprint(Certificate.parse(twin), issuer)).toBe(alice.fingerprint)
  })

  test('is admitted as the twin by a path alone, and denied by the list as either', async () => {
    const profile = { curves: ['P-256', 'P-384', 'P-521', '1.3.132.0.10'] }
    const rewritten = { certificate: { der: twin }, chain: alice.chain } as unknown as TestCredential
    const by = (...entries: string[]) =>
      deciding(
        { trust: pki.trust, profile, revocation: firstDefinite(denyList({ entries }), checker('good')) },
        { now: Date.now() },
      )
    expect([await by().verdict(alice), await by().verdict(rewritten)]).toEqual(['accepted', 'accepted'])
    for (const listed of [alice.fingerprint, fingerprintOf(twin)]) {
      expect([await by(listed).verdict(alice), await by(listed).verdict(rewritten)]).toEqual(['REVOKED', 'REVOKED'])
    }
    expect(await by(alice.fingerprint).verdict(await pki.issue({ keyAlgorithm: 'P-256' }))).toBe('accepted')
  })

  test('an intermediate that is denied is found as its twin, too', async () => {
    const intermediate = twinOf(pki.intermediate.certificate.der, orderOf(curve))
    const profile = { curves: ['P-256', 'P-384', 'P-521', '1.3.132.0.10'] }
    const entries = [fingerprintOf(pki.intermediate.certificate.der)]
    const revocation = firstDefinite(denyList({ entries }), checker('good'))
    const { verdict } = deciding({ trust: pki.trust, profile, revocation }, { now: Date.now() })
    const rewritten = { certificate: alice.certificate, chain: [{ der: intermediate }] } as unknown as TestCredential
    expect([await verdict(rewritten), await verdict(alice)]).toEqual(['REVOKED', 'REVOKED'])
  })
})

test.each(['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'])(
  'the twin of one signed on %s is known',
  (curve) => {
    const key = at(`${curve}.key`)
    openssl('ecparam', '-name', curve, '-genkey', '-noout', '-out', key)
    const der = openssl('req', '-x509', '-new', '-key', key, '-subj', '/CN=brainpool', '-outform', 'DER', '-sha256')
    const certificate = Certificate.parse(der)
    expect(twinFingerprint(certificate, certificate)).toBe(fingerprintOf(twinOf(der, orderOf(curve))))
  },
)

test.each(['RSA-2048', 'Ed25519'] as const)('one signed with %s has no twin', async (keyAlgorithm) => {
  const pki = await createTestPki({ now: noon, keyAlgorithm })
  const { certificate } = await pki.issue()
  const issuer = Certificate.parse(pki.intermediate.certificate.der)
  expect(twinFingerprint(Certificate.parse(certificate.der), issuer)).toBeUndefined()
})

test('the signature of a pinned certificate may be anything: it is looked at, and nothing is thrown', async () => {
  const pki = await createTestPki({ now: noon })
  const { certificate } = await pki.issue()
  const [tbs, algorithm] = children(certificate.der) as [Uint8Array, Uint8Array]
  for (const signature of [[], [0x30, 0], [0x30, 0x80], seq(integer(1)), seq(integer(1), integer(0)), [5, 0]]) {
    const der = seq(tbs, algorithm, tlv(3, [0], signature))
    const issuer = Certificate.parse(pki.intermediate.certificate.der)
    expect(twinFingerprint(Certificate.parse(der), issuer)).toBeUndefined()
  }
})
