import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import { createTestAuthority, createTestPki, type TestPki } from '../../src/testing.js'
import { parseBundle } from '../../src/trust/trust-bundle.js'
import { resolveTrust, type Trust } from '../../src/trust/trust-option.js'
import { TrustStore } from '../../src/trust/trust-store.js'
import { noon, openssl, temporaryFolder, thrownBy } from '../support/pki.js'

// Keys take long to make where machines are busy.
jest.setTimeout(60_000)

const at = temporaryFolder()
let pki: TestPki
let ca: string
let bundle: string
const made: Record<string, string | Uint8Array> = {}

const load = (trust: Trust, option: 'trust' | 'intermediates' = 'trust') => resolveTrust(option, trust, false)
const fileOf = (name: string, content: string | Uint8Array) => {
  writeFileSync(at(name), content)
  return at(name)
}

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  const other = await createTestAuthority({ now: noon, subject: 'CN=Other Root' })
  const leaf = await pki.issue()
  const oldLeaf = await pki.root.issue({ version: 1, subject: 'CN=old' })
  ca = pki.trust
  bundle = `${ca}${other.certificate.pem}`

  const key = fileOf('ca.key', pki.root.key.pem)
  const cert = fileOf('ca.pem', ca)
  const both = fileOf('both.pem', bundle)
  const leafKey = fileOf('leaf.key', leaf.key.pem)
  const leafCert = fileOf('leaf.pem', leaf.certificate.pem)
  Object.assign(made, {
    leaf: leaf.certificate.pem,
    v1: oldLeaf.certificate.pem,
    pkcs8: leaf.key.pem,
    sec1: openssl('ec', '-in', leafKey).toString(),
    encrypted: openssl('pkcs8', '-topk8', '-in', leafKey, '-passout', 'pass:x').toString(),
    legacyEncrypted: openssl('ec', '-in', leafKey, '-aes128', '-passout', 'pass:x').toString(),
    pkcs8Der: openssl('pkcs8', '-topk8', '-nocrypt', '-in', leafKey, '-outform', 'DER'),
    sec1Der: openssl('ec', '-in', leafKey, '-outform', 'DER'),
    p12: openssl('pkcs12', '-export', '-inkey', leafKey, '-in', leafCert, '-certfile', both, '-passout', 'pass:'),
    p7bPem: openssl('crl2pkcs7', '-nocrl', '-certfile', both).toString(),
    p7bDer: openssl('crl2pkcs7', '-nocrl', '-certfile', both, '-outform', 'DER'),
    crl: (await pki.crl()).pem,
    crlDer: (await pki.crl()).der,
    csr: (await pki.csr()).pem,
    csrDer: (await pki.csr()).der,
    trusted: openssl('x509', '-in', cert, '-trustout').toString(),
    publicKey: openssl('pkey', '-in', key, '-pubout').toString(),
    der: pki.root.certificate.der,
    text: openssl('x509', '-in', cert, '-text').toString(),
  })
})

/** Content that is refused, as PEM text or octets, with the fact and the fix in the message. */
const refusals: { name: string; given: () => string | Uint8Array; says: RegExp }[] = [
  { name: 'nothing at all', given: () => '', says: /is empty — write the CA of your clients there/ },
  { name: 'white space only', given: () => ' \n\n\t\n', says: /is empty/ },
  { name: 'no octets', given: () => new Uint8Array(0), says: /is empty/ },
  { name: 'comments only', given: () => '# clients\n# ca\n', says: /holds no certificate — write the CA/ },
  {
    name: 'garbage text',
    given: () => 'hello\nworld\n',
    says: /line 1: text outside of a block — remove what is not PEM/,
  },
  { name: 'garbage octets', given: () => Buffer.from('30031234ff', 'hex'), says: /malformed/ },
  { name: 'random octets', given: () => Buffer.from('8f21e300aa55', 'hex'), says: /line 1: text outside of a block/ },
  {
    name: 'a file cut in half',
    given: () => ca.slice(0, ca.length / 2),
    says: /cut off.*incomplete: copy it again, whole/,
  },
  {
    name: 'DER cut in half',
    given: () => (made.der as Uint8Array).slice(0, 200),
    says: /malformed.*longer than what holds it/,
  },
  {
    name: 'DER with an octet more',
    given: () => Buffer.concat([made.der as Uint8Array, Buffer.of(0)]),
    says: /trailing octets/,
  },
  {
    name: 'an environment variable with literal \\n',
    given: () => ca.replaceAll('\n', '\\n'),
    says: /contains backslash-n instead of line breaks \(environment variable\?\) — value\.replaceAll\('\\\\n', '\\n'\), or a file/,
  },
  {
    name: 'line breaks that became spaces',
    given: () => ca.trim().replaceAll('\n', ' '),
    says: /line 1: a BEGIN line has something else on it/,
  },
  {
    name: 'a byte order mark in text',
    given: () => `\ufeff${ca}`,
    says: /byte order mark — save it as UTF-8 without BOM/,
  },
  { name: 'a byte order mark in octets', given: () => Buffer.from(`\ufeff${ca}`), says: /byte order mark/ },
  {
    name: 'UTF-16, little endian',
    given: () => Buffer.from(`\ufeff${ca}`, 'utf16le'),
    says: /is UTF-16 text — save it as UTF-8/,
  },
  { name: 'UTF-16, big endian', given: () => Buffer.from(`\ufeff${ca}`, 'utf16le').swap16(), says: /is UTF-16 text/ },
  { name: 'UTF-16 without a mark', given: () => Buffer.from(ca, 'utf16le'), says: /outside of a block/ },
  {
    name: 'openssl x509 -text',
    given: () => made.text as string,
    says: /line 1: text outside of a block — remove what is not PEM/,
  },
  { name: 'base64 with a letter less', given: () => ca.replace('MII', 'MI'), says: /is not base64 — export it again/ },
  { name: 'base64url', given: () => ca.replace('MII', '-_I'), says: /is not base64/ },
  { name: 'BEGIN without END', given: () => `${ca.trim().split('\n').slice(0, -1).join('\n')}\n`, says: /cut off/ },
  { name: 'END without BEGIN', given: () => ca.split('\n').slice(1).join('\n'), says: /outside of a block/ },
  {
    name: 'a block of nothing',
    given: () => '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
    says: /is empty/,
  },
  { name: 'a PKCS#8 private key', given: () => made.pkcs8 as string, says: /private key.*take it out of here/ },
  { name: 'a SEC 1 private key', given: () => made.sec1 as string, says: /private key.*take it out of here/ },
  { name: 'an encrypted private key', given: () => made.encrypted as string, says: /private key.*take it out of here/ },
  {
    name: 'a private key with Proc-Type headers',
    given: () => made.legacyEncrypted as string,
    says: /private key.*take it out of here/,
  },
  { name: 'a PKCS#8 private key in DER', given: () => made.pkcs8Der as Uint8Array, says: /private key/ },
  { name: 'a SEC 1 private key in DER', given: () => made.sec1Der as Uint8Array, says: /private key/ },
  {
    name: 'PKCS#12 of openssl',
    given: () => made.p12 as Uint8Array,
    says: /is PKCS#12 — openssl pkcs12 -in \S+ -cacerts -nokeys/,
  },
  {
    name: 'PKCS#12 in BER, as Windows writes it',
    given: () => Buffer.from('3080020103308006092a864886f70d010701a080', 'hex'),
    says: /is PKCS#12/,
  },
  { name: 'PKCS#7 in PEM', given: () => made.p7bPem as string, says: /is PKCS#7 — openssl pkcs7 -in \S+ -print_certs/ },
  {
    name: 'PKCS#7 in DER',
    given: () => made.p7bDer as Uint8Array,
    says: /is PKCS#7 — openssl pkcs7 -in \S+ -inform DER -print_certs/,
  },
  { name: 'a CRL', given: () => made.crl as string, says: /is a CRL, not a certificate — it belongs to revocation/ },
  { name: 'a CRL in DER', given: () => made.crlDer as Uint8Array, says: /is a CRL, not a certificate/ },
  { name: 'a CSR', given: () => made.csr as string, says: /is a certificate request — have the CA sign it/ },
  { name: 'a CSR in DER', given: () => made.csrDer as Uint8Array, says: /is a certificate request/ },
  {
    name: 'a TRUSTED CERTIFICATE',
    given: () => made.trusted as string,
    says: /labelled TRUSTED CERTIFICATE — openssl x509 -in FILE/,
  },
  { name: 'a public key', given: () => made.publicKey as string, says: /labelled "PUBLIC KEY", not CERTIFICATE/ },
  {
    name: 'a client certificate',
    given: () => made.leaf as string,
    says: /"CN=alice" is not a CA certificate — .*trust: \{ pinned: … \}/,
  },
  {
    name: 'a version 1 certificate',
    given: () => made.v1 as string,
    says: /"CN=old" is an X\.509 v1 certificate, which cannot say that it is a CA/,
  },
]

describe('what is no bundle of CA certificates is refused at start, with the fix', () => {
  test.each(refusals)('C-01: $name', ({ given, says }) => {
    const content = given()
    expect(thrownBy(() => TrustStore.parse(content))).toMatch(says)
    // The same from a file, where the message also names the path.
    const path = fileOf('given', content)
    const message = thrownBy(() => load({ file: path }))
    expect(message).toMatch(says)
    expect(message).toMatch(/^ClientCertConfigError: trust: /)
    expect(message).toContain(path)
    expect(message).not.toContain('undefined')
  })

  test.each(refusals.slice(3))('C-01: after good certificates, too: $name', ({ given }) => {
    const content = given()
    if (typeof content !== 'string' || content.startsWith('#')) return
    expect(() => TrustStore.parse(bundle + content)).toThrow(ClientCertConfigError)
  })

  test('the twin: what was refused in pieces is read whole', () => {
    for (const good of [
      bundle,
      bundle.replaceAll('\n', '\r\n'),
      `# clients\n\n${ca}\n\n# other\n${bundle}`,
      Buffer.from(bundle),
    ]) {
      expect(TrustStore.parse(good).current().anchors.length).toBe(2)
    }
    expect(TrustStore.parse(made.der as Uint8Array).current().anchors.length).toBe(1)
  })

  test('row 25: the command the message names for PKCS#7 makes a file that is read', () => {
    for (const [content, name] of [
      [made.p7bDer, 'clients.p7b'],
      [made.p7bPem, 'clients.p7b'],
    ] as const) {
      fileOf(name, content as string | Uint8Array)
      expect(runAdvice(thrownBy(() => load({ file: at(name) })))).toBe(2)
    }
  })

  test('row 25: the command the message names for PKCS#12 makes a file that is read', () => {
    fileOf('clients.p12', made.p12 as Uint8Array)
    expect(runAdvice(thrownBy(() => load({ file: at('clients.p12') })))).toBe(2)
  })

  /** Does what the operator would do: runs the command after the dash and configures what it wrote. */
  function runAdvice(message: string): number {
    const command = message.slice(message.indexOf(' — ') + 3).replace('openssl pkcs12', 'openssl pkcs12 -passin pass:')
    shell(command)
    return load({ file: at('clients-ca.pem') }).current().anchors.length
  }

  function shell(command: string): void {
    const script = fileOf('advice.sh', `cd '${at()}' && ${command}\n`)
    const { status, stderr } = spawnSync('bash', [script])
    if (status !== 0) throw new Error(String(stderr))
  }
})

describe('a bad block among good ones', () => {
  test('is named by its number and line, and nothing is loaded', () => {
    const message = thrownBy(() => load(`${ca}${made.leaf}${ca}`))
    const line = ca.split('\n').length
    expect(message).toMatch(new RegExp(`trust: block 2 of 3 \\(line ${line}\\): "CN=alice" is not a CA certificate`))
  })

  test.each(['pkcs8', 'crl', 'csr', 'p7bPem', 'v1'])('%s in the middle', (kind) => {
    expect(thrownBy(() => load(ca + made[kind] + bundle))).toMatch(/block 2 of 4 \(line \d+\)/)
  })

  test('a block in a comment is not counted', () => {
    const commented = ca.replace(/^/gm, '# ').replace(/# $/, '')
    expect(thrownBy(() => load(`${commented}# -----BEGIN here\n${ca}${made.leaf}`))).toMatch(
      /block 2 of 2 \(line \d+\)/,
    )
  })

  test('an octet turned over in one of them is found', () => {
    const octets = Buffer.from(pki.root.certificate.der)
    octets[4] = (octets[4] as number) ^ 0x10
    const broken = `-----BEGIN CERTIFICATE-----\n${octets.toString('base64')}\n-----END CERTIFICATE-----\n`
    expect(thrownBy(() => load(`${bundle}${broken}`))).toMatch(
      /block 3 of 3 \(line \d+\): the certificate is malformed at octet \d+/,
    )
  })
})

describe('what may be in a bundle twice or otherwise', () => {
  test('the same certificate twice is one anchor', () => {
    expect(load(ca + ca + bundle).current().anchors.length).toBe(2)
    expect(load([ca, { file: fileOf('again.pem', bundle) }, made.der as Uint8Array]).current().anchors.length).toBe(2)
  })

  test('pinned takes end entities and CA certificates; trust takes CA certificates only', () => {
    expect(parseBundle('pinned', made.leaf as string, 'pinned').length).toBe(1)
    expect(parseBundle('pinned', ca, 'pinned').length).toBe(1)
    expect(thrownBy(() => parseBundle('trust', made.leaf as string, 'anchors'))).toMatch(/not a CA certificate/)
  })

  test('intermediates take CA certificates only, and say so in their own words', () => {
    expect(load(ca, 'intermediates').current().anchors.length).toBe(1)
    const message = thrownBy(() => load(made.leaf as string, 'intermediates'))
    expect(message).toMatch(/intermediates: block 1 of 1 .*intermediates takes CA certificates only/)
  })
})

describe('files and directories', () => {
  test.each([
    {
      name: 'a missing file',
      given: () => ({ file: at('no-such.pem') }),
      says: /cannot read .*no-such\.pem \(ENOENT\) — is the path right\?/,
    },
    {
      name: 'a path as text that is missing',
      given: () => './no/such.pem',
      says: /cannot read \.\/no\/such\.pem \(ENOENT\)/,
    },
    {
      name: 'a directory as file',
      given: () => ({ file: at('empty') }),
      says: /is a directory — write \{ directory: '/,
    },
    {
      name: 'a file as directory',
      given: () => ({ directory: at('ca.pem') }),
      says: /\(ENOTDIR\) — write \{ file: … \}/,
    },
    {
      name: 'a directory without files',
      given: () => ({ directory: at('empty') }),
      says: /holds no \.pem, \.crt, \.cer, \.der file — put the CA/,
    },
    { name: 'a directory with hidden files only', given: () => ({ directory: at('hidden') }), says: /holds no \.pem/ },
    {
      name: 'a directory with a key in it',
      given: () => ({ directory: at('mixed') }),
      says: /mixed\/z\.pem.*private key/,
    },
  ])('C-01: $name is refused', ({ given, says }) => {
    for (const name of ['empty', 'hidden', 'mixed']) mkdirSync(at(name), { recursive: true })
    fileOf('hidden/.ca.pem', ca)
    fileOf('mixed/a.pem', ca)
    fileOf('mixed/z.pem', made.pkcs8 as string)
    expect(thrownBy(() => load(given() as Trust))).toMatch(says)
  })

  test('the twin: a directory with a certificate in each file is read in name order, other files are not', () => {
    mkdirSync(at('good'), { recursive: true })
    fileOf('good/b.CRT', ca)
    fileOf('good/a.der', made.der as Uint8Array)
    fileOf('good/c.pem', bundle)
    fileOf('good/ca.key', made.pkcs8 as string)
    expect(load({ directory: at('good') }).current().anchors.length).toBe(2)
    expect(TrustStore.load(at('good'), { watch: false }).current().anchors.length).toBe(2)
  })

  const root = process.getuid?.() === 0
  const unlessRoot = root ? test.skip : test
  unlessRoot(`C-01: an unreadable file (EACCES)${root ? ' — skipped, root reads everything' : ''}`, () => {
    const path = fileOf('secret.pem', ca)
    chmodSync(path, 0)
    expect(thrownBy(() => load({ file: path }))).toMatch(/\(EACCES\) — let the user this process runs as read it/)
  })

  test('a file larger than the limit is not read', () => {
    const path = at('huge.pem')
    writeFileSync(path, '')
    truncateSync(path, 65 * 1024 * 1024)
    expect(thrownBy(() => load({ file: path }))).toMatch(/has 68157440 octets, the limit is 67108864/)
  })
})

test('the messages never repeat the content, which may be a key', () => {
  const secret = (made.pkcs8 as string).split('\n')[1] as string
  for (const given of [made.pkcs8 as string, `${ca}${secret}`, secret.slice(0, 40)]) {
    const path = fileOf('maybe-key', given)
    expect(thrownBy(() => load({ file: path }))).not.toContain(secret.slice(0, 20))
  }
  expect(readFileSync(at('maybe-key'), 'utf8')).toHaveLength(40)
})
