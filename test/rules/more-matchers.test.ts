/** Matchers of names, issuers, keys and times, each with the twin that differs in one thing and does not hold. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { rules } from '../../src/index.js'
import type { ListedContent } from '../../src/rules/listed.js'
import type { Rule } from '../../src/rules/rule.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type IssueOptions,
  type TestAuthority,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { fromNoon, hour, identityOf, noon, temporaryFolder, thrownBy } from '../support/pki.js'

let pki: TestPki
let stranger: TestAuthority
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  stranger = await createTestAuthority({ now: noon, subject: 'CN=Test Root CA' })
})

const of = async (options: IssueOptions): Promise<ClientIdentity> =>
  identityOf(await pki.issue(options), { trust: pki.trust })
const holds = async (rule: Rule, identity: ClientIdentity, at = noon.getTime()) =>
  (await rule.evaluate(identity, undefined, at)).holds
const hintOf = async (rule: Rule, identity: ClientIdentity) => {
  const outcome = await rule.evaluate(identity, undefined, noon.getTime())
  return outcome.holds ? 'holds' : outcome.hint
}

interface Row {
  name: string
  rule: () => Rule
  given: IssueOptions
  twin: IssueOptions
}
const both = (rows: Row[]) =>
  test.each(rows)(
    '$name',
    async ({ rule, given, twin }) => {
      expect(await holds(rule(), await of(given))).toBe(true)
      expect(await holds(rule(), await of(twin))).toBe(false)
    },
    30_000,
  ) // RSA keys take their time

describe('a subset of a name', () => {
  const acme = () => rules.subject({ O: 'Acme' })
  const editors = () => rules.subject({ O: 'Acme', OU: ['Editors'] })
  both([
    { name: 'one attribute', rule: acme, given: { subject: 'CN=a,O=Acme,C=DE' }, twin: { subject: 'CN=a,O=Acm,C=DE' } },
    {
      name: 'in any case, as RFC 5280 §7.1 says',
      rule: acme,
      given: { subject: 'O=aCME' },
      twin: { subject: 'O=aCME2' },
    },
    {
      name: 'I-04: a text is the only one of its type',
      rule: acme,
      given: { subject: 'O=Acme' },
      twin: { subject: 'O=Acme,O=Evil' },
    },
    {
      name: 'I-04: also within one RDN',
      rule: acme,
      given: { subject: 'O=Acme+CN=a' },
      twin: { subject: 'O=Acme+O=Evil' },
    },
    { name: 'of the type it names', rule: acme, given: { subject: 'O=Acme' }, twin: { subject: 'OU=Acme' } },
    {
      name: 'I-04: no part of another value',
      rule: acme,
      given: { subject: 'O=Acme' },
      twin: { subject: 'CN=x\\,O\\=Acme' },
    },
    { name: 'I-06: no full width', rule: acme, given: { subject: 'O=Acme' }, twin: { subject: 'O=Ａcme' } },
    {
      name: 'a list is among the values',
      rule: editors,
      given: { subject: 'OU=Staff,OU=Editors,O=Acme' },
      twin: { subject: 'OU=Staff,O=Acme' },
    },
    {
      name: 'every one of a list',
      rule: () => rules.subject({ OU: ['a', 'b'] }),
      given: { subject: 'OU=b,OU=a,OU=c' },
      twin: { subject: 'OU=b,OU=c' },
    },
    {
      name: 'every attribute',
      rule: editors,
      given: { subject: 'OU=Editors,O=Acme' },
      twin: { subject: 'OU=Editors,O=Evil' },
    },
    {
      name: 'by dotted identifier',
      rule: () => rules.subject({ '2.5.4.10': 'Acme' }),
      given: { subject: 'O=Acme' },
      twin: { subject: 'CN=Acme' },
    },
    {
      name: 'a value with what RFC 4514 escapes',
      rule: () => rules.subject({ O: ' Acme, "Inc" + 1 #' }),
      given: { subject: [{ O: ['Acme, "Inc" + 1 #'] }] },
      twin: { subject: [{ O: ['Acme, "Inc" + 1'] }] },
    },
    {
      name: 'of a directoryName',
      rule: () => rules.directoryName({ O: 'Acme' }),
      given: { names: { directory: ['CN=a,O=Acme'] } },
      twin: { subject: 'O=Acme', names: { directory: ['CN=a'] } },
    },
    {
      name: 'a whole directoryName',
      rule: () => rules.directoryName('CN=a,O=Acme'),
      given: { names: { directory: ['CN=b', 'CN=a,O=Acme'] } },
      twin: { names: { directory: ['O=Acme,CN=a'] } },
    },
  ])

  test('of the issuer', async () => {
    const identity = await of({})
    expect(await holds(rules.issuerName({ CN: 'Test Intermediate CA' }), identity)).toBe(true)
    expect(await holds(rules.issuerName({ CN: 'Test Root CA' }), identity)).toBe(false)
  })

  test('the hint says what the certificate has of the type', async () => {
    expect(await hintOf(acme(), await of({ subject: 'O=Evil,O=Acme' }))).toBe(
      'the certificate has O "Evil", "Acme" — allow it in the rule, or issue another certificate',
    )
  })

  test.each<[string, unknown, RegExp]>([
    ['nothing', {}, /asks for nothing/],
    ['an unknown type', { XX: 'a' }, /unknown attribute type "XX"/],
    ['I-11: __proto__', JSON.parse('{"__proto__":"a"}'), /unknown attribute type "__proto__"/],
    ['one type twice', { CN: 'a', cn: 'b' }, /names an attribute type twice/],
    ['an empty list', { OU: [] }, /OU is an empty list/],
    ['undefined', { O: undefined }, /O is undefined, expected a text/],
    ['undefined in a list', { O: ['a', undefined] }, /O is undefined, expected a text/],
    ['an empty text', { O: '' }, /O is empty, expected a text/],
    ['a number', { O: 1 }, /O is number/],
  ])('%s is refused', (_, given, says) => {
    expect(thrownBy(() => rules.subject(given as never))).toMatch(says)
    expect(thrownBy(() => rules.subject(given as never))).toMatch(/^ClientCertConfigError/)
  })
})

describe('I-08: a wildcard in a dnsName rule is one whole label', () => {
  const services = () => rules.dnsName('*.svc.acme.test')
  both([
    {
      name: 'one label',
      rule: services,
      given: { names: { dns: ['a.svc.acme.test'] } },
      twin: { names: { dns: ['a.b.svc.acme.test'] } },
    },
    {
      name: 'not none',
      rule: services,
      given: { names: { dns: ['A.SVC.acme.test'] } },
      twin: { names: { dns: ['svc.acme.test'] } },
    },
    {
      name: 'not the wildcard of a certificate',
      rule: services,
      given: { names: { dns: ['x.svc.acme.test'] } },
      twin: { names: { dns: ['*.svc.acme.test'] } },
    },
    {
      name: 'not of another domain',
      rule: services,
      given: { names: { dns: ['x.svc.acme.test'] } },
      twin: { names: { dns: ['x.svc.acme.test.evil.test'] } },
    },
    {
      name: 'not without the dot',
      rule: services,
      given: { names: { dns: ['x.svc.acme.test'] } },
      twin: { names: { dns: ['x-svc.acme.test'] } },
    },
  ])
})

describe('ip', () => {
  const ip = (range: string) => () => rules.ip(range)
  both([
    {
      name: 'an address',
      rule: ip('192.0.2.1'),
      given: { names: { ip: ['192.0.2.1'] } },
      twin: { names: { ip: ['192.0.2.2'] } },
    },
    {
      name: 'a network',
      rule: ip('10.4.0.0/15'),
      given: { names: { ip: ['10.5.255.255'] } },
      twin: { names: { ip: ['10.6.0.0'] } },
    },
    {
      name: 'an IPv6 address in any spelling',
      rule: ip('2001:DB8:0:0::1'),
      given: { names: { ip: ['2001:db8::1'] } },
      twin: { names: { ip: ['2001:db8::2'] } },
    },
    {
      name: 'an IPv6 network',
      rule: ip('2001:db8:8000::/33'),
      given: { names: { ip: ['2001:db8:ffff::'] } },
      twin: { names: { ip: ['2001:db8:7fff::'] } },
    },
    {
      name: 'an IPv4 rule does not hold for the address mapped into IPv6',
      rule: ip('192.0.2.0/24'),
      given: { names: { ip: ['192.0.2.1'] } },
      twin: { names: { ip: ['::ffff:192.0.2.1'] } },
    },
    {
      name: 'an IPv6 rule does not hold for IPv4',
      rule: ip('::ffff:0:0/96'),
      given: { names: { ip: ['::ffff:192.0.2.1'] } },
      twin: { names: { ip: ['192.0.2.1'] } },
    },
    {
      name: 'I-07: not a dNSName that looks like one',
      rule: ip('192.0.2.1'),
      given: { names: { ip: ['192.0.2.1'] } },
      twin: { names: { dns: ['192.0.2.1'] } },
    },
  ])

  test.each<[string, RegExp]>([
    ['10.0.0.0/0', /would hold for every address/],
    ['::/0', /would hold for every address/],
    ['10.0.0.7/8', /is an address inside of its network/],
    ['2001:db8::1/32', /is an address inside of its network/],
    ['10.0.0.0/33', /more than 32 bits/],
    ['10.0.0', /neither an address nor a network/],
    ['010.0.0.1', /neither an address nor a network/],
    ['fe80::1%eth0', /neither an address nor a network/],
    ['10.0.0.0/8/8', /neither an address nor a network/],
    ['10.0.0.0/', /neither an address nor a network/],
  ])('%s is refused', (given, says) => {
    expect(thrownBy(() => rules.ip(given))).toMatch(says)
  })
})

describe('upn', () => {
  const alice = () => rules.upn('alice@corp.test')
  both([
    {
      name: 'ASCII in any case',
      rule: alice,
      given: { names: { upn: ['Alice@CORP.test'] } },
      twin: { names: { upn: ['alice@corp.test2'] } },
    },
    {
      name: 'I-06: other letters as they are',
      rule: () => rules.upn('zoë@corp.test'),
      given: { names: { upn: ['ZOë@corp.test'] } },
      twin: { names: { upn: ['zoË@corp.test'] } },
    },
    {
      name: 'I-06: not what only Unicode lower case makes ASCII',
      rule: () => rules.upn('k@corp.test'),
      given: { names: { upn: ['K@corp.test'] } },
      twin: { names: { upn: ['\u212a@corp.test'] } },
    },
    {
      name: 'I-07: not an email',
      rule: alice,
      given: { names: { upn: ['alice@corp.test'] } },
      twin: { names: { email: ['alice@corp.test'] } },
    },
  ])
  test('what is no user principal name is refused', () => {
    expect(thrownBy(() => rules.upn('alice'))).toMatch(/is not a user principal name — user@domain/)
  })
})

describe('SPIFFE', () => {
  const billing = () => rules.spiffeId('spiffe://acme.test/billing/*')
  const uri = (...names: string[]): IssueOptions => ({ names: { uri: names } })
  both([
    {
      name: 'below a path',
      rule: billing,
      given: uri('spiffe://acme.test/billing/api/v2'),
      twin: uri('spiffe://acme.test/billing'),
    },
    {
      name: 'by whole segments',
      rule: billing,
      given: uri('spiffe://acme.test/billing/a'),
      twin: uri('spiffe://acme.test/billing2/a'),
    },
    {
      name: 'of the trust domain',
      rule: billing,
      given: uri('spiffe://acme.test/billing/a'),
      twin: uri('spiffe://evil.test/billing/a'),
    },
    {
      name: 'I-08: not encoded',
      rule: billing,
      given: uri('spiffe://acme.test/billing/a'),
      twin: uri('spiffe://acme.test/billing/..%2fadmin'),
    },
    {
      name: 'I-08: not around',
      rule: billing,
      given: uri('spiffe://acme.test/billing/a'),
      twin: uri('spiffe://acme.test/billing/../admin'),
    },
    {
      name: 'the only URI',
      rule: billing,
      given: uri('spiffe://acme.test/billing/a'),
      twin: uri('spiffe://acme.test/billing/a', 'urn:x:y'),
    },
    {
      name: 'a trust domain',
      rule: () => rules.trustDomain('acme.test'),
      given: uri('spiffe://acme.test/x'),
      twin: uri('spiffe://sub.acme.test/x'),
    },
    {
      name: 'a trust domain as an ID',
      rule: () => rules.trustDomain('spiffe://acme.test'),
      given: uri('spiffe://acme.test/x'),
      twin: uri('spiffe://acme.test.evil/x'),
    },
  ])
  test.each(['Acme.test', 'acme.test/x', 'spiffe://acme.test/x', 'acme:443', '*', 'spiffe://'])(
    'the trust domain %s is refused',
    (given) => {
      expect(thrownBy(() => rules.trustDomain(given))).toMatch(/is not a trust domain/)
    },
  )
})

describe('I-10: serialNumber', () => {
  const intermediate = () => rules.issuedBy(pki.intermediate.certificate.pem)
  const serial = (text: string) => () => rules.serialNumber(text, intermediate())
  both([
    {
      name: 'ignores colons and case',
      rule: serial('4f:3A:01'),
      given: { serialNumber: '4F3A01' },
      twin: { serialNumber: '4F3A02' },
    },
    {
      name: 'ignores zeros in front',
      rule: serial('0x0001'),
      given: { serialNumber: '01' },
      twin: { serialNumber: '10' },
    },
    {
      name: 'ignores the sign octet',
      rule: serial('00:ff'),
      given: { serialNumber: '00FF' },
      twin: { serialNumber: '-01' },
    },
    {
      name: 'more than a number can hold',
      rule: serial('7fffffffffffffffffffffffffffffffffffffff'),
      given: { serialNumber: '7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF' },
      twin: { serialNumber: '7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFE' },
    },
  ])

  test('of another issuer is another certificate', async () => {
    const trust = [pki.trust, stranger.certificate.pem]
    const twin = await identityOf(await stranger.issue({ serialNumber: '0A' }), { trust })
    expect(await holds(serial('0A')(), await identityOf(await pki.issue({ serialNumber: '0A' }), { trust }))).toBe(true)
    expect(await holds(serial('0A')(), twin)).toBe(false)
    expect(await hintOf(serial('0A')(), twin)).toMatch(/^it was issued by "CN=Test Root CA"/)
  })

  test('in decimal gets the number to write', async () => {
    expect(await hintOf(serial('255')(), await of({ serialNumber: '00FF' }))).toBe(
      'that is its serial number in decimal — write it in hexadecimal: FF',
    )
  })

  test('without an issuer, with a rule of something else, and in no hexadecimal is refused', () => {
    const make = rules.serialNumber as (...given: unknown[]) => Rule
    for (const issuer of [undefined, null, 'CN=x', {}, rules.commonName('a'), rules.any(intermediate())]) {
      expect(thrownBy(() => make('0A', issuer))).toMatch(/whose\? Two CAs may give the same number/)
    }
    expect(thrownBy(() => make('0G', intermediate()))).toMatch(/is not a serial number in hexadecimal/)
    expect(thrownBy(() => make('0'.repeat(42) + 'F'.repeat(41), intermediate()))).toMatch(/is not a serial number/)
  })
})

describe('I-02: issuedBy', () => {
  test('the CA, by certificate and by fingerprint; not its namesake', async () => {
    const partner = await createTestAuthority({ now: noon, subject: 'CN=Partner CA' })
    const namesake = await createTestAuthority({ now: noon, subject: 'CN=Partner CA' })
    const trust = [partner.certificate.pem, namesake.certificate.pem]
    const alice = await identityOf(await partner.issue({ subject: 'CN=alice' }), { trust })
    const twin = await identityOf(await namesake.issue({ subject: 'CN=alice' }), { trust })
    const fingerprint = alice.anchor.fingerprint
    for (const given of [partner.certificate.pem, partner.certificate.der, fingerprint]) {
      expect(await holds(rules.issuedBy(given), alice)).toBe(true)
      expect(await holds(rules.issuedBy(given), twin)).toBe(false)
    }
  })

  test('a path is not a fingerprint, and the error says what reads it', () => {
    for (const path of ['./ca.pem', 'ca.pem', 'C:\\ca']) {
      expect(() => rules.issuedBy(path)).toThrow(/looks like the path of a file — issuedBy\(readFileSync\(…\)\)/)
    }
    expect(() => rules.issuedBy('3f9a')).toThrow(/is not SHA-256/)
  })

  test('the CA next to the client, not the root above it', async () => {
    const identity = await of({})
    expect(await holds(rules.issuedBy(pki.intermediate.certificate.pem), identity)).toBe(true)
    expect(await holds(rules.issuedBy(pki.root.certificate.pem), identity)).toBe(false)
    expect(await hintOf(rules.issuedBy(pki.root.certificate.pem), identity)).toMatch(
      /it was issued by "CN=Test Intermediate CA"/,
    )
  })

  test('a CA that was cross-signed is the same CA by its certificate, so that a denial cannot be escaped by another path', async () => {
    const other = await createTestAuthority({ now: noon, subject: 'CN=Other Root' })
    const cross = await other.crossSign(pki.intermediate)
    const alice = await pki.issue()
    const identity = await identityOf(
      { certificate: alice.certificate, chain: [cross] },
      { trust: other.certificate.pem },
    )
    expect(await holds(rules.issuedBy(pki.intermediate.certificate.pem), identity)).toBe(true)
    const own = (await of({})).issuerCertificate?.fingerprint as string
    expect(await holds(rules.issuedBy(own), identity)).toBe(false)
  })

  test('nobody issued a pinned certificate', async () => {
    const device = await createSelfSigned({ notBefore: fromNoon(-hour), notAfter: fromNoon(hour) })
    const identity = await identityOf(device, { trust: { pinned: device.certificate.pem } })
    expect(identity.issuerCertificate).toBeUndefined()
    expect(await holds(rules.issuedBy(device.fingerprint), identity)).toBe(false)
    expect(await hintOf(rules.issuedBy(device.fingerprint), identity)).toMatch(/the certificate is pinned/)
  })

  test('what is no CA certificate is refused', async () => {
    const alice = await pki.issue()
    expect(thrownBy(() => rules.issuedBy(alice.certificate.pem))).toMatch(/not a CA certificate/)
    expect(thrownBy(() => rules.issuedBy(pki.trust + pki.intermediate.certificate.pem))).toMatch(
      /holds 2 certificates, expected one CA/,
    )
    expect(thrownBy(() => rules.issuedBy('77:D4:0B:3C:11:9C:E5:0A:6B:71:0B:3C:11:9C:E5:0A:6B:71:0B:3C'))).toMatch(
      /issuedBy\(.*is SHA-1 \(20 bytes\)/,
    )
  })
})

describe('keys, usages and times', () => {
  test('a pin that begins or ends like its prefix is read whole, whatever prefix it has', () => {
    const pins = ['/', '//', 'sha256/', 'sha256//', 'A'].map((start) => `${start.padEnd(42, 'b')}A=`)
    for (const pin of pins) {
      const hex = Buffer.from(pin, 'base64').toString('hex')
      for (const given of [pin, `sha256/${pin}`, `sha256//${pin}`, hex]) {
        expect(rules.publicKeyPin(given).description).toBe(`publicKeyPin("${pin}")`)
      }
      for (const given of [`sha256///${pin}`, `/${pin}`, `sha256${pin}`, `sha256/sha256/${pin}`, pin.slice(1)])
        expect(thrownBy(() => rules.publicKeyPin(given))).toMatch(/is not SHA-256/)
    }
  })

  test('publicKeyPin: base64, RFC 7469 and hexadecimal; the key stays over a renewal', async () => {
    const alice = await pki.issue()
    const identity = await identityOf(alice, { trust: pki.trust })
    const renewed = await of({ key: alice })
    const other = await of({})
    const pin = identity.publicKeyPin
    for (const given of [pin, `sha256/${pin}`, `sha256//${pin}`, Buffer.from(pin, 'base64').toString('hex')]) {
      expect(await holds(rules.publicKeyPin(given), identity)).toBe(true)
      expect(await holds(rules.publicKeyPin(given), renewed)).toBe(true)
      expect(await holds(rules.publicKeyPin(given), other)).toBe(false)
    }
    for (const given of [
      pin.slice(1),
      `${pin.slice(0, -2)}==`,
      'AAAA',
      pin.replace(/.$/, '*'),
      identity.fingerprint.slice(2),
    ]) {
      expect(thrownBy(() => rules.publicKeyPin(given))).toMatch(/is not SHA-256 in base64 \(44 characters\)/)
    }
  })

  both([
    {
      name: 'extendedKeyUsage by name',
      rule: () => rules.extendedKeyUsage('emailProtection'),
      given: { extendedKeyUsage: ['clientAuth', '1.3.6.1.5.5.7.3.4'] },
      twin: { extendedKeyUsage: ['clientAuth'] },
    },
    {
      name: 'extendedKeyUsage by identifier',
      rule: () => rules.extendedKeyUsage('1.3.6.1.4.1.99999.1'),
      given: { extendedKeyUsage: ['clientAuth', '1.3.6.1.4.1.99999.1'] },
      twin: { extendedKeyUsage: ['clientAuth', 'any'] },
    },
    {
      name: 'keyAlgorithm by curve',
      rule: () => rules.keyAlgorithm('P-384'),
      given: { keyAlgorithm: 'P-384' },
      twin: { keyAlgorithm: 'P-256' },
    },
    {
      name: 'keyAlgorithm by family',
      rule: () => rules.keyAlgorithm('RSA', 'EC'),
      given: { keyAlgorithm: 'P-256' },
      twin: { keyAlgorithm: 'Ed25519' },
    },
    {
      name: 'keyAlgorithm with so many bits',
      rule: () => rules.keyAlgorithm('RSA-3072'),
      given: { keyAlgorithm: 'RSA-3072' },
      twin: { keyAlgorithm: 'RSA-2048' },
    },
    {
      name: 'maximumLifetime',
      rule: () => rules.maximumLifetime('2h'),
      given: { notBefore: fromNoon(-hour), notAfter: fromNoon(hour) },
      twin: { notBefore: fromNoon(-hour), notAfter: fromNoon(hour + 1000) },
    },
    {
      name: 'validFor',
      rule: () => rules.validFor('60m'),
      given: { notAfter: fromNoon(hour) },
      twin: { notAfter: fromNoon(hour - 1000) },
    },
    {
      name: 'extension by its octets',
      rule: () => rules.extension('1.3.6.1.4.1.99999.7', Buffer.from('0101ff', 'hex')),
      given: { extensions: [{ oid: '1.3.6.1.4.1.99999.7', value: Buffer.from('0101ff', 'hex') }] },
      twin: { extensions: [{ oid: '1.3.6.1.4.1.99999.7', value: Buffer.from('010100', 'hex') }] },
    },
    {
      name: 'extension by a predicate',
      rule: () => rules.extension('1.3.6.1.4.1.99999.7', (der, critical) => der[2] === 0xff && !critical),
      given: { extensions: [{ oid: '1.3.6.1.4.1.99999.7', value: Buffer.from('0101ff', 'hex') }] },
      twin: { extensions: [{ oid: '1.3.6.1.4.1.99999.8', value: Buffer.from('0101ff', 'hex') }] },
    },
  ])

  test('validFor is asked at every moment anew, and refuses where there is none', async () => {
    const identity = await of({ notAfter: fromNoon(2 * hour) })
    const rule = rules.validFor('1h')
    expect(rule.isOfIdentity).toBe(false)
    expect(await holds(rule, identity, fromNoon(hour).getTime())).toBe(true)
    expect(await holds(rule, identity, fromNoon(hour).getTime() + 1)).toBe(false)
    expect((await rule.evaluate(identity, undefined)).holds).toBe(false)
    expect(await holds(rule, identity, Number.NaN)).toBe(false)
  })

  test('C-05: a predicate of an extension holds for true only', async () => {
    const identity = await of({ extensions: [{ oid: '1.3.6.1.4.1.99999.7', value: Buffer.from('0101ff', 'hex') }] })
    const given = (answer: () => unknown) => rules.extension('1.3.6.1.4.1.99999.7', answer as () => boolean)
    const throwing = () => {
      throw new Error('x')
    }
    const reasons = []
    for (const answer of [() => true, () => false, () => 1, async () => true, () => undefined, throwing]) {
      const outcome = await given(answer).evaluate(identity, undefined)
      reasons.push(outcome.holds || outcome.reason)
    }
    expect(reasons).toEqual([true, 'did-not-hold', 'not-true', 'not-true', 'not-true', 'threw'])
  })

  test('an extension is a copy: a predicate that writes to it changes nothing', async () => {
    const identity = await of({ extensions: [{ oid: '1.3.6.1.4.1.99999.7', value: Buffer.from('0101ff', 'hex') }] })
    identity.extension('1.3.6.1.4.1.99999.7')?.value.fill(0)
    expect(identity.extension('1.3.6.1.4.1.99999.7')).toEqual({ critical: false, value: Uint8Array.of(1, 1, 255) })
    expect(identity.extension('1.2.3')).toBeUndefined()
  })

  test.each<[string, () => Rule, RegExp]>([
    ['a usage that is none', () => rules.extendedKeyUsage('clientauth'), /is no known usage/],
    ['a key that is none', () => rules.keyAlgorithm('P-25'), /Did you mean "P-256"\?/],
    ['a key of few bits', () => rules.keyAlgorithm('RSA-1'), /is no known kind of key/],
    ['no key', () => (rules.keyAlgorithm as () => Rule)(), /expected a text, got nothing/],
    ['a number for a duration', () => rules.maximumLifetime(90 as never), /expected a duration/],
    ['a duration without unit', () => rules.maximumLifetime('90'), /expected a duration/],
    ['a duration of nothing', () => rules.validFor('0d'), /expected a duration/],
    ['no duration', () => rules.validFor(undefined as never), /expected a duration/],
    ['an extension that is none', () => rules.extension('1.2.x', () => true), /is not an object identifier/],
    [
      'an extension without a predicate',
      () => rules.extension('1.2.3', undefined as never),
      /expected a function of its octets/,
    ],
  ])('%s is refused', (_, make, says) => {
    expect(thrownBy(make)).toMatch(says)
    expect(make).toThrow(ClientCertConfigError)
  })
})

describe('listed', () => {
  const folder = temporaryFolder()
  let alice: TestCredential
  let bob: TestCredential
  let identities: { alice: ClientIdentity; bob: ClientIdentity }
  beforeAll(async () => {
    alice = await pki.issue({ subject: 'CN=alice' })
    bob = await pki.issue({ subject: 'CN=bob' })
    const trust = pki.trust
    identities = { alice: await identityOf(alice, { trust }), bob: await identityOf(bob, { trust }) }
  })
  const verdicts = async (rule: Rule) => [await holds(rule, identities.alice), await holds(rule, identities.bob)]

  test('who is in the directory, now; an empty directory is nobody', async () => {
    mkdirSync(folder('d'))
    const rule = rules.listed({ directory: folder('d'), watch: false })
    expect(await verdicts(rule)).toEqual([false, false])
    writeFileSync(folder('d', 'alice.pem'), alice.certificate.pem)
    expect(await verdicts(rule)).toEqual([false, false])
    await rule.reload()
    expect(await verdicts(rule)).toEqual([true, false])
    writeFileSync(folder('d', 'bob.der'), bob.certificate.der)
    await rule.reload()
    expect(await verdicts(rule)).toEqual([true, true])
    rmSync(folder('d', 'alice.pem'))
    rmSync(folder('d', 'bob.der'))
    await rule.reload()
    expect(await verdicts(rule)).toEqual([false, false])
    expect(await hintOf(rule, identities.alice)).toMatch(/is not among its 0 certificates/)
  })

  test('C-02: a list that does not read whole changes nothing', async () => {
    writeFileSync(folder('list.pem'), alice.certificate.pem)
    const rule = rules.listed({ file: folder('list.pem'), watch: false })
    writeFileSync(folder('list.pem'), bob.certificate.pem + alice.certificate.pem.slice(0, -40))
    await expect(rule.reload()).rejects.toThrow(ClientCertConfigError)
    expect(await verdicts(rule)).toEqual([true, false])
  })

  test('a watched file is read again', async () => {
    jest.useFakeTimers()
    writeFileSync(folder('watched.pem'), alice.certificate.pem)
    const rule = rules.listed({ file: folder('watched.pem') })
    writeFileSync(folder('watched.pem'), `${bob.certificate.pem}\n`)
    await jest.advanceTimersByTimeAsync(2_000)
    jest.useRealTimers()
    expect(await verdicts(rule)).toEqual([false, true])
    rule.close()
  })

  test('a load that has not come yet, and one that failed, refuse', async () => {
    let give: (content: ListedContent) => void = () => {}
    const pending = rules.listed({ load: () => new Promise<ListedContent>((resolve) => (give = resolve)) })
    expect(await pending.evaluate(identities.alice, undefined)).toMatchObject({ holds: false, reason: 'threw' })
    expect((await rules.not(pending).evaluate(identities.alice, undefined)).holds).toBe(false)
    give([alice.certificate.pem])
    await new Promise((resolve) => setImmediate(resolve))
    expect(await verdicts(pending)).toEqual([true, false])
    const failed = rules.listed({ load: async () => Promise.reject(new Error('database')) })
    await new Promise((resolve) => setImmediate(resolve))
    expect(await verdicts(failed)).toEqual([false, false])
  })

  test('two loads that overtake each other: the later one stays', async () => {
    const gives: ((content: ListedContent) => void)[] = []
    const rule = rules.listed({ load: () => new Promise<ListedContent>((resolve) => gives.push(resolve)) })
    const second = rule.reload()
    gives[1]?.(bob.certificate.der)
    await second
    gives[0]?.(alice.certificate.der)
    await new Promise((resolve) => setImmediate(resolve))
    expect(await verdicts(rule)).toEqual([false, true])
  })

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /expected \{ directory \}/],
    ['an unknown option', { directory: 'x', wach: true }, /unknown option "wach"\. Did you mean "watch"\?/],
    ['both', { directory: 'x', file: 'y' }, /unknown option "file"/],
    ['no path', { file: undefined }, /file is a path/],
    ['no directory', { directory: './does-not-exist' }, /cannot read \.\/does-not-exist \(ENOENT\)/],
    ['a load that gives nothing', { load: () => undefined }, /load gave nothing.*nobody is \[\]/],
    ['a load of what is none', { load: () => ['x'] }, /listed: load, item 1/],
    ['a refresh too fast', { load: () => [], refresh: 10 }, /refresh is 10/],
  ])('%s is refused at construction', (_, given, says) => {
    expect(thrownBy(() => rules.listed(given as never))).toMatch(says)
  })
})
