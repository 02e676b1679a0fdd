import { beforeAll, describe, expect, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { rules } from '../../src/index.js'
import type { Rule } from '../../src/rules/rule.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type IssueOptions,
  type TestAuthority,
  type TestPki,
} from '../../src/testing.js'
import { identityOf, noon, seq, thrownBy, tlv, utf8 } from '../support/pki.js'

let pki: TestPki
let partner: TestAuthority
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  partner = await createTestAuthority({ now: noon, subject: 'CN=Partner Root' })
})

const of = async (options: IssueOptions): Promise<ClientIdentity> =>
  identityOf(await pki.issue(options), { trust: pki.trust })
const holds = async (rule: Rule, identity: ClientIdentity) => (await rule.evaluate(identity, undefined)).holds

interface Row {
  name: string
  rule: () => Rule
  given: IssueOptions
  /** The twin: one thing changed, and the rule does not hold. */
  twin: IssueOptions
}

const both = (rows: Row[]) =>
  test.each(rows)('$name', async ({ rule, given, twin }) => {
    expect(await holds(rule(), await of(given))).toBe(true)
    expect(await holds(rule(), await of(twin))).toBe(false)
  })

describe('commonName', () => {
  const admin = () => rules.commonName('admin')
  both([
    { name: 'exactly this', rule: admin, given: { subject: 'CN=admin' }, twin: { subject: 'CN=admins' } },
    { name: 'in its case', rule: admin, given: { subject: 'CN=admin,O=Acme' }, twin: { subject: 'CN=Admin,O=Acme' } },
    {
      name: 'without more spaces',
      rule: () => rules.commonName('a b'),
      given: { subject: 'CN=a b' },
      twin: { subject: 'CN=a  b' },
    },
    {
      name: 'I-01: not in a SAN',
      rule: admin,
      given: { subject: 'CN=admin' },
      twin: { subject: 'CN=alice', names: { dns: ['admin'] } },
    },
    {
      name: 'I-01: not instead of a SAN, which changes nothing',
      rule: admin,
      given: { subject: 'CN=admin', names: { dns: ['x'] } },
      twin: { subject: 'O=admin', names: { dns: ['admin'] } },
    },
    { name: 'I-04: the only one', rule: admin, given: { subject: 'CN=admin' }, twin: { subject: 'CN=admin,CN=alice' } },
    {
      name: 'I-04: the only one, the other order',
      rule: admin,
      given: { subject: 'CN=admin' },
      twin: { subject: 'CN=alice,CN=admin' },
    },
    {
      name: 'I-04: the only one of its RDN',
      rule: admin,
      given: { subject: 'CN=admin+OU=x' },
      twin: { subject: 'CN=admin+CN=alice' },
    },
    {
      name: 'I-04: twice the same is two',
      rule: admin,
      given: { subject: 'CN=admin' },
      twin: { subject: 'CN=admin,CN=admin' },
    },
    {
      name: 'I-04: no part of a value',
      rule: admin,
      given: { subject: 'CN=admin,O=x' },
      twin: { subject: 'O=x\\,CN\\=admin' },
    },
    { name: 'I-06: no homoglyph', rule: admin, given: { subject: 'CN=admin' }, twin: { subject: 'CN=\u0430dmin' } },
    { name: 'I-06: no full width', rule: admin, given: { subject: 'CN=admin' }, twin: { subject: 'CN=ａｄｍｉｎ' } },
    {
      name: 'I-06: no zero-width character',
      rule: admin,
      given: { subject: 'CN=admin' },
      twin: { subject: 'CN=ad\u200bmin' },
    },
    { name: 'I-06: no dotless i', rule: admin, given: { subject: 'CN=admin' }, twin: { subject: 'CN=adm\u0131n' } },
    {
      name: 'I-06: composed is not decomposed',
      rule: () => rules.commonName('Zo\u00eb'),
      given: { subject: 'CN=Zo\u00eb' },
      twin: { subject: 'CN=Zoe\u0308' },
    },
    {
      name: 'I-11: __proto__ is a name',
      rule: () => rules.commonName('__proto__'),
      given: { subject: 'CN=__proto__' },
      twin: { subject: 'CN=x' },
    },
  ])

  test('hints: the name is a dNSName; there are two; it is another', async () => {
    for (const subject of ['O=x', 'CN=x']) {
      expect(await hintOf(admin(), { subject, names: { dns: ['admin'] } })).toBe(
        'the certificate has that name as subjectAltName dNSName — dnsName("admin")',
      )
    }
    expect(await hintOf(admin(), { subject: 'CN=admin,CN=x' })).toBe(
      'the certificate has 2 common names — issue it with one',
    )
    expect(await hintOf(admin(), { subject: 'CN=alice' })).toBe(
      'the certificate has "alice" — allow it in the rule, or issue another certificate',
    )
    expect(await hintOf(admin(), { subject: 'O=x' })).toMatch(/has no common name/)
  })
})

async function hintOf(rule: Rule, given: IssueOptions): Promise<string | undefined> {
  const outcome = await rule.evaluate(await of(given), undefined)
  return outcome.holds ? 'holds' : outcome.hint
}

describe('subject', () => {
  const alice = () => rules.subject('CN=alice,O=Acme')
  both([
    {
      name: 'the whole of it',
      rule: alice,
      given: { subject: 'CN=alice,O=Acme' },
      twin: { subject: 'CN=alice,O=Acme,C=DE' },
    },
    { name: 'not a part of it', rule: alice, given: { subject: 'CN=alice,O=Acme' }, twin: { subject: 'CN=alice' } },
    {
      name: 'case and runs of spaces do not matter, spaces do',
      rule: () => rules.subject('CN=alice b'),
      given: { subject: 'CN=ALICE   B' },
      twin: { subject: 'CN=aliceb' },
    },
    {
      name: 'the order does',
      rule: alice,
      given: { subject: 'cn=alice,o=acme' },
      twin: { subject: 'O=Acme,CN=alice' },
    },
    {
      name: 'one RDN of two is not two',
      rule: alice,
      given: { subject: 'CN=alice,O=Acme' },
      twin: { subject: 'CN=alice+O=Acme' },
    },
    {
      name: 'within an RDN the order does not',
      rule: () => rules.subject('O=Acme+CN=alice'),
      given: { subject: 'CN=alice+O=Acme' },
      twin: { subject: 'CN=alice,O=Acme' },
    },
    {
      name: 'I-04: a comma within a value',
      rule: () => rules.subject('CN=alice\\,O=Acme'),
      given: { subject: 'CN=alice\\,O\\=Acme' },
      twin: { subject: 'CN=alice,O=Acme' },
    },
    {
      name: 'the attribute type does',
      rule: () => rules.subject('CN=alice'),
      given: { subject: 'CN=alice' },
      twin: { subject: 'OU=alice' },
    },
    {
      name: 'I-06: no full width',
      rule: alice,
      given: { subject: 'CN=alice,O=Acme' },
      twin: { subject: 'CN=ａｌｉｃｅ,O=Acme' },
    },
    {
      name: 'I-06: no homoglyph',
      rule: alice,
      given: { subject: 'CN=alice,O=Acme' },
      twin: { subject: 'CN=\u0430lice,O=Acme' },
    },
    {
      name: 'I-06: no dotless i for i',
      rule: () => rules.subject('CN=admin'),
      given: { subject: 'CN=admin' },
      twin: { subject: 'CN=adm\u0131n' },
    },
    {
      name: 'I-06: no Kelvin sign for k',
      rule: () => rules.subject('CN=kim'),
      given: { subject: 'CN=KIM' },
      twin: { subject: 'CN=\u212aim' },
    },
    {
      name: 'I-06: no zero-width character',
      rule: alice,
      given: { subject: 'CN=alice,O=Acme' },
      twin: { subject: 'CN=al\u200bice,O=Acme' },
    },
    {
      name: 'beyond ASCII, composed and decomposed are one',
      rule: () => rules.subject('CN=Zo\u00eb'),
      given: { subject: 'CN=Zoe\u0308' },
      twin: { subject: 'CN=Zoe' },
    },
  ])

  test('reads RFC 4514, spaces, and the words of .NET', async () => {
    const identity = await of({ subject: 'emailAddress=a@acme.test,CN=alice,ST=Bayern,O=Acme\\, Inc.,C=DE' })
    for (const written of [
      'emailAddress=a@acme.test,CN=alice,ST=Bayern,O=Acme\\, Inc.,C=DE',
      'E=a@acme.test, CN=alice, S=Bayern, O="Acme, Inc.", C=DE',
      '1.2.840.113549.1.9.1=a@acme.test, cn = ALICE, st = bayern, o = Acme\\2C Inc., c = de',
      'OID.1.2.840.113549.1.9.1=a@acme.test;CN=alice;ST=Bayern;O=Acme\\, Inc.;C=DE',
    ]) {
      expect([written, await holds(rules.subject(written), identity)]).toEqual([written, true])
    }
  })

  test('row 26: says so where the name is in reverse, and only there', async () => {
    expect(await hintOf(rules.subject('O = Acme, CN = alice'), { subject: 'CN=alice,O=Acme' })).toBe(
      'the certificate is that name in reverse — RFC 4514 writes "CN=alice,O=Acme"',
    )
    expect(await hintOf(alice(), { subject: 'CN=bob,O=Acme' })).toBe(
      'the certificate has "CN=bob,O=Acme" — allow it in the rule, or issue another certificate',
    )
  })
})

describe('issuerName and anchor', () => {
  test('the name of the direct issuer; its twin is the name of the root', async () => {
    const identity = await of({})
    expect(await holds(rules.issuerName('CN=Test Intermediate CA'), identity)).toBe(true)
    expect(await holds(rules.issuerName('CN=Test Root CA'), identity)).toBe(false)
  })

  test('I-02: anchor tells two CAs of one name apart, where the name alone does not', async () => {
    const double = await createTestAuthority({ now: noon, subject: 'CN=Partner Root' })
    const trust = { partners: partner.certificate.pem, others: double.certificate.pem }
    const [theirs, others] = [
      await identityOf(await partner.issue(), { trust }),
      await identityOf(await double.issue(), { trust }),
    ]
    const [byName, byAnchor] = [rules.issuerName('CN=Partner Root'), rules.anchor('partners')]
    expect([await holds(byName, theirs), await holds(byName, others)]).toEqual([true, true])
    expect([await holds(byAnchor, theirs), await holds(byAnchor, others)]).toEqual([true, false])
  })

  test('anchor is exact, and an anchor without a name has none', async () => {
    const identity = await identityOf(await partner.issue(), { trust: { partners: partner.certificate.pem } })
    for (const name of ['Partners', 'partner', 'undefined', 'pinned'])
      expect(await holds(rules.anchor(name), identity)).toBe(false)
    expect(await holds(rules.anchor('undefined'), await of({}))).toBe(false)
    const misspelt = await rules.anchor('partner').evaluate(identity, undefined)
    expect(!misspelt.holds && misspelt.hint).toBe('its anchor is "partners", is that a misspelling?')
    const unnamed = await rules.anchor('partners').evaluate(await of({}), undefined)
    expect(!unnamed.holds && unnamed.hint).toMatch(/its anchor has no name — trust: \{ NAME: /)
  })

  test('anchor("pinned") is a pin, and nothing else is', async () => {
    const device = await createSelfSigned({ notBefore: noon })
    const trust = { pinned: device.certificate.pem, internal: pki.trust }
    expect(await holds(rules.anchor('pinned'), await identityOf(device, { trust }))).toBe(true)
    expect(await holds(rules.anchor('pinned'), await identityOf(await pki.issue(), { trust }))).toBe(false)
  })
})

describe('dnsName', () => {
  const host = () => rules.dnsName('api.acme.test')
  both([
    {
      name: 'one of the names',
      rule: host,
      given: { names: { dns: ['a.test', 'api.acme.test'] } },
      twin: { names: { dns: ['a.test'] } },
    },
    {
      name: 'in any case',
      rule: host,
      given: { names: { dns: ['API.Acme.test'] } },
      twin: { names: { dns: ['APIx.Acme.test'] } },
    },
    {
      name: 'an operand in any case',
      rule: () => rules.dnsName('API.acme.TEST'),
      given: { names: { dns: ['api.acme.test'] } },
      twin: { names: { dns: ['api.acme.tes'] } },
    },
    {
      name: 'not a suffix',
      rule: host,
      given: { names: { dns: ['api.acme.test'] } },
      twin: { names: { dns: ['x.api.acme.test'] } },
    },
    {
      name: 'not a prefix',
      rule: host,
      given: { names: { dns: ['api.acme.test'] } },
      twin: { names: { dns: ['api.acme.test.evil.test'] } },
    },
    {
      name: 'I-08: a wildcard in the certificate is none',
      rule: host,
      given: { names: { dns: ['*.acme.test', 'api.acme.test'] } },
      twin: { names: { dns: ['*.acme.test'] } },
    },
    {
      name: 'I-01: not the common name',
      rule: host,
      given: { subject: 'CN=x', names: { dns: ['api.acme.test'] } },
      twin: { subject: 'CN=api.acme.test' },
    },
    {
      name: 'I-07: not a URI',
      rule: host,
      given: { names: { dns: ['api.acme.test'] } },
      twin: { names: { uri: ['https://api.acme.test'] } },
    },
    {
      name: 'I-07: not an email',
      rule: host,
      given: { names: { dns: ['api.acme.test'] } },
      twin: { names: { email: ['x@api.acme.test'] } },
    },
    {
      name: 'I-07: not a UPN',
      rule: host,
      given: { names: { dns: ['api.acme.test'] } },
      twin: { names: { upn: ['api.acme.test'] } },
    },
  ])

  test('hints: only in the subject; none at all; others', async () => {
    expect(await hintOf(host(), { subject: 'CN=API.acme.test' })).toBe(
      'the name is only in the subject — issue it as subjectAltName, or commonName(…)',
    )
    expect(await hintOf(host(), {})).toBe('the certificate has no such name — issue it with a subjectAltName')
    expect(await hintOf(host(), { names: { dns: ['a.test', 'b.test', 'c.test', 'd.test'] } })).toMatch(
      /has "a\.test", "b\.test", "c\.test", … — allow it/,
    )
  })
})

describe('uri', () => {
  both([
    {
      name: 'exactly this',
      rule: () => rules.uri('https://acme.test/a?b#c'),
      given: { names: { uri: ['https://acme.test/a?b#c'] } },
      twin: { names: { uri: ['https://acme.test/a?b'] } },
    },
    {
      name: '§7.4: scheme and host in any case, the path in its own',
      rule: () => rules.uri('https://acme.test/a'),
      given: { names: { uri: ['HTTPS://ACME.test/a'] } },
      twin: { names: { uri: ['https://acme.test/A'] } },
    },
    {
      name: 'no slash more',
      rule: () => rules.uri('https://acme.test/a'),
      given: { names: { uri: ['x:y', 'https://acme.test/a'] } },
      twin: { names: { uri: ['https://acme.test/a/'] } },
    },
    {
      name: 'no percent-decoding',
      rule: () => rules.uri('https://acme.test/a%2Fb'),
      given: { names: { uri: ['https://acme.test/a%2Fb'] } },
      twin: { names: { uri: ['https://acme.test/a/b'] } },
    },
    {
      name: 'no default port',
      rule: () => rules.uri('https://acme.test/'),
      given: { names: { uri: ['https://acme.test/'] } },
      twin: { names: { uri: ['https://acme.test:443/'] } },
    },
    {
      name: 'user information in its case',
      rule: () => rules.uri('https://Alice@acme.test/'),
      given: { names: { uri: ['https://Alice@ACME.test/'] } },
      twin: { names: { uri: ['https://alice@acme.test/'] } },
    },
    {
      name: 'a host that is user information of another',
      rule: () => rules.uri('https://acme.test/'),
      given: { names: { uri: ['https://acme.test/'] } },
      twin: { names: { uri: ['https://acme.test@evil.test/'] } },
    },
    {
      name: 'a URN in its case but for the scheme',
      rule: () => rules.uri('urn:uuid:AB'),
      given: { names: { uri: ['URN:uuid:AB'] } },
      twin: { names: { uri: ['urn:uuid:ab'] } },
    },
    {
      name: 'I-07: not a dNSName',
      rule: () => rules.uri('urn:x'),
      given: { names: { uri: ['urn:x'] } },
      twin: { names: { dns: ['urn-x'] } },
    },
  ])
})

describe('email', () => {
  const alice = () => rules.email('alice@acme.test')
  const smtpUtf8 = (text: string) => ({
    extensions: [{ oid: '2.5.29.17', value: seq(tlv(0xa0, tlv(6, [43, 6, 1, 5, 5, 7, 8, 9]), tlv(0xa0, utf8(text)))) }],
  })
  both([
    {
      name: '§7.5: the domain in any case, the local part in its own',
      rule: alice,
      given: { names: { email: ['alice@ACME.Test'] } },
      twin: { names: { email: ['Alice@acme.test'] } },
    },
    {
      name: 'not a subdomain',
      rule: alice,
      given: { names: { email: ['alice@acme.test'] } },
      twin: { names: { email: ['alice@x.acme.test'] } },
    },
    {
      name: 'no plus addressing',
      rule: alice,
      given: { names: { email: ['alice@acme.test'] } },
      twin: { names: { email: ['alice+x@acme.test'] } },
    },
    {
      name: 'I-07: not an emailAddress in the subject',
      rule: alice,
      given: { names: { email: ['alice@acme.test'] } },
      twin: { subject: 'emailAddress=alice@acme.test' },
    },
    {
      name: 'I-07: not a UPN',
      rule: alice,
      given: { names: { email: ['alice@acme.test'] } },
      twin: { names: { upn: ['alice@acme.test'] } },
    },
    {
      name: 'I-07: not a URI',
      rule: alice,
      given: { names: { email: ['alice@acme.test'] } },
      twin: { names: { uri: ['mailto:alice@acme.test'] } },
    },
    {
      name: 'I-06: beyond ASCII, composed is not decomposed',
      rule: () => rules.email('zo\u00eb@acme.test'),
      given: smtpUtf8('zo\u00eb@ACME.test'),
      twin: smtpUtf8('zoe\u0308@acme.test'),
    },
    {
      name: 'I-06: a homoglyph is another',
      rule: alice,
      given: { names: { email: ['alice@acme.test'] } },
      twin: smtpUtf8('\u0430lice@acme.test'),
    },
  ])
})

describe('spiffeId', () => {
  const api = () => rules.spiffeId('spiffe://acme.test/api')
  both([
    {
      name: 'exactly this',
      rule: api,
      given: { names: { uri: ['spiffe://acme.test/api'] } },
      twin: { names: { uri: ['spiffe://acme.test/api2'] } },
    },
    {
      name: 'I-08: not what is below it',
      rule: api,
      given: { names: { uri: ['spiffe://acme.test/api'] } },
      twin: { names: { uri: ['spiffe://acme.test/api/x'] } },
    },
    {
      name: 'in its case',
      rule: api,
      given: { names: { uri: ['spiffe://acme.test/api'] } },
      twin: { names: { uri: ['spiffe://acme.test/API'] } },
    },
    {
      name: 'the only URI',
      rule: api,
      given: { names: { uri: ['spiffe://acme.test/api'] } },
      twin: { names: { uri: ['spiffe://acme.test/api', 'urn:x'] } },
    },
    {
      name: 'of this trust domain',
      rule: api,
      given: { names: { uri: ['spiffe://acme.test/api'] } },
      twin: { names: { uri: ['spiffe://acme.test.evil/api'] } },
    },
  ])

  test('hints', async () => {
    expect(await hintOf(api(), { names: { uri: ['urn:x', 'urn:y'] } })).toBe(
      'the certificate has no SPIFFE ID (2 URI names) — issue an X509-SVID',
    )
    expect(await hintOf(api(), { names: { uri: ['spiffe://acme.test/x'] } })).toBe(
      'the certificate has "spiffe://acme.test/x" — allow it in the rule',
    )
  })
})

describe('I-09: fingerprint', () => {
  test('in hexadecimal of any case, with colons, as openssl prints it; its twin has one digit changed', async () => {
    const identity = await of({})
    const hex = identity.fingerprint
    const colons = (hex.toUpperCase().match(/../g) as string[]).join(':')
    const forms = [
      hex,
      hex.toUpperCase(),
      colons,
      colons.toLowerCase(),
      `sha256 Fingerprint=${colons}`,
      `SHA256 Fingerprint=${colons}`,
      `sha256:${hex}`,
      `SHA-256=${hex}`,
      ` ${hex}\n`,
    ]
    for (const form of forms) expect([form, await holds(rules.fingerprint(form), identity)]).toEqual([form, true])
    const other = hex.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
    expect(await holds(rules.fingerprint(other), identity)).toBe(false)
    const outcome = await rules.fingerprint(other).evaluate(identity, undefined)
    expect(!outcome.holds && outcome.hint).toBe(`the certificate is ${hex} — add it, or was it renewed?`)
  })

  const bytes = (count: number) => Buffer.alloc(count, 0x77)
  test.each<{ name: string; given: string; says: RegExp }>([
    {
      name: 'row 27: SHA-1 with colons',
      given: bytes(20)
        .toString('hex')
        .replace(/..(?=.)/g, '$&:'),
      says: /fingerprint\("77:77:77:77:…"\) is SHA-1 \(20 bytes\) — use SHA-256: openssl x509 -in client\.pem -noout -fingerprint -sha256/,
    },
    { name: 'row 27: SHA-1 without', given: bytes(20).toString('hex').toUpperCase(), says: /is SHA-1/ },
    {
      name: 'row 27: x5t#S256',
      given: bytes(32).toString('base64url'),
      says: /is base64url \(x5t#S256\) — write it in hexadecimal: 7{64}/,
    },
    {
      name: 'base64',
      given: bytes(32).toString('base64'),
      says: /is not SHA-256 \(32 bytes of hexadecimal\) — openssl x509/,
    },
    { name: 'SHA-512', given: bytes(64).toString('hex'), says: /is not SHA-256/ },
    { name: 'a digit too few', given: bytes(32).toString('hex').slice(1), says: /is not SHA-256/ },
    { name: 'a digit too many', given: `${bytes(32).toString('hex')}0`, says: /is not SHA-256/ },
    { name: 'a letter that is no digit', given: bytes(32).toString('hex').replace('7', 'g'), says: /is not SHA-256/ },
    { name: 'MD5', given: bytes(16).toString('hex'), says: /is not SHA-256/ },
  ])('$name is refused at construction', ({ given, says }) => {
    expect(thrownBy(() => rules.fingerprint(given))).toMatch(says)
  })
})

describe('operands that cannot be meant are refused at construction, with the fix', () => {
  const matchers = [
    'commonName',
    'subject',
    'issuerName',
    'dnsName',
    'uri',
    'email',
    'spiffeId',
    'fingerprint',
    'anchor',
    'directoryName',
    'ip',
    'upn',
    'trustDomain',
    'issuedBy',
    'serialNumber',
    'publicKeyPin',
    'certificatePolicy',
    'extendedKeyUsage',
    'keyAlgorithm',
    'extension',
  ] as const

  test.each(matchers)('C-09: %s of nothing, of an empty text and of what is no text', (name) => {
    const make = rules[name] as (operand?: unknown) => Rule
    for (const given of [undefined, null, '', ' ', '\t\n', 0, 1, true, {}, [], ['x'], /x/, () => 'x', Object('x')]) {
      expect(() => make(given)).toThrow(ClientCertConfigError)
    }
    expect(thrownBy(() => make())).toMatch(
      /expected a text, got nothing — an undefined value must not make a rule that admits others/,
    )
    expect(thrownBy(() => make(''))).toMatch(/got an empty string/)
  })

  test.each<{ name: string; rule: () => Rule; says: RegExp }>([
    ...['*', '*.*', 'a.*.acme.test', 'a*.acme.test', '*a.acme.test', '*.*.acme.test', '**.acme.test'].map((name) => ({
      name: `I-08: the wildcard ${name}`,
      rule: () => rules.dnsName(name),
      says: /"\*" stands for one whole label, in front/,
    })),
    { name: 'a wildcard of nothing', rule: () => rules.dnsName('*.'), says: /is not a host name/ },
    { name: 'a URL as host', rule: () => rules.dnsName('https://acme.test'), says: /is not a host name/ },
    { name: 'a host with a port', rule: () => rules.dnsName('acme.test:443'), says: /is not a host name/ },
    { name: 'a dot at the end', rule: () => rules.dnsName('acme.test.'), says: /is not a host name/ },
    { name: 'an underscore', rule: () => rules.dnsName('a_b.test'), says: /is not a host name/ },
    { name: 'a host beyond ASCII', rule: () => rules.dnsName('bücher.test'), says: /internationalised names as xn--…/ },
    {
      name: 'I-06: a host that only lower case makes ASCII',
      rule: () => rules.dnsName('\u212aube.test'),
      says: /is not a host name/,
    },
    { name: 'a relative URI', rule: () => rules.uri('/a'), says: /is not an absolute URI in ASCII/ },
    { name: 'a URI with a space', rule: () => rules.uri('urn:a b'), says: /percent-encoded/ },
    { name: 'a URI beyond ASCII', rule: () => rules.uri('https://\u0430cme.test/'), says: /percent-encoded/ },
    { name: 'a URI of a scheme only', rule: () => rules.uri('urn:'), says: /is not an absolute URI/ },
    { name: 'an email without a domain', rule: () => rules.email('alice'), says: /is not a mailbox — local@domain/ },
    { name: 'an email without a local part', rule: () => rules.email('@acme.test'), says: /is not a mailbox/ },
    { name: 'an email with a name', rule: () => rules.email('Alice <alice@acme.test>'), says: /is not a mailbox/ },
    { name: 'two emails', rule: () => rules.email('a@acme.test,b@acme.test'), says: /is not a mailbox/ },
    { name: 'an email with a wildcard', rule: () => rules.email('alice@*.test'), says: /is not a mailbox/ },
    {
      name: 'I-06: an email whose domain only lower case makes ASCII',
      rule: () => rules.email('alice@\u212aube.test'),
      says: /is not a mailbox/,
    },
    {
      name: 'a SPIFFE ID without a path',
      rule: () => rules.spiffeId('spiffe://acme.test'),
      says: /is not the SPIFFE ID of a workload — spiffe:\/\/trust-domain\/path/,
    },
    {
      name: 'a SPIFFE ID in capitals',
      rule: () => rules.spiffeId('spiffe://Acme.test/x'),
      says: /lower-case trust domain/,
    },
    {
      name: 'a whole trust domain as a SPIFFE ID',
      rule: () => rules.spiffeId('spiffe://acme.test/*'),
      says: /is the whole trust domain — trustDomain\("acme\.test"\)/,
    },
    {
      name: 'a SPIFFE ID with a wildcard in a segment',
      rule: () => rules.spiffeId('spiffe://acme.test/a*'),
      says: /is not the SPIFFE ID/,
    },
    {
      name: 'a slash DN',
      rule: () => rules.subject('/C=DE/O=Acme/CN=alice'),
      says: /is openssl's old form, in which "\/" is ambiguous — RFC 4514 writes "CN=alice,O=Acme,C=DE"/,
    },
    {
      name: 'a slash DN that is ambiguous',
      rule: () => rules.subject('/O=a/b/CN=c'),
      says: /ambiguous — RFC 4514 writes CN=…,O=…,C=…/,
    },
    {
      name: 'a DN without =',
      rule: () => rules.subject('alice'),
      says: /expected TYPE=value — openssl x509 -in client\.pem -noout -subject -nameopt RFC2253 prints it/,
    },
    { name: 'a DN of an unknown type', rule: () => rules.issuerName('XX=alice'), says: /unknown attribute type "XX"/ },
    { name: 'a DN with a bad escape', rule: () => rules.subject('CN=a\\zb'), says: /bad escape/ },
    { name: 'a DN with an open quotation', rule: () => rules.subject('CN="a'), says: /unclosed quotation mark/ },
    { name: 'a DN with a comma at the end', rule: () => rules.subject('CN=a,'), says: /expected TYPE=value/ },
  ])('$name', ({ rule, says }) => {
    const message = thrownBy(rule)
    expect(message).toMatch(/^ClientCertConfigError: /)
    expect(message).toMatch(says)
  })

  test('I-08: there is no rule that takes a pattern', async () => {
    const identity = await of({ subject: 'CN=alice', names: { dns: ['a.acme.test'] } })
    expect(await holds(rules.commonName('.*'), identity)).toBe(false)
    expect(await holds(rules.commonName('*'), identity)).toBe(false)
    expect(await holds(rules.anchor('*'), identity)).toBe(false)
    expect(await holds(rules.subject('CN=*'), identity)).toBe(false)
  })
})

test('a rule of an identity does not read the request, and says how it was written', () => {
  const rule = rules.any(rules.dnsName('a.test'), rules.commonName('a "b"'))
  expect(rule.isOfIdentity).toBe(true)
  expect(rule.description).toBe('any(dnsName("a.test"), commonName("a \\"b\\""))')
})
