import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createTestAuthority, createTestPki, type TestCertificate, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { certIdOf, encodeOcspRequest } from '../../src/x509/ocsp-request.js'
import { temporaryFolder } from '../support/pki.js'

const file = temporaryFolder()
const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex')

/** What `openssl ocsp` would send. */
function opensslRequest(certificate: TestCertificate, issuer: TestCertificate, options: string[]): Buffer {
  const [cert, ca, out] = [file('cert.pem'), file('issuer.pem'), file('request.der')]
  writeFileSync(cert, certificate.pem)
  writeFileSync(ca, issuer.pem)
  const [hash, ...others] = options
  execFileSync('openssl', ['ocsp', hash as string, '-issuer', ca, '-cert', cert, ...others, '-reqout', out], {
    stdio: 'pipe',
  })
  return readFileSync(out)
}

const ours = (certificate: TestCertificate, issuer: TestCertificate, hash: 'sha1' | 'sha256', nonce?: Uint8Array) =>
  encodeOcspRequest(certIdOf(Certificate.parse(certificate.der), Certificate.parse(issuer.der), hash), nonce)

let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki()
})

describe('requests are those of openssl, octet for octet', () => {
  test.each(['sha1', 'sha256'] as const)('a certificate of an intermediate, CertID by %s', async (hash) => {
    const { certificate } = await pki.issue()
    const issuer = pki.intermediate.certificate
    expect(hex(ours(certificate, issuer, hash))).toBe(
      hex(opensslRequest(certificate, issuer, [`-${hash}`, '-no_nonce'])),
    )
  })

  test.each(['sha1', 'sha256'] as const)('with a nonce, CertID by %s', async (hash) => {
    const { certificate } = await pki.issue()
    const issuer = pki.intermediate.certificate
    const theirs = opensslRequest(certificate, issuer, [`-${hash}`, '-nonce'])
    // OpenSSL 3 sends 16 octets of its own choice, which stand last.
    expect(hex(ours(certificate, issuer, hash, theirs.subarray(-16)))).toBe(hex(theirs))
  })

  test.each(['RSA-2048', 'P-384', 'Ed25519'] as const)('an issuer with a key of type %s', async (keyAlgorithm) => {
    const authority = await createTestAuthority({ keyAlgorithm, subject: 'CN=Autorité,O=Ünïcode' })
    const { certificate } = await authority.issue()
    const theirs = opensslRequest(certificate, authority.certificate, ['-sha1', '-no_nonce'])
    expect(hex(ours(certificate, authority.certificate, 'sha1'))).toBe(hex(theirs))
  })

  test.each(['00', '7F', '80', '-1', 'FF00000000000000000000000000000000000000'])(
    'the serial number %s',
    async (serialNumber) => {
      const { certificate } = await pki.issue({ serialNumber })
      const issuer = pki.intermediate.certificate
      expect(hex(ours(certificate, issuer, 'sha1'))).toBe(
        hex(opensslRequest(certificate, issuer, ['-sha1', '-no_nonce'])),
      )
    },
  )

  test('the name is hashed as the certificate spells its issuer, not as the issuer spells itself', async () => {
    // The same name by RFC 5280 §7.1: PrintableString in capitals for UTF8String.
    const printable = Buffer.from('300f310d300b0603550403130454455354', 'hex')
    const authority = await createTestAuthority({ subject: printable })
    const twin = await createTestAuthority({ subject: 'CN=test', key: authority })
    const { certificate } = await authority.issue()
    const underTwin = ours(certificate, twin.certificate, 'sha1')
    expect(hex(underTwin)).toBe(hex(ours(certificate, authority.certificate, 'sha1')))
    expect(hex(underTwin)).toBe(hex(opensslRequest(certificate, twin.certificate, ['-sha1', '-no_nonce'])))
    const other = await twin.issue()
    expect(
      hex(
        certIdOf(Certificate.parse(other.certificate.der), Certificate.parse(twin.certificate.der), 'sha1')
          .issuerNameHash,
      ),
    ).not.toBe(
      hex(certIdOf(Certificate.parse(certificate.der), Certificate.parse(twin.certificate.der), 'sha1').issuerNameHash),
    )
  })
})

describe('what is remembered of an issuer', () => {
  test('does not outlive a change of hash or spelling', async () => {
    const { certificate } = await pki.issue()
    const [leaf, issuer] = [Certificate.parse(certificate.der), Certificate.parse(pki.intermediate.certificate.der)]
    for (const hash of ['sha1', 'sha256', 'sha1', 'sha256'] as const) {
      expect(hex(certIdOf(leaf, issuer, hash).der)).toBe(
        hex(certIdOf(Certificate.parse(certificate.der), Certificate.parse(issuer.der), hash).der),
      )
    }
    // Not the issuer of the second: what is hashed is what its issuer field says.
    const other = Certificate.parse((await pki.root.issue()).certificate.der)
    expect(hex(certIdOf(other, issuer, 'sha1').issuerNameHash)).not.toBe(
      hex(certIdOf(leaf, issuer, 'sha1').issuerNameHash),
    )
    expect(hex(certIdOf(other, issuer, 'sha1').issuerKeyHash)).toBe(hex(certIdOf(leaf, issuer, 'sha1').issuerKeyHash))
  })

  test('two issuers of one name are told apart by their keys, and their certificates of one serial number', async () => {
    const twin = await createTestAuthority({ subject: pki.intermediate.subjectDer })
    const [one, two] = await Promise.all([pki.issue({ serialNumber: '01' }), twin.issue({ serialNumber: '01' })])
    const id = (leaf: typeof one, issuer: TestCertificate) =>
      hex(certIdOf(Certificate.parse(leaf.certificate.der), Certificate.parse(issuer.der), 'sha256').der)
    expect(id(one, pki.intermediate.certificate)).not.toBe(id(two, twin.certificate))
  })
})
