import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type IssueOptions,
  type TestCertificate,
  type TestKeyAlgorithm,
  type TestPki,
} from '../src/testing.js'

const HOUR = 3_600_000
const now = new Date()
const hoursFromNow = (hours: number) => new Date(now.getTime() + hours * HOUR)

let folder: string
let pki: TestPki
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mtls-identity-testing-'))
  pki = await createTestPki()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let files = 0
async function file(text: string): Promise<string> {
  const path = join(folder, `${files++}.pem`)
  await writeFile(path, text)
  return path
}

/** All that openssl prints, and whether it was content. */
function openssl(...args: string[]): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    execFile('openssl', args, { env: { ...process.env, LC_ALL: 'C' } }, (error, stdout, stderr) =>
      resolve({ ok: !error, output: stdout + stderr }),
    )
  })
}

async function opensslVerify(
  { certificate, chain }: { certificate: TestCertificate; chain: readonly TestCertificate[] },
  { trust = pki.trust, purpose = 'sslclient', extra = [] as string[] } = {},
) {
  const untrusted = chain.length ? ['-untrusted', await file(chain.map((each) => each.pem).join(''))] : []
  const files = ['-CAfile', await file(trust), ...untrusted, await file(certificate.pem)]
  return openssl('verify', '-x509_strict', '-purpose', purpose, ...extra, ...files)
}

const opensslText = async (certificate: TestCertificate) =>
  (await openssl('x509', '-noout', '-text', '-nameopt', 'rfc2253', '-in', await file(certificate.pem))).output

describe('a test PKI', () => {
  test('is made in less than 150 ms', async () => {
    const times: number[] = []
    for (let run = 0; run < 5; run++) {
      const started = performance.now()
      await createTestPki()
      times.push(performance.now() - started)
    }
    // The best of five: what else the machine is doing is not measured.
    expect(Math.min(...times)).toBeLessThan(150)
  })

  test('issues client certificates that openssl verifies strictly', async () => {
    expect(await opensslVerify(await pki.issue())).toMatchObject({ ok: true })
  })

  test('issues server certificates that openssl verifies for localhost and its addresses', async () => {
    const server = await pki.server()
    for (const extra of [
      ['-verify_hostname', 'localhost'],
      ['-verify_ip', '127.0.0.1'],
      ['-verify_ip', '::1'],
    ]) {
      expect(await opensslVerify(server, { purpose: 'sslserver', extra })).toMatchObject({ ok: true })
    }
  })

  test('does not issue client certificates that pass for a server, nor the reverse', async () => {
    expect(await opensslVerify(await pki.issue(), { purpose: 'sslserver' })).toMatchObject({ ok: false })
    expect(await opensslVerify(await pki.server())).toMatchObject({ ok: false })
  })

  test('names its authorities as asked, whatever the name', async () => {
    const { root, intermediate } = await createTestPki({ name: 'A+B, "Inc"' })
    expect(root.subject).toBe('CN=A\\+B\\, \\"Inc\\" Root CA')
    expect(intermediate.subject).toBe('CN=A\\+B\\, \\"Inc\\" Intermediate CA')
  })

  test('reckons validity from the time it is given', async () => {
    const old = await createTestPki({ now: new Date('2001-02-03T04:05:06Z') })
    const { certificate } = await old.issue()
    expect(await opensslText(certificate)).toMatch(
      /Not Before: Feb {2}3 03:05:06 2001 GMT\s+Not After : Feb {2}4 04:05:06 2001 GMT/,
    )
  })

  test('lets a client and a server meet over TLS', async () => {
    const [server, alice] = await Promise.all([
      pki.server(),
      pki.issue({ subject: 'CN=alice,O=Acme', names: { email: ['alice@acme.example'] } }),
    ])
    const listener = createServer({ ...server.tls, ca: pki.trust, requestCert: true }, (request, response) => {
      const peer = (request.socket as TLSSocket).getPeerX509Certificate()
      response.end(`${peer?.subject.replace('\n', '/')} ${peer?.subjectAltName}`)
    })
    await once(listener.listen(0, '127.0.0.1'), 'listening')
    try {
      const { port } = listener.address() as AddressInfo
      const request = get({ host: '127.0.0.1', port, ca: pki.trust, ...alice.tls, agent: false })
      const [response] = await once(request, 'response')
      expect(String(await response.setEncoding('utf8').toArray())).toBe('O=Acme/CN=alice email:alice@acme.example')
    } finally {
      listener.closeAllConnections()
      listener.close()
    }
  })
})

describe('key algorithms', () => {
  const algorithms: TestKeyAlgorithm[] = [
    'P-256',
    'P-384',
    'P-521',
    'RSA-1024',
    'RSA-2048',
    'RSA-3072',
    'RSA-4096',
    'RSA-PSS-2048',
    'Ed25519',
    'Ed448',
    'secp256k1',
  ]
  test.each(algorithms)(
    '%s signs, and is certified',
    async (keyAlgorithm) => {
      const authority = await createTestAuthority({ keyAlgorithm })
      const leaf = await authority.issue({ names: { dns: ['a.example'] } })
      const publicKey = new X509Certificate(authority.certificate.pem).publicKey
      expect(new X509Certificate(leaf.certificate.der).verify(publicKey)).toBe(true)
      const auth = { trust: authority.certificate.pem, extra: ['-auth_level', '0'] }
      expect(await opensslVerify(leaf, auth)).toMatchObject({ ok: true })
    },
    60_000,
  )

  test.each([
    ['P-256', 'ecdsa-with-SHA256'],
    ['P-384', 'ecdsa-with-SHA384'],
    ['P-521', 'ecdsa-with-SHA512'],
    ['RSA-2048', 'sha256WithRSAEncryption'],
  ] as const)('%s signs with %s unless told otherwise', async (keyAlgorithm, expected) => {
    const { certificate } = await createSelfSigned({ keyAlgorithm })
    expect(await opensslText(certificate)).toContain(`Signature Algorithm: ${expected}`)
  })

  const signers = ['P-256', 'RSA-2048', 'RSA-PSS-2048'] as const
  const hashes = ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'] as const
  test.each(signers.flatMap((signer) => hashes.map((hash) => [signer, hash] as const)))(
    '%s signs with %s',
    async (keyAlgorithm, hash) => {
      const { certificate } = await createSelfSigned({ keyAlgorithm, hash })
      const parsed = new X509Certificate(certificate.der)
      expect(parsed.verify(parsed.publicKey)).toBe(true)
      expect((await opensslText(certificate)).toLowerCase()).toContain(hash.toLowerCase().replace('-', ''))
    },
  )

  test('what is issued takes the algorithm of its issuer unless told otherwise', async () => {
    const other = await createTestPki({ keyAlgorithm: 'Ed25519' })
    expect(await opensslText((await other.issue()).certificate)).toContain('Public Key Algorithm: ED25519')
    const { certificate } = await other.issue({ keyAlgorithm: 'P-256' })
    expect(await opensslText(certificate)).toMatch(/Signature Algorithm: ED25519[\s\S]*prime256v1/)
  })

  test('a key pair can be certified again', async () => {
    const first = await pki.issue()
    const second = await pki.issue({ key: first })
    expect(second.key.pem).toBe(first.key.pem)
    expect(second.serialNumber).not.toBe(first.serialNumber)
    expect(await opensslVerify(second)).toMatchObject({ ok: true })
  })
})

describe('a credential', () => {
  test('carries the serial number, fingerprint and text that Node reads from its DER', async () => {
    for (const serialNumber of ['1', '00ff', '7F', '0', 'abcdef0123456789abcdef0123456789abcdef0123', '-80']) {
      const { certificate, ...credential } = await pki.issue({ serialNumber })
      const parsed = new X509Certificate(certificate.der)
      expect(BigInt(`0x${credential.serialNumber.replace('-', '')}`)).toBe(
        BigInt(`0x${parsed.serialNumber.replace('-', '')}`),
      )
      expect(credential.serialNumber.startsWith('-')).toBe(parsed.serialNumber.startsWith('-'))
      expect(parsed.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(credential.fingerprint)
      expect(parsed.toString()).toBe(certificate.pem)
    }
  })

  test('has a random positive serial number of 16 octets, as Node prints it', async () => {
    const { certificate, serialNumber } = await pki.issue()
    expect(serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
    expect(new X509Certificate(certificate.der).serialNumber).toBe(serialNumber)
  })

  test('brings the intermediates but not the root', async () => {
    const issuing = await pki.intermediate.issueAuthority({ subject: 'CN=Issuing' })
    const leaf = await issuing.issue()
    expect(leaf.chain).toEqual([issuing.certificate, pki.intermediate.certificate])
    expect(leaf.tls.cert).toBe(leaf.certificate.pem + issuing.certificate.pem + pki.intermediate.certificate.pem)
    expect(issuing.chain).toEqual([pki.intermediate.certificate])
    expect(await opensslVerify(leaf)).toMatchObject({ ok: true })
    expect((await pki.root.issue()).chain).toEqual([])
  })

  test('can be self-signed', async () => {
    const lone = await createSelfSigned({ subject: 'CN=lone' })
    const parsed = new X509Certificate(lone.certificate.der)
    expect([parsed.subject, parsed.issuer, parsed.ca]).toEqual(['CN=lone', 'CN=lone', false])
    expect(parsed.verify(parsed.publicKey)).toBe(true)
  })
})

describe('what a certificate says', () => {
  test('version 1 has no extensions', async () => {
    const { certificate } = await pki.issue({ version: 1 })
    const text = await opensslText(certificate)
    expect(text).toContain('Version: 1 (0x0)')
    expect(text).not.toContain('extensions')
  })

  test('version 1 carries the extensions it is explicitly given', async () => {
    const { certificate } = await pki.issue({
      version: 1,
      extensions: [{ oid: '1.2.3.4', value: Uint8Array.of(5, 0) }],
    })
    expect(await opensslText(certificate)).toMatch(/Version: 1 [\s\S]*1\.2\.3\.4/)
  })

  const dates: { name: string; dates: IssueOptions; says: string }[] = [
    {
      name: 'expired',
      dates: { notBefore: hoursFromNow(-2), notAfter: hoursFromNow(-1) },
      says: 'certificate has expired',
    },
    {
      name: 'not valid yet',
      dates: { notBefore: hoursFromNow(1), notAfter: hoursFromNow(2) },
      says: 'certificate is not yet valid',
    },
  ]
  test.each(dates)('it can be $name', async ({ dates, says }) => {
    const { ok, output } = await opensslVerify(await pki.issue(dates))
    expect(ok).toBe(false)
    expect(output).toContain(says)
  })

  test('dates before 1950 and from 2050 on are written in full', async () => {
    const notBefore = new Date('1949-12-31T23:59:59Z')
    const notAfter = new Date('2050-01-01T00:00:00Z')
    const { certificate } = await pki.issue({ notBefore, notAfter })
    const parsed = new X509Certificate(certificate.der)
    expect([parsed.validFrom, parsed.validTo]).toEqual(['Dec 31 23:59:59 1949 GMT', 'Jan  1 00:00:00 2050 GMT'])
    const der = Buffer.from(certificate.der).toString('latin1')
    expect(der).toContain('19491231235959Z')
    expect(der).toContain('20500101000000Z')
  })

  const subjects: { given: IssueOptions['subject'] & {}; openssl: string }[] = [
    { given: 'CN=alice,O=Acme,C=DE', openssl: 'CN=alice,O=Acme,C=DE' },
    { given: 'cn = alice , o = Acme', openssl: 'CN=alice,O=Acme' },
    { given: 'OU=b+CN=a,DC=example,DC=com', openssl: 'OU=b+CN=a,DC=example,DC=com' },
    { given: 'CN=a\\,b\\+c\\"d\\\\e\\ ', openssl: 'CN=a\\,b\\+c\\"d\\\\e\\ ' },
    { given: 'CN=J\\C3\\B6rg', openssl: 'CN=J\\C3\\B6rg' },
    { given: 'CN=Jörg', openssl: 'CN=J\\C3\\B6rg' },
    { given: 'UID=alice,emailAddress=a@b.example', openssl: 'UID=alice,emailAddress=a@b.example' },
    { given: '2.5.4.3=#130161', openssl: 'CN=a' },
    { given: [{ O: ['Acme'] }, { CN: ['alice, #1'] }], openssl: 'CN=alice\\, #1,O=Acme' },
    { given: Uint8Array.from(Buffer.from('300c310a30080603550403130161', 'hex')), openssl: 'CN=a' },
    { given: '', openssl: '' },
  ]
  test.each(subjects)('its subject $given is $openssl to openssl', async ({ given, openssl }) => {
    const { certificate } = await pki.issue({ subject: given, names: { dns: ['a.example'] } })
    const subject = /Subject: ?(.*)/.exec(await opensslText(certificate))?.[1]
    // rfc2253 lists the members of a SET in their order of encoding.
    expect(subject?.replace('CN=a+OU=b', 'OU=b+CN=a')).toBe(openssl)
  })

  test.each(['CN=a,', ',CN=a', 'alice', 'CN=a;O=b', 'CN="a"', 'CN=a\\', '=a'])(
    'the subject %j is refused',
    async (subject) => {
      await expect(pki.issue({ subject })).rejects.toThrow(new TypeError(`not an RFC 4514 name: "${subject}"`))
    },
  )

  test('subject alternative names of every kind are read by openssl', async () => {
    const { certificate } = await pki.issue({
      names: {
        dns: ['a.example', '*.b.example'],
        uri: ['spiffe://acme.example/alice'],
        email: ['alice@acme.example'],
        ip: ['192.0.2.1', '2001:db8::1:2', '::', '::ffff:192.0.2.1', '1:2:3:4:5:6:7:8', 'fe80::'],
        upn: ['alice@corp.example'],
        directory: ['CN=alice,O=Acme'],
      },
    })
    const lines = (await opensslText(certificate)).split('\n')
    expect(lines[lines.findIndex((line) => line.includes('Alternative Name')) + 1]?.trim().split(', ')).toEqual([
      'DNS:a.example',
      'DNS:*.b.example',
      'URI:spiffe://acme.example/alice',
      'email:alice@acme.example',
      'IP Address:192.0.2.1',
      'IP Address:2001:DB8:0:0:0:0:1:2',
      'IP Address:0:0:0:0:0:0:0:0',
      'IP Address:0:0:0:0:0:FFFF:C000:201',
      'IP Address:1:2:3:4:5:6:7:8',
      'IP Address:FE80:0:0:0:0:0:0:0',
      'othername: UPN::alice@corp.example',
      'DirName:/O=Acme/CN=alice',
    ])
  })

  test.each(['300.1.1.1', '1.2.3', 'a', '1::2::3', ''])('the address %j is refused', async (ip) => {
    await expect(pki.issue({ names: { ip: [ip] } })).rejects.toThrow(`not an IP address: "${ip}"`)
  })

  test('the alternative name is critical where the subject is empty, or on demand', async () => {
    const names = { dns: ['a.example'] }
    const text = async (options: IssueOptions) => opensslText((await pki.issue({ names, ...options })).certificate)
    expect(await text({})).toMatch(/Alternative Name: ?\n/)
    expect(await text({ subject: '' })).toContain('Alternative Name: critical\n')
    expect(await text({ criticalSan: true })).toContain('Alternative Name: critical\n')
    expect(await text({ names: {} })).not.toContain('Alternative Name')
  })

  test('usages and constraints are as asked', async () => {
    const text = async (options: IssueOptions) => opensslText((await pki.issue(options)).certificate)
    const all = await text({
      keyUsage: ['decipherOnly', 'keyAgreement'],
      extendedKeyUsage: ['any', 'clientAuth', '1.2.3.4'],
      basicConstraints: { ca: true, pathLength: 3 },
    })
    expect(all).toMatch(/Key Usage: critical\s+Key Agreement, Decipher Only\n/)
    expect(all).toMatch(/Any Extended Key Usage, TLS Web Client Authentication, 1\.2\.3\.4\n/)
    expect(all).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:3\n/)
    const none = await text({ keyUsage: false, extendedKeyUsage: false, basicConstraints: false })
    expect(none).not.toMatch(/Key Usage|Basic Constraints/)
  })

  test('default extensions can be left out and replaced, and others added', async () => {
    const { certificate } = await pki.issue({
      omit: ['2.5.29.14', '2.5.29.35'],
      extensions: [
        { oid: '2.5.29.37', critical: true, value: Uint8Array.from(Buffer.from('300406022a03', 'hex')) },
        { oid: '1.2.3.4', value: Uint8Array.of(5, 0) },
        { oid: '1.2.3.4', value: Uint8Array.of(5, 0) },
      ],
    })
    const text = await opensslText(certificate)
    expect(text).not.toContain('Key Identifier')
    expect(text).toMatch(/Extended Key Usage: critical\s+1\.2\.3\n/)
    expect(text).not.toContain('Client Authentication')
    expect(text.match(/1\.2\.3\.4:/g)).toHaveLength(2)
  })
})

describe('authorities', () => {
  test('the leaf of a look-alike is refused by openssl', async () => {
    const { root } = pki
    for (const subject of [root.subject, root.subjectDer]) {
      const lookAlike = await createTestAuthority({ subject })
      expect(lookAlike.subjectDer).toEqual(root.subjectDer)
      const leaf = await lookAlike.issue()
      expect(await opensslVerify(leaf)).toMatchObject({ ok: false })
      expect(await opensslVerify(leaf, { trust: lookAlike.certificate.pem })).toMatchObject({ ok: true })
    }
  })

  test('a forged signature is refused by openssl', async () => {
    const forged = await pki.issue({ signWith: await createTestAuthority() })
    const { ok, output } = await opensslVerify(forged)
    expect(ok).toBe(false)
    expect(output).toContain('certificate signature failure')
  })

  test('a cross-certificate leads from the leaf to the other root', async () => {
    const bridge = await createTestAuthority({ subject: 'CN=Bridge' })
    const cross = await bridge.crossSign(pki.root)
    const { certificate, chain } = await pki.issue()
    const trust = bridge.certificate.pem
    expect(await opensslVerify({ certificate, chain }, { trust })).toMatchObject({ ok: false })
    expect(await opensslVerify({ certificate, chain: [...chain, cross] }, { trust })).toMatchObject({
      ok: true,
    })
  })

  test('a path length binds what is issued below', async () => {
    const root = await createTestAuthority({ basicConstraints: { ca: true, pathLength: 0 } })
    const trust = root.certificate.pem
    expect(await opensslVerify(await root.issue(), { trust })).toMatchObject({ ok: true })
    const below = await root.issueAuthority({ subject: 'CN=Below' })
    expect((await opensslVerify(await below.issue(), { trust })).output).toContain('path length constraint')
  })

  test('have names of their own along a path unless told otherwise', async () => {
    const root = await createTestAuthority()
    const second = await root.issueAuthority()
    const third = await second.issueAuthority()
    expect([root, second, third].map(({ subject }) => subject)).toEqual(['CN=Test CA', 'CN=Test CA 2', 'CN=Test CA 3'])
    expect(await opensslVerify(await third.issue(), { trust: root.certificate.pem })).toMatchObject({
      ok: true,
    })
  })

  test('hand their time and key algorithm down', async () => {
    const now = new Date('2001-02-03T04:05:06Z')
    const root = await createTestAuthority({ now, keyAlgorithm: 'Ed25519' })
    const leaf = await (await root.issueAuthority({ subject: 'CN=Below' })).issue()
    const text = await opensslText(leaf.certificate)
    expect(text).toContain('Public Key Algorithm: ED25519')
    expect(text).toContain('Not After : Feb  4 04:05:06 2001')
  })
})

describe('a CRL', () => {
  const crlText = async (crl: TestCertificate) =>
    (await openssl('crl', '-noout', '-text', '-in', await file(crl.pem))).output

  test('lists what is revoked, with reason and date', async () => {
    const mallory = await pki.issue()
    const crl = await pki.crl({
      revoked: [
        { serialNumber: mallory, reason: 'keyCompromise', date: new Date('2020-01-02T03:04:05Z') },
        { serialNumber: '0abc' },
      ],
    })
    const text = await crlText(crl)
    expect(text).toContain(`Serial Number: ${mallory.serialNumber}\n        Revocation Date: Jan  2 03:04:05 2020 GMT`)
    expect(text).toContain('Key Compromise')
    expect(text).toContain('Serial Number: 0ABC\n')
  })

  test('is believed by openssl', async () => {
    const [alice, mallory] = [await pki.issue(), await pki.issue()]
    const crl = await file((await pki.crl({ revoked: [{ serialNumber: mallory }] })).pem)
    const extra = ['-crl_check', '-CRLfile', crl]
    expect(await opensslVerify(alice, { extra })).toMatchObject({ ok: true })
    const { ok, output } = await opensslVerify(mallory, { extra })
    expect(ok).toBe(false)
    expect(output).toContain('certificate revoked')
  })

  test('of the root revokes an authority', async () => {
    const { root, intermediate, issue, crl, trust } = await createTestPki()
    const both = (await crl()).pem + (await root.crl({ revoked: [{ serialNumber: intermediate }] })).pem
    const extra = ['-crl_check_all', '-CRLfile', await file(both)]
    expect((await opensslVerify(await issue(), { trust, extra })).output).toContain('certificate revoked')
  })

  test('counts up, from the number it is given', async () => {
    const authority = await createTestAuthority()
    const number = async (options = {}) =>
      /CRL Number: ?\n\s+(\w+)/.exec(await crlText(await authority.crl(options)))?.[1]
    expect([await number(), await number(), await number({ number: 20n }), await number()]).toEqual([
      '1',
      '2',
      '20',
      '21',
    ])
  })

  test('says when it was made and when the next is due, or nothing of that', async () => {
    const thisUpdate = new Date('2020-01-01T00:00:00Z')
    const dated = await crlText(await pki.crl({ thisUpdate, nextUpdate: new Date('2051-01-01T00:00:00Z') }))
    expect(dated).toMatch(/Last Update: Jan {2}1 00:00:00 2020 GMT\s+Next Update: Jan {2}1 00:00:00 2051 GMT/)
    expect(await crlText(await pki.crl({ nextUpdate: false }))).toContain('Next Update: NONE')
  })

  test('says whose and which revocations it has, critically', async () => {
    const text = await crlText(
      await pki.crl({
        issuingDistributionPoint: {
          fullName: { uri: ['http://crl.example/a.crl'], directory: ['CN=a'] },
          onlyContainsUserCerts: true,
          onlyContainsCACerts: false,
          onlySomeReasons: ['keyCompromise', 'aACompromise'],
          indirectCRL: true,
        },
      }),
    )
    expect(text).toMatch(/Issuing Distribution Point: critical\n\s+Full Name:\s+URI:http:\/\/crl.example\/a.crl/)
    expect(text).toContain('Only User Certificates\n')
    expect(text).toContain('Indirect CRL\n')
    expect(text).toMatch(/Only Some Reasons:\s+Key Compromise, AA Compromise\n/)
    expect(text).not.toContain('Only CA Certificates')
    expect(await crlText(await pki.crl())).not.toContain('Issuing Distribution Point')
  })

  test.each([
    ['onlyContainsCACerts', 'Only CA Certificates'],
    ['onlyContainsAttributeCerts', 'Only Attribute Certificates'],
  ])('may have %s', async (name, words) => {
    expect(await crlText(await pki.crl({ issuingDistributionPoint: { [name]: true } }))).toContain(words)
  })

  test('is a delta CRL by the number it starts from', async () => {
    const text = await crlText(await pki.crl({ number: 12, baseNumber: 10n }))
    expect(text).toMatch(/Delta CRL Indicator: critical\n\s+10\n/)
    expect(text).toMatch(/CRL Number: ?\n\s+12\n/)
    expect(await crlText(await pki.crl())).not.toContain('Delta CRL Indicator')
  })

  test('may say of an entry whose certificate it is, and since when it was invalid', async () => {
    const revoked = [
      { serialNumber: '01', certificateIssuer: 'CN=Other CA', invalidityDate: new Date('2020-01-02T03:04:05.678Z') },
      { serialNumber: '02' },
    ]
    const text = await crlText(await pki.crl({ revoked, issuingDistributionPoint: { indirectCRL: true } }))
    expect(text).toMatch(/Certificate Issuer: critical\n\s+DirName:.*CN ?= ?Other CA\n/)
    expect(text).toMatch(/Invalidity Date: ?\n\s+Jan {2}2 03:04:05 2020 GMT\n/)
    expect(text.split('Serial Number: 02')[1]).not.toMatch(/Certificate Issuer|Invalidity Date/)
  })

  test('can be forged', async () => {
    const issuer = await file(pki.intermediate.certificate.pem)
    const check = async (crl: TestCertificate) =>
      (await openssl('crl', '-noout', '-CAfile', issuer, '-in', await file(crl.pem))).output
    expect(await check(await pki.crl())).toContain('verify OK')
    expect(await check(await pki.crl({ signWith: await createTestAuthority() }))).toContain('verify failure')
  })
})

describe('a certificate request', () => {
  test.each(['P-256', 'RSA-PSS-2048', 'Ed448'] as const)('of a %s key is verified by openssl', async (keyAlgorithm) => {
    const csr = await pki.csr({ subject: 'CN=bob', keyAlgorithm, names: { dns: ['bob.example'] } })
    const { ok, output } = await openssl('req', '-verify', '-text', '-noout', '-in', await file(csr.pem))
    expect(output).toMatch(/verify OK/)
    expect(output).toMatch(/Subject: CN ?= ?bob[\s\S]*DNS:bob\.example/)
    expect(ok).toBe(true)
  })

  test('is answered with a certificate for its key', async () => {
    const csr = await pki.csr()
    const { certificate, key } = await pki.issue({ key: csr })
    expect(key.pem).toBe(csr.key.pem)
    expect(await openssl('req', '-verify', '-noout', '-in', await file(csr.pem))).toMatchObject({ ok: true })
    expect(new X509Certificate(certificate.der).subject).toBe('CN=alice')
  })
})

describe('a mistake', () => {
  // As a caller without types would write it.
  const wrong = (options: object): never => options as never
  const cases: { name: string; call: () => Promise<unknown>; says: string }[] = [
    { name: 'createTestPki', call: () => createTestPki(wrong({ x: 1 })), says: 'unknown option "x"' },
    {
      name: 'createTestAuthority',
      call: () => createTestAuthority(wrong({ x: 1 })),
      says: 'unknown option "x"',
    },
    { name: 'createSelfSigned', call: () => createSelfSigned(wrong({ x: 1 })), says: 'unknown option "x"' },
    { name: 'issue', call: () => pki.issue(wrong({ now })), says: 'unknown option "now"' },
    { name: 'server', call: () => pki.server(wrong({ x: 1 })), says: 'unknown option "x"' },
    {
      name: 'issueAuthority',
      call: () => pki.root.issueAuthority(wrong({ pathLength: 1 })),
      says: 'unknown option "pathLength"',
    },
    {
      name: 'crossSign',
      call: () => pki.root.crossSign(pki.root, wrong({ x: 1 })),
      says: 'unknown option "x"',
    },
    { name: 'crl', call: () => pki.crl(wrong({ x: 1 })), says: 'unknown option "x"' },
    {
      name: 'revoked',
      call: () => pki.crl({ revoked: wrong([{ serialNumber: '1', x: 1 }]) }),
      says: 'unknown option "x"',
    },
    {
      name: 'a distribution point',
      call: () => pki.crl({ issuingDistributionPoint: wrong({ indirectCrl: true }) }),
      says: 'unknown option "indirectCrl"',
    },
    {
      name: 'a reason',
      call: () => pki.crl({ issuingDistributionPoint: { onlySomeReasons: wrong(['removeFromCRL']) } }),
      says: 'unknown onlySomeReasons "removeFromCRL"',
    },
    { name: 'csr', call: () => pki.csr(wrong({ x: 1 })), says: 'unknown option "x"' },
    { name: 'names', call: () => pki.issue({ names: wrong({ DNS: ['a'] }) }), says: 'unknown option "DNS"' },
    {
      name: 'an algorithm',
      call: () => pki.issue({ keyAlgorithm: wrong(['DSA']) }),
      says: 'unknown keyAlgorithm "DSA"',
    },
    { name: 'a hash', call: () => pki.issue({ hash: wrong(['MD5']) }), says: 'unknown hash "MD5"' },
    { name: 'a usage', call: () => pki.issue({ keyUsage: wrong(['x']) }), says: 'unknown keyUsage "x"' },
    {
      name: 'a purpose',
      call: () => pki.issue({ extendedKeyUsage: ['clientauth'] }),
      says: 'not an object identifier: "clientauth"',
    },
    { name: 'a version', call: () => pki.issue({ version: wrong([2]) }), says: 'unknown version "2"' },
    {
      name: 'a serial number',
      call: () => pki.issue({ serialNumber: '0x1' }),
      says: 'not a hexadecimal serial number: "0x1"',
    },
  ]
  test.each(cases)('in $name is a TypeError: $says', async ({ call, says }) => {
    await expect(call()).rejects.toThrow(new TypeError(says))
  })

  test('is not an option that is undefined', async () => {
    expect(await opensslVerify(await pki.issue(wrong({ subject: undefined })))).toMatchObject({ ok: true })
  })
})
