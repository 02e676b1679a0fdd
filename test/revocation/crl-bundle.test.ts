import { mkdirSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { parseCrls } from '../../src/revocation/crl-bundle.js'
import { crl } from '../../src/revocation/crl-checker.js'
import { createTestPki, type TestCrl, type TestPki } from '../../src/testing.js'
import { fromNoon, hour, noon, openssl, pemOf, temporaryFolder, thrownBy } from '../support/pki.js'
import { closing } from '../support/revocation.js'

const at = temporaryFolder()
let pki: TestPki
let issuing: TestCrl
let root: TestCrl
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  issuing = await pki.crl()
  root = await pki.root.crl()
})

const octets = (text: string | Uint8Array) => (typeof text === 'string' ? Buffer.from(text) : text)
const issuers = (content: string | Uint8Array) =>
  parseCrls('crl: ./x', octets(content)).map(({ issuer }) => `${issuer}`)
const both = ['CN=Test Intermediate CA', 'CN=Test Root CA']

describe('what is read', () => {
  test('DER; PEM; several in one PEM text, with comments, blank lines and CRLF', () => {
    expect(issuers(issuing.der)).toEqual(['CN=Test Intermediate CA'])
    expect(issuers(issuing.pem)).toEqual(['CN=Test Intermediate CA'])
    expect(issuers(issuing.pem + root.pem)).toEqual(both)
    expect(issuers(`# of issuing\n\n${issuing.pem}\n# of root\n${root.pem}`.replaceAll('\n', '\r\n'))).toEqual(both)
  })

  test('what openssl writes, both forms', () => {
    writeFileSync(at('a.der'), issuing.der)
    const pem = openssl('crl', '-inform', 'DER', '-in', at('a.der'))
    expect(issuers(pem)).toEqual(['CN=Test Intermediate CA'])
    writeFileSync(at('a.pem'), pem)
    expect(issuers(openssl('crl', '-in', at('a.pem'), '-outform', 'DER'))).toEqual(['CN=Test Intermediate CA'])
  })
})

describe('row 30: what is no CRL, or not a whole one, is refused at start', () => {
  const certificate = () => pki.intermediate.certificate
  test.each<{ name: string; content: () => string | Uint8Array; says: string }>([
    { name: 'nothing', content: () => '', says: './x: is empty — have the CA write its CRL there' },
    { name: 'blank lines', content: () => '\n\n', says: './x: holds no CRL — have the CA write its CRL there' },
    { name: 'a comment', content: () => '# later\n', says: './x: holds no CRL' },
    {
      name: 'a certificate in PEM',
      content: () => certificate().pem,
      says: './x holds a CERTIFICATE, not an X509 CRL — certificates belong to trust or intermediates',
    },
    {
      name: 'a certificate in DER',
      content: () => certificate().der,
      says: './x holds a CERTIFICATE, not an X509 CRL — certificates belong to trust or intermediates',
    },
    {
      name: 'a certificate behind the CRL',
      content: () => issuing.pem + certificate().pem,
      says: 'holds a CERTIFICATE, not an X509 CRL',
    },
    {
      name: 'the label BEGIN CRL',
      content: () => pemOf('CRL', issuing.der),
      says: './x holds a CRL, not an X509 CRL — the label of RFC 7468 is X509 CRL: openssl crl -in FILE',
    },
    {
      name: 'a private key',
      content: () => pki.intermediate.key.pem,
      says: 'holds a PRIVATE KEY, not an X509 CRL — keep the key where it belongs',
    },
    {
      name: 'an encrypted key',
      content: () => pemOf('ENCRYPTED PRIVATE KEY', issuing.der),
      says: 'holds an ENCRYPTED',
    },
    { name: 'PKCS#7', content: () => pemOf('PKCS7', issuing.der), says: 'holds a PKCS7, not an X509 CRL' },
    {
      name: 'a label without end',
      content: () => pemOf('A'.repeat(5_000), issuing.der),
      says: `${'A'.repeat(39)}…, not`,
    },
    { name: 'text', content: () => 'hello', says: './x: line 1: text outside of a block — openssl crl -in FILE' },
    { name: 'a page for people', content: () => '<!doctype html><title>Sign in</title>', says: 'line 1: text outside' },
    {
      name: 'a byte order mark',
      content: () => `\ufeff${issuing.pem}`,
      says: 'line 1: a BEGIN line has something else on it',
    },
    { name: 'half of the PEM', content: () => issuing.pem.slice(0, 300), says: 'line 1: X509 CRL is cut off' },
    { name: 'half of the second', content: () => issuing.pem + root.pem.slice(0, 100), says: 'X509 CRL is cut off' },
    { name: 'half of the DER', content: () => issuing.der.subarray(0, 200), says: './x is not a CRL in DER: ' },
    {
      name: 'an octet too many',
      content: () => Buffer.concat([issuing.der, Buffer.alloc(1)]),
      says: 'is not a CRL in DER',
    },
    { name: 'two in DER', content: () => Buffer.concat([issuing.der, root.der]), says: 'fetch it again, whole' },
    { name: 'text that begins with 0', content: () => '0123', says: 'is not a CRL in DER' },
  ])('$name', ({ content, says }) => {
    expect(thrownBy(() => parseCrls('crl: ./x', octets(content())))).toContain('ClientCertConfigError: crl: ')
    expect(thrownBy(() => parseCrls('crl: ./x', octets(content())))).toContain(says)
  })
})

test('of several blocks, the one that is wrong is named, by its number and its line', () => {
  const line = issuing.pem.trimEnd().split('\n').length + 1
  const content = issuing.pem + pki.trust + root.pem
  expect(thrownBy(() => parseCrls('crl: ./x', octets(content)))).toContain(`./x: block 2 of 3 (line ${line}) holds a`)
})

describe('crl({ files, directory }): all of it or nothing, with the path in the message', () => {
  const made = (options: Parameters<typeof crl>[0]) =>
    closing(crl({ watch: false, now: () => noon.getTime(), ...options }))

  test('one malformed entry, far behind, makes the whole CRL malformed', async () => {
    const revoked = Array.from({ length: 40 }, (_, i) => ({ serialNumber: `4${String(i).padStart(7, '0')}` }))
    const { der } = await pki.crl({ revoked })
    const damaged = Buffer.from(der)
    // The serial number of the last entry becomes a boolean.
    damaged[damaged.indexOf('0204' + '40000039', 0, 'hex')] = 1
    writeFileSync(at('damaged.crl'), damaged)
    expect(thrownBy(() => made({ files: at('damaged.crl') }))).toMatch(
      /^ClientCertConfigError: crl: .*damaged\.crl: an entry is not what RFC 5280 §5\.1 says: .* at octet \d+ — fetch the CRL again, whole$/,
    )
  })

  test('files that are not there, are directories, or are too large', () => {
    expect(thrownBy(() => made({ files: at('none.crl') }))).toMatch(
      /crl: cannot read .*none\.crl \(ENOENT\) — is the path right\?/,
    )
    expect(thrownBy(() => made({ files: at() }))).toContain(`is a directory — write { directory: '${at()}' }`)
    writeFileSync(at('ok.crl'), issuing.pem)
    expect(thrownBy(() => made({ files: at('ok.crl'), maximumBytes: 100 }))).toMatch(
      /crl: .*ok\.crl has \d+ octets, the limit is 100 — is it the right file\?/,
    )
    const size = Buffer.byteLength(issuing.pem)
    expect(() => made({ files: at('ok.crl'), maximumBytes: size })).not.toThrow()
    expect(() => made({ files: at('ok.crl'), maximumBytes: size - 1 })).toThrow('is it the right file?')
  })

  test('one wrong file among good ones throws', () => {
    writeFileSync(at('ok.crl'), issuing.pem)
    writeFileSync(at('wrong.crl'), pki.trust)
    expect(thrownBy(() => made({ files: [at('ok.crl'), at('wrong.crl')] }))).toContain('wrong.crl holds a CERTIFICATE')
  })

  test('a directory: .crl .pem .der in any case, other names and hidden ones passed over', async () => {
    mkdirSync(at('d'))
    expect(thrownBy(() => made({ directory: at('d') }))).toMatch(
      /d holds no \.crl, \.pem, \.der file — put the CRLs there/,
    )
    writeFileSync(at('d', 'a.CRL'), issuing.pem)
    writeFileSync(at('d', 'b.der'), root.der)
    writeFileSync(at('d', 'README.txt'), 'not a CRL')
    writeFileSync(at('d', '.hidden.crl'), 'not a CRL')
    await expect(made({ directory: at('d') }).ready()).resolves.toBeUndefined()
    writeFileSync(at('d', 'c.pem'), pki.trust)
    expect(thrownBy(() => made({ directory: at('d') }))).toContain('c.pem holds a CERTIFICATE')
  })

  test('a directory that is none', () => {
    expect(thrownBy(() => made({ directory: at('no-directory') }))).toContain('(ENOENT)')
    writeFileSync(at('ok.crl'), issuing.pem)
    expect(thrownBy(() => made({ directory: at('ok.crl') }))).toContain('(ENOTDIR)')
  })

  test('octets of one CRL have a limit of their own: beyond it the DER is not looked at', () => {
    const huge = Buffer.alloc(limits.crlBytes + 1)
    huge[0] = 0x30
    expect(thrownBy(() => parseCrls('crl: ./x', huge))).toContain(`longer than ${limits.crlBytes} octets at octet 0`)
  })

  test('R-09: a CRL that has ended is loaded, and is not ready', async () => {
    writeFileSync(at('old.crl'), (await pki.crl({ thisUpdate: fromNoon(-2 * hour), nextUpdate: fromNoon(-hour) })).pem)
    await expect(made({ files: at('old.crl') }).ready()).rejects.toThrow(
      /^crl: CRL of "CN=Test Intermediate CA" \(.*old\.crl\) has ended, its nextUpdate is 2026-11-20T11:00:00Z — fix the job that renews it/,
    )
  })
})
