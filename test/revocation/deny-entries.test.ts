import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type DenyEntry, digestEntries, isSameSet, parseEntries, serialKey } from '../../src/revocation/deny-entries.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { noon, openssl, temporaryFolder, thrownBy } from '../support/pki.js'

const at = temporaryFolder()
let pki: TestPki
let alice: TestCredential
let certificate: Certificate
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ serialNumber: '00A1B2C3' })
  certificate = Certificate.parse(alice.certificate.der)
  writeFileSync(at('alice.pem'), alice.certificate.pem)
})

const text = (content: string | Uint8Array) =>
  parseEntries('denyList: ./d', typeof content === 'string' ? Buffer.from(content) : content)
const entries = (...list: unknown[]) => digestEntries('denyList', list as DenyEntry[])
const issuer = 'CN=Test Intermediate CA'
const finds = ({ serials }: { serials: ReadonlySet<string> }, one = certificate) =>
  serials.has(serialKey(one.issuer, one.serialNumber))

describe('a fingerprint, as it may be written', () => {
  const plain = 'AB'.repeat(32)
  const colons = plain.replace(/..(?=.)/g, '$&:')
  test.each([
    plain,
    plain.toLowerCase(),
    colons,
    colons.toLowerCase(),
    `SHA256 Fingerprint=${colons}`,
    `sha256 Fingerprint=${colons}`,
    `SHA-256:${plain}`,
    `sha256=${plain}`,
    `  ${plain}\t`,
  ])('%s', (written) => {
    const expected = [plain.toLowerCase()]
    expect([...entries(written).fingerprints]).toEqual(expected)
    expect([...entries({ fingerprint: written }).fingerprints]).toEqual(expected)
    expect([...text(`${written}\n`).fingerprints]).toEqual(expected)
  })

  test('what openssl prints', () => {
    const printed = openssl('x509', '-in', at('alice.pem'), '-noout', '-fingerprint', '-sha256').toString()
    expect([...text(printed).fingerprints]).toEqual([alice.fingerprint])
  })

  test.each<[string, string, string]>([
    [
      'SHA-1',
      'AB'.repeat(20),
      'is SHA-1 (20 octets), not SHA-256 — openssl x509 -in client.pem -noout -fingerprint -sha256',
    ],
    ['a digit too few', 'AB'.repeat(31).concat('A'), 'is not SHA-256 (32 octets of hexadecimal)'],
    ['an octet too many', 'AB'.repeat(33), 'is not SHA-256'],
    ['what is not hexadecimal', 'XY'.repeat(32), 'is not SHA-256'],
    ['base64', Buffer.alloc(32).toString('base64'), 'is not SHA-256'],
    ['a name', 'alice', 'is not SHA-256'],
    ['a whole certificate', '-----BEGIN CERTIFICATE-----', 'is not SHA-256'],
  ])('%s is refused, by its place', (_, written, says) => {
    expect(thrownBy(() => entries('AB'.repeat(32), written))).toContain('denyList: entry 2: "')
    expect(thrownBy(() => entries('AB'.repeat(32), written))).toContain(says)
    expect(thrownBy(() => text(`# one\r\n\r\n${written}\r\n`))).toContain('denyList: ./d: line 3: "')
  })
})

describe('a serial number with its issuer, as they may be written', () => {
  test.each([
    'A1B2C3',
    'a1b2c3',
    '00A1B2C3',
    '0000000000A1B2C3',
    'A1:B2:C3',
    '00:a1:B2:c3',
    '0A1B2C3',
    'serial=A1B2C3',
  ])('%s finds the certificate', (serialNumber) => {
    expect(finds(entries({ issuer, serialNumber }))).toBe(true)
    if (!serialNumber.includes('=')) expect(finds(text(`${serialNumber}  ${issuer}`))).toBe(true)
  })

  test.each(['A1B2C4', 'A1B2C30', '1B2C3', 'C3B2A1', '0'])('%s finds another one', (serialNumber) => {
    expect(finds(entries({ issuer, serialNumber }))).toBe(false)
  })

  test('zero, and a number whose top bit is set, which has a sign octet in the certificate', async () => {
    for (const [serialNumber, written] of [
      ['00', '0'],
      ['00', '00:00'],
      ['FF01', 'ff01'],
      ['FF01', '00FF01'],
    ] as const) {
      const { certificate: made } = await pki.issue({ serialNumber })
      expect(finds(entries({ issuer, serialNumber: written }), Certificate.parse(made.der))).toBe(true)
    }
  })

  test('names are compared as RFC 5280 §7.1 does, in either order', async () => {
    const authority = await pki.root.issueAuthority({ subject: 'CN=Issuing 2,OU=PKI,O=Acme,C=DE' })
    const one = Certificate.parse((await authority.issue({ serialNumber: '0A' })).certificate.der)
    for (const name of [
      'CN=Issuing 2,OU=PKI,O=Acme,C=DE',
      'cn=issuing  2, ou=pki, o=ACME, c=DE',
      'C = DE, O = Acme, OU = PKI, CN = Issuing 2',
      'issuer=CN=Issuing 2,OU=PKI,O=Acme,C=DE',
    ]) {
      expect(finds(entries({ issuer: name, serialNumber: '0A' }), one)).toBe(true)
    }
    expect(finds(entries({ issuer: 'CN=Issuing 2,O=Acme,OU=PKI,C=DE', serialNumber: '0A' }), one)).toBe(false)
  })

  test('what openssl prints', () => {
    const serial = openssl('x509', '-in', at('alice.pem'), '-noout', '-serial').toString().trim()
    const names = ['RFC2253', 'oneline'].map((form) =>
      openssl('x509', '-in', at('alice.pem'), '-noout', '-issuer', '-nameopt', form).toString().trim(),
    )
    for (const name of names) expect(finds(entries({ issuer: name, serialNumber: serial }))).toBe(true)
  })

  test.each<{ name: string; entry: unknown; says: string }>([
    {
      name: 'a number',
      entry: { issuer, serialNumber: 10 },
      says: 'is neither a fingerprint nor { issuer, serialNumber }',
    },
    {
      name: 'no hexadecimal',
      entry: { issuer, serialNumber: '0xA1' },
      says: '"0xA1" is not hexadecimal — openssl x509',
    },
    { name: 'a negative one', entry: { issuer, serialNumber: '-0A' }, says: 'is not hexadecimal' },
    { name: 'none', entry: { issuer, serialNumber: '' }, says: 'is not hexadecimal' },
    { name: 'colons', entry: { issuer, serialNumber: '::' }, says: 'is not hexadecimal' },
    {
      name: 'a fingerprint as serial number, which would deny nobody',
      entry: { issuer, serialNumber: 'AB'.repeat(32) },
      says: 'has more than 20 octets — a fingerprint stands alone, without an issuer',
    },
    { name: '21 octets', entry: { issuer, serialNumber: '7F'.repeat(21) }, says: 'has more than 20 octets' },
    {
      name: 'no issuer',
      entry: { issuer: '', serialNumber: '0A' },
      says: 'issuer is empty — every certificate has one',
    },
    { name: 'a blank issuer', entry: { issuer: 'issuer=', serialNumber: '0A' }, says: 'issuer is empty' },
    { name: 'an issuer that is no name', entry: { issuer: 'Acme', serialNumber: '0A' }, says: 'issuer: ' },
    { name: 'a third key', entry: { issuer, serialNumber: '0A', until: 1 }, says: 'is neither a fingerprint nor' },
    { name: 'a serial number alone', entry: { serialNumber: '0A' }, says: 'is neither a fingerprint nor' },
    { name: 'null', entry: null, says: 'is neither a fingerprint nor' },
    { name: 'a list', entry: ['AB'.repeat(32)], says: 'is neither a fingerprint nor' },
    { name: 'a certificate', entry: Buffer.alloc(8), says: 'is neither a fingerprint nor' },
  ])('$name is refused', ({ entry, says }) => {
    expect(thrownBy(() => entries(entry))).toContain('ClientCertConfigError: denyList: entry 1')
    expect(thrownBy(() => entries(entry))).toContain(says)
  })

  test('20 octets with a sign octet before them fit', () => {
    expect(entries({ issuer, serialNumber: `00${'FF'.repeat(20)}` }).size).toBe(1)
  })
})

describe('a text', () => {
  const one = 'AB'.repeat(32)

  test('lines, comments, blank lines, CRLF, a byte order mark; the last line may end without a break', () => {
    const set = text(`\ufeff# stolen\r\n${one}\r\n\r\n   # left\r\n0A\t${issuer}\r\n${'CD'.repeat(32)}`)
    expect([set.size, set.fingerprints.size, set.serials.size]).toEqual([3, 2, 1])
  })

  test('a comment behind an entry is refused, not taken for an issuer', () => {
    expect(thrownBy(() => text(`${one} # stolen`))).toContain('line 1: ')
  })

  test.each<[string, string | Uint8Array, string]>([
    [
      'nothing at all, which is a file that is being written',
      '',
      'is empty — to deny nobody, write a line that begins with #',
    ],
    ['a line that was cut', `${one}\n${one.slice(0, 40)}`, 'line 2: '],
    ['UTF-16', Buffer.from(one, 'utf16le'), 'is not text in UTF-8 — write one fingerprint a line'],
    ['Latin-1', Buffer.from('0A CN=Müller', 'latin1'), 'is not text in UTF-8'],
    ['DER', Buffer.from([0x30, 0x82, 1, 0xff, 0, 0xc3]), 'is not text in UTF-8'],
  ])('%s is refused', (_, content, says) => {
    expect(thrownBy(() => text(content))).toContain('ClientCertConfigError: denyList: ./d: ')
    expect(thrownBy(() => text(content))).toContain(says)
  })

  test('a comment alone denies nobody, as an empty list does', () => {
    expect([text('# nobody\n').size, entries().size]).toEqual([0, 0])
  })

  test.each<[string, unknown, string]>([
    ['undefined', undefined, 'denyList: is no list of entries, but undefined'],
    ['null', null, 'but null'],
    ['a text', one, 'but string'],
    ['a set', new Set([one]), 'but object'],
    ['a promise', Promise.resolve([one]), 'but object'],
  ])('%s is no list of entries', (_, given, says) => {
    expect(thrownBy(() => digestEntries('denyList', given as never))).toContain(says)
  })

  test('all or nothing: one wrong entry, and none is read; a hole is one', () => {
    expect(thrownBy(() => entries(one, one, 'x'))).toContain('entry 3')
    const sparse: DenyEntry[] = []
    sparse[1] = one
    expect(thrownBy(() => digestEntries('denyList', sparse))).toContain('entry 1 is neither')
  })

  test('lists that deny the same certificates are the same, however they are written', () => {
    const a = entries(one, { issuer, serialNumber: '0A' })
    expect(isSameSet(a, text(`${one.toLowerCase()}\n000A CN=TEST  intermediate CA\n`))).toBe(true)
    expect(isSameSet(a, entries(one))).toBe(false)
    expect(isSameSet(a, entries('CD'.repeat(32), { issuer, serialNumber: '0A' }))).toBe(false)
  })
})
