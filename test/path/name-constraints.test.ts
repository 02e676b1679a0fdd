import { describe, expect, test } from '@jest/globals'
import {
  constructed,
  directory,
  dns,
  type Extension,
  ediParty,
  email,
  ia5,
  ip,
  name,
  nameConstraints,
  oid,
  otherName,
  printable,
  type Rdn,
  registeredId,
  type Subtrees,
  subtree,
  teletex,
  upn,
  uri,
  utf8,
  utf8Mailbox,
  x400,
} from '../support/path-der.js'
import { type Forged, forge, forgePath, type Plan, verdict } from '../support/path-forge.js'

const root = forge({ subject: 'Root' })

/** The verdict about one leaf below a CA with these constraints. */
function below(constraints: Subtrees, leaf: Plan, critical = true): Promise<string> {
  const [ca, end] = forgePath(root, { ca: true, extensions: [nameConstraints(constraints, critical)] }, leaf) as [
    Forged,
    Forged,
  ]
  return verdict(end, [ca], [root])
}

const saying = (violation: string, form?: string) =>
  expect.stringMatching(new RegExp(`^NAME_CONSTRAINTS: ${form ?? '\\w+'} ${violation}$`))

interface Row extends Subtrees {
  rule: string
  /** Each alone in a subjectAltName. */
  admits: readonly Uint8Array[]
  refuses: readonly Uint8Array[]
  because: 'excluded' | 'not-permitted' | 'not-supported'
}

const text = (der: Uint8Array) =>
  Buffer.from(der)
    .toString('latin1')
    .replace(/[^ -~]/g, '.')

function table(rows: readonly Row[]): void {
  test.each(rows)('$rule', async ({ admits, refuses, because, rule: _, ...constraints }) => {
    expect(admits.length + refuses.length).toBeGreaterThan(1)
    for (const names of admits) {
      expect(`${text(names)} ${await below(constraints, { names: [names] })}`).toBe(`${text(names)} accepted`)
    }
    for (const names of refuses) {
      const found = await below(constraints, { names: [names] })
      expect(`${text(names)} ${found}`).toMatch(new RegExp(` NAME_CONSTRAINTS: \\w+ ${because}$`))
    }
  })
}

/** What a constraint that cannot be given a meaning does to everything below it. */
function meaningless(rows: readonly { rule: string; base: Uint8Array; sound: Uint8Array; under: Uint8Array }[]): void {
  test.each(rows)('$rule', async ({ base, sound, under }) => {
    expect(await below({ permitted: [sound] }, { names: [under] })).toBe('accepted')
    expect(await below({ permitted: [base] }, { names: [under] })).toMatch(/^(EXTENSION|MALFORMED)/)
    // Excluded, it must not be passed over either.
    expect(await below({ excluded: [base] }, { names: [dns('elsewhere.test')] })).toMatch(/^(EXTENSION|MALFORMED)/)
  })
}

describe('dNSName', () => {
  table([
    {
      rule: 'a permitted domain holds itself and any number of labels to its left',
      permitted: [dns('example.com')],
      admits: [dns('example.com'), dns('a.example.com'), dns('c.b.a.example.com')],
      refuses: [dns('example.org'), dns('com'), dns('example.com.evil.test')],
      because: 'not-permitted',
    },
    {
      rule: 'a domain ends at a label, not in the middle of one',
      permitted: [dns('example.com')],
      admits: [dns('x.example.com')],
      refuses: [dns('xexample.com'), dns('x-example.com')],
      because: 'not-permitted',
    },
    {
      rule: 'an excluded domain ends at a label too',
      excluded: [dns('example.com')],
      admits: [dns('xexample.com'), dns('com')],
      refuses: [dns('x.example.com'), dns('example.com')],
      because: 'excluded',
    },
    {
      rule: 'the case of a permitted domain and of the name does not count',
      permitted: [dns('EXAMPLE.com')],
      admits: [dns('a.example.COM')],
      refuses: [dns('a.examp1e.COM')],
      because: 'not-permitted',
    },
    {
      rule: 'the case of an excluded domain and of the name does not count',
      excluded: [dns('Evil.Example.com')],
      admits: [dns('good.example.com')],
      refuses: [dns('eVIL.eXAMPLE.COM'), dns('x.EVIL.example.com')],
      because: 'excluded',
    },
    {
      rule: 'the empty permitted domain holds every name',
      permitted: [dns('')],
      excluded: [dns('evil.test')],
      admits: [dns('anything.at.all'), dns('*.anything')],
      refuses: [dns('evil.test')],
      because: 'excluded',
    },
    {
      rule: 'the empty excluded domain holds every name',
      excluded: [dns('')],
      admits: [email('a@example.com')],
      refuses: [dns('anything.at.all'), dns('com'), dns('*.com')],
      because: 'excluded',
    },
    {
      rule: 'what is excluded counts more than what is permitted',
      permitted: [dns('example.com')],
      excluded: [dns('evil.example.com')],
      admits: [dns('good.example.com')],
      refuses: [dns('evil.example.com'), dns('a.evil.example.com')],
      because: 'excluded',
    },
    {
      rule: 'one of several permitted domains is enough',
      permitted: [dns('a.test'), dns('b.test')],
      admits: [dns('x.a.test'), dns('x.b.test')],
      refuses: [dns('x.c.test')],
      because: 'not-permitted',
    },
    {
      rule: 'CVE-2025-61727: a wildcard that could stand for an excluded name is excluded',
      excluded: [dns('foo.example.com')],
      admits: [dns('*.bar.example.com'), dns('bar.example.com'), dns('*.com')],
      refuses: [dns('*.example.com'), dns('*.foo.example.com'), dns('*.EXAMPLE.com')],
      because: 'excluded',
    },
    {
      rule: 'RUSTSEC-2026-0099: a wildcard is permitted only where all it stands for is',
      permitted: [dns('foo.example.com')],
      admits: [dns('*.foo.example.com'), dns('foo.example.com')],
      refuses: [dns('*.example.com'), dns('*.com')],
      because: 'not-permitted',
    },
    {
      rule: 'a wildcard stands for one label, so that an excluded name further down is out of its reach',
      excluded: [dns('a.b.example.com')],
      admits: [dns('*.example.com'), dns('*.c.example.com')],
      refuses: [dns('*.b.example.com'), dns('*.a.b.example.com')],
      because: 'excluded',
    },
    {
      rule: 'golang 76935: an excluded domain of one label leaves wildcards elsewhere alone',
      excluded: [dns('internal')],
      admits: [dns('*.example.com'), dns('*.com')],
      refuses: [dns('*.internal'), dns('*.corp.internal')],
      because: 'excluded',
    },
    {
      rule: 'a permitted domain is no matter of a certificate without domains',
      permitted: [dns('example.com')],
      admits: [email('a@elsewhere.test'), uri('https://elsewhere.test/'), ip('0a000001'), registeredId('1.2.3')],
      refuses: [dns('elsewhere.test')],
      because: 'not-permitted',
    },
  ])

  const dnsRow = (rule: string, base: string) => ({
    rule,
    base: dns(base),
    sound: dns('example.com'),
    under: dns('a.example.com'),
  })
  meaningless([
    dnsRow('a leading dot is outside the RFC and refuses the path', '.example.com'),
    dnsRow('a trailing dot refuses the path', 'example.com.'),
    dnsRow('a wildcard is no constraint and refuses the path', '*.example.com'),
    dnsRow('an empty label refuses the path', 'example..com'),
    dnsRow('an underscore refuses the path', '_tcp.example.com'),
    dnsRow('an octet outside ASCII refuses the path', 'ex\u00e4mple.com'),
  ])

  test('every name of a certificate has to be permitted, the last one as well', async () => {
    const permitted = [dns('example.com')]
    const names = ['a', 'b', 'c'].map((label) => dns(`${label}.example.com`))
    expect(await below({ permitted }, { names })).toBe('accepted')
    expect(await below({ permitted }, { names: [...names, dns('example.org')] })).toEqual(saying('not-permitted'))
  })

  test('a common name that looks like a domain is no dNSName', async () => {
    const permitted = [dns('example.com')]
    expect(await below({ permitted }, { subject: 'evil.test' })).toBe('accepted')
    expect(await below({ permitted }, { subject: 'evil.test', names: [dns('evil.test')] })).toEqual(
      saying('not-permitted', 'dNSName'),
    )
  })
})

describe('rfc822Name', () => {
  table([
    {
      rule: 'a permitted mailbox holds itself; the host in any case, the local part exactly',
      permitted: [email('Alice@Example.com')],
      admits: [email('Alice@example.COM')],
      refuses: [email('alice@example.com'), email('bob@example.com'), email('Alice@a.example.com')],
      because: 'not-permitted',
    },
    {
      rule: 'a permitted host holds its mailboxes and not those of hosts below it',
      permitted: [email('example.com')],
      admits: [email('a@example.com'), email('"a.b"@EXAMPLE.com')],
      refuses: [email('a@mail.example.com'), email('a@xexample.com'), email('a@com')],
      because: 'not-permitted',
    },
    {
      rule: 'a permitted domain, with a leading dot, holds hosts below it and not itself',
      permitted: [email('.example.com')],
      admits: [email('a@mail.example.com'), email('a@x.mail.EXAMPLE.com')],
      refuses: [email('a@example.com'), email('a@xexample.com'), email('a@x-example.com')],
      because: 'not-permitted',
    },
    {
      rule: 'an excluded host leaves the hosts below it alone',
      excluded: [email('example.com')],
      admits: [email('a@mail.example.com')],
      refuses: [email('a@example.com'), email('B@EXAMPLE.COM')],
      because: 'excluded',
    },
    {
      rule: 'an excluded domain leaves its own host alone',
      excluded: [email('.example.com')],
      admits: [email('a@example.com'), email('a@xexample.com')],
      refuses: [email('a@mail.example.com')],
      because: 'excluded',
    },
    {
      rule: 'CVE-2026-27137: several excluded mailboxes may share a local part',
      excluded: [email('alice@a.test'), email('alice@b.test'), email('alice@c.test')],
      admits: [email('alice@d.test'), email('bob@a.test')],
      refuses: [email('alice@a.test'), email('alice@b.test'), email('alice@c.test')],
      because: 'excluded',
    },
    {
      rule: 'CVE-2026-27137: several permitted mailboxes may share a local part, or a host',
      permitted: [email('alice@a.test'), email('alice@b.test'), email('bob@b.test')],
      admits: [email('alice@a.test'), email('alice@b.test'), email('bob@b.test')],
      refuses: [email('bob@a.test'), email('alice@c.test')],
      because: 'not-permitted',
    },
    {
      rule: 'CVE-2026-27138: the empty excluded base holds every mailbox, and nothing of another form',
      excluded: [email('')],
      admits: [dns('example.com')],
      refuses: [email('a@example.com'), email('a@com')],
      because: 'excluded',
    },
    {
      rule: 'the empty permitted base holds every mailbox',
      permitted: [email('')],
      excluded: [email('evil.test')],
      admits: [email('a@example.com'), email('a@com')],
      refuses: [email('a@evil.test')],
      because: 'excluded',
    },
    {
      rule: 'a quoted local part may hold an at sign; the host begins after the last one',
      permitted: [email('good.test')],
      admits: [email('"a@evil.test"@good.test')],
      refuses: [email('"a@good.test"@evil.test')],
      because: 'not-permitted',
    },
    {
      rule: 'a mailbox that is excluded is so in quotation marks and with backslashes',
      excluded: [email('alice@example.com')],
      admits: [email('"alicia"@example.com'), email('"alice"@a.example.com')],
      refuses: [email('"alice"@example.com'), email('"\\a\\l\\ice"@EXAMPLE.com')],
      because: 'excluded',
    },
    {
      rule: 'a mailbox that is excluded in quotation marks is so without',
      excluded: [email('"alice"@example.com')],
      admits: [email('bob@example.com')],
      refuses: [email('alice@example.com'), email('"alice"@example.com')],
      because: 'excluded',
    },
    {
      rule: 'a mailbox at an address cannot be compared and is refused under any constraint of the form',
      permitted: [email('')],
      admits: [email('a@example.com')],
      refuses: [email('a@[192.0.2.1]'), email('a@[IPv6:2001:db8::1]')],
      because: 'not-supported',
    },
    {
      rule: 'SmtpUTF8Mailbox falls under permitted hosts (RFC 9598)',
      permitted: [email('example.com')],
      admits: [utf8Mailbox('älice@example.com'), utf8Mailbox('älice@EXAMPLE.com')],
      refuses: [utf8Mailbox('älice@a.example.com'), utf8Mailbox('älice@evil.test')],
      because: 'not-permitted',
    },
    {
      rule: 'SmtpUTF8Mailbox falls under excluded hosts and domains (RFC 9598)',
      excluded: [email('evil.test'), email('.bad.test')],
      admits: [utf8Mailbox('älice@bad.test')],
      refuses: [utf8Mailbox('älice@evil.test'), utf8Mailbox('älice@a.bad.test')],
      because: 'excluded',
    },
    {
      rule: 'CVE-2022-3602: a domain in A-labels is compared and never decoded',
      permitted: [email('xn--mnchen-3ya.test')],
      admits: [utf8Mailbox('älice@XN--mnchen-3ya.test')],
      refuses: [utf8Mailbox('älice@xn--999999999.test'), utf8Mailbox('älice@munchen.test')],
      because: 'not-permitted',
    },
    {
      rule: 'a user principal name is no mailbox, and no matter of mailbox constraints',
      permitted: [email('example.com')],
      admits: [upn('a@evil.test')],
      refuses: [email('a@evil.test')],
      because: 'not-permitted',
    },
  ])

  const mailRow = (rule: string, base: string) => ({
    rule,
    base: email(base),
    sound: email('example.com'),
    under: email('a@example.com'),
  })
  meaningless([
    mailRow('a host with an at sign and no local part refuses the path', '@example.com'),
    mailRow('a mailbox without a host refuses the path', 'a@'),
    mailRow('a mailbox at a domain with a leading dot refuses the path', 'a@.example.com'),
    mailRow('two at signs refuse the path', 'a@evil.test@example.com'),
    mailRow('an unclosed quotation mark refuses the path', '"a@example.com'),
    mailRow('a dot alone refuses the path', '.'),
    mailRow('two leading dots refuse the path', '..example.com'),
    mailRow('a trailing dot refuses the path', 'example.com.'),
    mailRow('an octet outside ASCII refuses the path', 'ex\u00e4mple.com'),
  ])

  describe('the emailAddress of a subject', () => {
    const constraints = { permitted: [email('example.com')], excluded: [email('evil@example.com')] }
    const subject = (value: Uint8Array) => name(['O', 'Acme'], ['emailAddress', value], ['CN', 'alice'])

    test('is constrained where there is no subjectAltName', async () => {
      expect(await below(constraints, { subject: subject(ia5('a@example.com')) })).toBe('accepted')
      expect(await below(constraints, { subject: subject(ia5('a@evil.test')) })).toEqual(
        saying('not-permitted', 'rfc822Name'),
      )
      expect(await below(constraints, { subject: subject(ia5('evil@example.com')) })).toEqual(
        saying('excluded', 'rfc822Name'),
      )
    })

    test('is constrained where there is a subjectAltName as well, which is stricter than the RFC', async () => {
      const names = [email('a@example.com')]
      expect(await below(constraints, { names, subject: subject(ia5('a@example.com')) })).toBe('accepted')
      expect(await below(constraints, { names, subject: subject(ia5('a@evil.test')) })).toEqual(saying('not-permitted'))
    })

    test.each([
      ['UTF8String', utf8],
      ['PrintableString', printable],
      ['TeletexString', teletex],
    ])('is constrained if it is a %s', async (_, string) => {
      expect(await below(constraints, { subject: subject(string('a@example.com')) })).toBe('accepted')
      expect(await below(constraints, { subject: subject(string('a@evil.test')) })).toEqual(saying('not-permitted'))
    })

    test('is constrained in an RDN of several attributes', async () => {
      const rdn = (value: string) =>
        name(
          ['O', 'Acme'],
          [
            ['CN', 'alice'],
            ['emailAddress', ia5(value)],
          ],
        )
      expect(await below(constraints, { subject: rdn('a@example.com') })).toBe('accepted')
      expect(await below(constraints, { subject: rdn('a@evil.test') })).toEqual(saying('not-permitted'))
    })

    test('is constrained every time it occurs', async () => {
      const twice = (value: string) =>
        name(['emailAddress', ia5('a@example.com')], ['emailAddress', ia5(value)], ['CN', 'alice'])
      expect(await below(constraints, { subject: twice('b@example.com') })).toBe('accepted')
      expect(await below(constraints, { subject: twice('b@evil.test') })).toEqual(saying('not-permitted'))
    })

    test.each([
      ['no at sign', ia5('example.com')],
      ['an empty text', ia5('')],
      ['an at sign and nothing else', ia5('@')],
      ['a host with a trailing dot', ia5('a@example.com.')],
      ['a second at sign', ia5('a@evil.test@example.com')],
      ['two addresses', ia5('a@evil.test,b@example.com')],
      ['a phrase and angle brackets', ia5('Alice <a@evil.test> @example.com')],
      ['a space', utf8('a b@example.com')],
      ['a NUL-free control character', utf8('a\n@example.com')],
      ['octets of a TeletexString that nobody agrees on', teletex('a@ex\u00e4mple.com')],
      ['an OCTET STRING', Uint8Array.from([4, 13, ...Buffer.from('a@example.com')])],
    ])('that has %s cannot be compared: refused under a constraint, accepted without one', async (_, value) => {
      expect(await below(constraints, { subject: subject(value) })).toEqual(saying('not-supported', 'rfc822Name'))
      expect(await below({ permitted: [dns('a.test')] }, { subject: subject(value) })).toBe('accepted')
    })
  })
})

describe('uniformResourceIdentifier', () => {
  table([
    {
      rule: 'a permitted host holds its URIs of any scheme, port, userinfo and case, and no hosts below it',
      permitted: [uri('Host.example')],
      admits: [
        uri('https://host.example/path?query#fragment'),
        uri('https://host.example'),
        uri('https://host.example?x'),
        uri('https://host.example#x'),
        uri('urn+x.y-z://HOST.EXAMPLE:8443/'),
        uri('https://host.example:/'),
        uri('https://user:pass@host.example/'),
        uri('https://a%40b@host.example:1/'),
      ],
      refuses: [
        uri('https://a.host.example/'),
        uri('https://xhost.example/'),
        uri('https://example/'),
        uri('https://evil.test/host.example'),
        uri('https://evil.test/@host.example'),
        uri('https://evil.test?@host.example/'),
        uri('https://evil.test#@host.example/'),
        uri('https://host.example@evil.test/'),
        uri('https://host.example:443@evil.test/'),
      ],
      because: 'not-permitted',
    },
    {
      rule: 'a permitted domain, with a leading dot, holds hosts below it and not itself',
      permitted: [uri('.example.com')],
      admits: [uri('https://a.example.com/'), uri('https://b.a.EXAMPLE.com/')],
      refuses: [uri('https://example.com/'), uri('https://xexample.com/'), uri('https://com/')],
      because: 'not-permitted',
    },
    {
      rule: 'RUSTSEC-2026-0098: an excluded host is excluded, and others are not',
      excluded: [uri('evil.test')],
      admits: [uri('https://good.test/'), uri('https://a.evil.test/')],
      refuses: [uri('https://evil.test/'), uri('ftp://x@EVIL.test:21/')],
      because: 'excluded',
    },
    {
      rule: 'an excluded domain is excluded below itself',
      excluded: [uri('.evil.test')],
      admits: [uri('https://evil.test/')],
      refuses: [uri('https://a.evil.test/'), uri('https://b.a.evil.test/')],
      because: 'excluded',
    },
    {
      rule: 'the trust domain of a SPIFFE ID is its host',
      permitted: [uri('prod.example')],
      admits: [uri('spiffe://prod.example/ns/a/sa/b')],
      refuses: [uri('spiffe://dev.example/ns/a/sa/b'), uri('spiffe://a.prod.example/ns/a/sa/b')],
      because: 'not-permitted',
    },
    {
      rule: 'a URI without an authority is refused under a permitted host',
      permitted: [uri('host.example')],
      admits: [uri('https://host.example/')],
      refuses: [
        uri('urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6'),
        uri('mailto:a@host.example'),
        uri('https:host.example'),
        uri('https:/host.example'),
        uri('https:///host.example'),
        uri('spiffe:///host.example'),
        uri('https://user@/'),
        uri('https://:443/'),
      ],
      because: 'not-supported',
    },
    {
      rule: 'a URI without an authority is refused under an excluded host',
      excluded: [uri('evil.test')],
      admits: [uri('https://host.example/')],
      refuses: [uri('urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6'), uri('https:///evil.test')],
      because: 'not-supported',
    },
    {
      rule: 'an address for a host is refused, in brackets, with a zone and as a number',
      excluded: [uri('evil.test')],
      admits: [uri('https://host.example/')],
      refuses: [
        uri('https://192.0.2.1/'),
        uri('https://192.0.2.1:443/'),
        uri('https://[2001:db8::1]/'),
        uri('https://[2001:db8::1%25eth0]:443/'),
        uri('https://[v1.x]/'),
        uri('https://2130706433/'),
        uri('https://127.1/'),
        uri('https://127.0.0.0x1/'),
        uri('https://0x7f.1/'),
      ],
      because: 'not-supported',
    },
    {
      rule: 'a host with a trailing dot, an empty label or an escape is refused',
      permitted: [uri('host.example'), uri('.example')],
      admits: [uri('https://host.example/')],
      refuses: [
        uri('https://host.example./'),
        uri('https://a..example/'),
        uri('https://.example/'),
        uri('https://host%2eexample/'),
        uri('https://ho%73t.example/'),
        uri('https://-host.example/'),
      ],
      because: 'not-supported',
    },
    {
      rule: 'an authority that readers of URIs read differently is refused',
      permitted: [uri('good.test')],
      admits: [uri('https://a@good.test/')],
      refuses: [
        uri('https://evil.test\\@good.test/'),
        uri('https://evil.test\\.good.test/'),
        uri('https://a@evil.test@good.test/'),
        uri('https://good.test:443:8443/'),
        uri('https://good.test:https/'),
        uri('https://evil.test[@good.test/'),
        uri('https://evil.test<@good.test/'),
      ],
      because: 'not-supported',
    },
    {
      rule: 'the empty bases hold every host',
      permitted: [uri('')],
      excluded: [uri('evil.test')],
      admits: [uri('https://anything.test/')],
      refuses: [uri('https://evil.test/')],
      because: 'excluded',
    },
  ])

  const uriRow = (rule: string, base: string) => ({
    rule,
    base: uri(base),
    sound: uri('host.example'),
    under: uri('https://host.example/'),
  })
  meaningless([
    uriRow('a whole URI is no constraint and refuses the path', 'https://host.example/'),
    uriRow('a port is no part of a constraint and refuses the path', 'host.example:443'),
    uriRow('userinfo is no part of a constraint and refuses the path', 'a@host.example'),
    uriRow('a trailing dot refuses the path', 'host.example.'),
    uriRow('an address in brackets refuses the path', '[2001:db8::1]'),
  ])
})

describe('iPAddress', () => {
  const loopback = '7f000001'
  table([
    {
      rule: 'a permitted IPv4 network holds its addresses, to the bit',
      permitted: [ip('c0000200/fffffff0')],
      admits: [ip('c0000200'), ip('c000020f')],
      refuses: [ip('c0000210'), ip('c00001ff'), ip(loopback)],
      because: 'not-permitted',
    },
    {
      rule: 'an excluded IPv4 network holds its addresses, to the bit',
      excluded: [ip('0a000000/ff800000')],
      admits: [ip('0a800000'), ip('0b000000')],
      refuses: [ip('0a000000'), ip('0a7fffff')],
      because: 'excluded',
    },
    {
      rule: 'bits of a constraint that its mask does not cover do not count',
      permitted: [ip('c00002ff/ffffff00')],
      admits: [ip('c0000201')],
      refuses: [ip('c0000301')],
      because: 'not-permitted',
    },
    {
      rule: 'a mask of ones is one address, a mask of zeros is all of its family',
      permitted: [ip('c0000201/ffffffff'), ip(`${'00'.repeat(16)}/${'00'.repeat(16)}`)],
      admits: [ip('c0000201'), ip('20010db8000000000000000000000001')],
      refuses: [ip('c0000202')],
      because: 'not-permitted',
    },
    {
      rule: 'IPv4 networks are no matter of IPv6 addresses but that one form is permitted at all',
      permitted: [ip('00000000/00000000')],
      admits: [ip('c0000201')],
      refuses: [ip('20010db8000000000000000000000001'), ip('00000000000000000000ffffc0000201')],
      because: 'not-permitted',
    },
    {
      rule: 'an IPv4 address mapped into IPv6 is an IPv6 address',
      excluded: [ip('0a000000/ff000000'), ip(`20010db8${'00'.repeat(12)}/ffffffff${'00'.repeat(12)}`)],
      admits: [ip('00000000000000000000ffff0a000001')],
      refuses: [ip('0a000001'), ip('20010db8000000000000000000000001')],
      because: 'excluded',
    },
    {
      rule: 'a permitted IPv6 network holds its addresses, to the bit',
      permitted: [ip(`20010db8${'00'.repeat(12)}/ffffffff8000${'00'.repeat(10)}`)],
      admits: [ip(`20010db87fff${'ff'.repeat(10)}`)],
      refuses: [ip(`20010db88000${'00'.repeat(10)}`)],
      because: 'not-permitted',
    },
    {
      rule: 'an excluded mapped network holds mapped addresses and no IPv4 address',
      excluded: [ip(`00000000000000000000ffff0a000000/${'ff'.repeat(13)}000000`)],
      admits: [ip('0a000001')],
      refuses: [ip('00000000000000000000ffff0a000001')],
      because: 'excluded',
    },
    {
      rule: 'one of several permitted networks of unlike masks is enough',
      permitted: [ip('0a000000/ff000000'), ip('c0000200/ffffff00'), ip('c6336401/ffffffff')],
      admits: [ip('0affffff'), ip('c00002ff'), ip('c6336401')],
      refuses: [ip('0b000000'), ip('c0000300'), ip('c6336402')],
      because: 'not-permitted',
    },
  ])

  const ipRow = (rule: string, base: string) => ({
    rule,
    base: ip(base),
    sound: ip('00000000/00000000'),
    under: ip('0a000001'),
  })
  meaningless([
    ipRow('a mask with holes refuses the path', '0a000000/ff00ff00'),
    ipRow('a mask that begins with a zero refuses the path', '0a000000/7fffffff'),
    ipRow('a mask with a hole of one bit refuses the path', '0a000000/fffffffd'),
    ipRow('four octets, an address without a mask, refuse the path', '0a000000'),
    ipRow('sixteen octets refuse the path', '00000000000000000000ffff0a000000'),
    ipRow('seven octets refuse the path', '0a0000 00ffffff'),
    ipRow('no octets refuse the path', ''),
  ])

  test.each(['0a0000', '0a00000100', '0a000001ffffffff', ''])('a name of octets %j is no address', async (octets) => {
    const permitted = [ip('00000000/00000000')]
    expect(await below({ permitted }, { names: [ip('0a000001')] })).toBe('accepted')
    expect(await below({ permitted }, { names: [ip(octets)] })).toMatch(/^MALFORMED/)
  })
})

describe('directoryName', () => {
  const acme = (...rest: Rdn[]) => name(['C', printable('DE')], ['O', 'Acme'], ...rest)
  const permitted = [directory(['C', printable('DE')], ['O', 'Acme'])]
  const excluded = [directory(['C', printable('DE')], ['O', 'Acme'], ['OU', 'Evil'])]

  test('a permitted name holds the subjects that begin with it', async () => {
    expect(await below({ permitted }, { subject: acme(['CN', 'alice']) })).toBe('accepted')
    expect(await below({ permitted }, { subject: acme() })).toBe('accepted')
    const refused = [
      name(['C', printable('DE')], ['O', 'Acme2'], ['CN', 'alice']),
      name(['O', 'Acme'], ['C', printable('DE')], ['CN', 'alice']),
      name(['C', printable('DE')], ['CN', 'alice'], ['O', 'Acme']),
      name(['C', printable('DE')]),
      name(['O', 'Acme']),
      name(
        [
          ['C', printable('DE')],
          ['O', 'Acme'],
        ],
        ['CN', 'alice'],
      ),
    ]
    for (const subject of refused) {
      expect(await below({ permitted }, { subject })).toEqual(saying('not-permitted', 'directoryName'))
    }
  })

  test('an excluded name holds the subjects that begin with it', async () => {
    expect(await below({ excluded }, { subject: acme(['OU', 'Good'], ['CN', 'alice']) })).toBe('accepted')
    expect(await below({ excluded }, { subject: acme(['CN', 'alice'], ['OU', 'Evil']) })).toBe('accepted')
    expect(await below({ excluded }, { subject: acme(['OU', 'Evil'], ['CN', 'alice']) })).toEqual(saying('excluded'))
    expect(await below({ excluded }, { subject: acme(['OU', 'Evil']) })).toEqual(saying('excluded'))
  })

  test('names are compared by RFC 5280 §7.1: case, spaces, string type and normal form do not count', async () => {
    const folded = [
      [printable('acme'), printable('EVIL')],
      [utf8('  ACME '), utf8(' evil  ')],
      [utf8('Acme\u00ad'), utf8('Ev\u200bil')],
      [utf8('\uff21cme'), utf8('\uff25vil')],
    ] as const
    for (const [organization, unit] of folded) {
      const subject = name(['C', utf8('de')], ['O', organization], ['CN', 'alice'])
      expect(await below({ permitted }, { subject })).toBe('accepted')
      const evil = name(['C', utf8('dE')], ['O', organization], ['OU', unit], ['CN', 'alice'])
      expect(await below({ excluded }, { subject: evil })).toEqual(saying('excluded'))
    }
    // Spaces within count as one, not as none.
    expect(await below({ permitted }, { subject: name(['C', 'DE'], ['O', 'Ac me']) })).toEqual(saying('not-permitted'))
  })

  test('the attributes of one RDN are a set: their order does not count, their number does', async () => {
    const pair = [
      directory([
        ['O', 'Acme'],
        ['OU', 'Sales'],
      ]),
    ]
    expect(
      await below(
        { permitted: pair },
        {
          subject: name(
            [
              ['OU', 'sales'],
              ['O', 'acme'],
            ],
            ['CN', 'a'],
          ),
        },
      ),
    ).toBe('accepted')
    for (const subject of [
      name(
        [
          ['O', 'Acme'],
          ['OU', 'Sales'],
          ['L', 'Bonn'],
        ],
        ['CN', 'a'],
      ),
      name(['O', 'Acme'], ['OU', 'Sales'], ['CN', 'a']),
      name(
        [
          ['O', 'Acme'],
          ['O', 'Sales'],
        ],
        ['CN', 'a'],
      ),
    ]) {
      expect(await below({ permitted: pair }, { subject })).toEqual(saying('not-permitted'))
    }
  })

  test('a name of a string type that does not fold is compared by its octets', async () => {
    const base = [directory(['O', teletex('Acme')])]
    expect(await below({ permitted: base }, { subject: name(['O', teletex('Acme')], ['CN', 'a']) })).toBe('accepted')
    expect(await below({ permitted: base }, { subject: name(['O', teletex('ACME')], ['CN', 'a']) })).toEqual(
      saying('not-permitted'),
    )
  })

  test('the empty name holds every name', async () => {
    expect(await below({ permitted: [directory()] }, { subject: acme(['CN', 'alice']) })).toBe('accepted')
    expect(await below({ excluded: [directory()] }, { subject: acme(['CN', 'alice']) })).toEqual(saying('excluded'))
  })

  test('an empty subject is no directoryName; its alternative names count', async () => {
    const names = [dns('a.test')]
    expect(await below({ permitted }, { subject: name(), names })).toBe('accepted')
    expect(await below({ permitted }, { subject: name(['O', 'Other']), names })).toEqual(saying('not-permitted'))
    expect(await below({ excluded: [directory()] }, { subject: name(), names })).toBe('accepted')
  })

  test('a directoryName among the alternative names counts like the subject', async () => {
    const subject = acme(['CN', 'alice'])
    const good = directory(['C', 'de'], ['O', 'ACME'], ['CN', 'x'])
    expect(await below({ permitted }, { subject, names: [good] })).toBe('accepted')
    for (const bad of [directory(['O', 'Other']), directory()]) {
      expect(await below({ permitted }, { subject, names: [good, bad] })).toEqual(saying('not-permitted'))
    }
    const evil = directory(['C', 'de'], ['O', 'ACME'], ['OU', 'EVIL'], ['CN', 'x'])
    expect(await below({ excluded }, { subject, names: [good] })).toBe('accepted')
    expect(await below({ excluded }, { subject, names: [good, evil] })).toEqual(saying('excluded'))
  })

  test('no value of an attribute can imitate the boundary to the next', async () => {
    const base = [directory(['O', 'Acme'], ['CN', 'a'])]
    expect(await below({ permitted: base }, { subject: name(['O', 'Acme'], ['CN', 'a']) })).toBe('accepted')
    for (const value of ['Acme}1{2.5.4.3=2:ta', 'Acme,CN=a', 'Acme/CN=a', 'Acme\u0001']) {
      expect(await below({ permitted: base }, { subject: name(['O', value]) })).toEqual(saying('not-permitted'))
    }
  })
})

describe('forms without a way to compare', () => {
  const forms: readonly { form: string; base: Uint8Array; other: Uint8Array; present: readonly Uint8Array[] }[] = [
    {
      form: 'otherName',
      base: otherName('1.2.3.4', utf8('x')),
      other: dns('a.test'),
      present: [otherName('1.2.3.4', utf8('x')), otherName('1.2.3.5', utf8('y'))],
    },
    { form: 'x400Address', base: x400, other: dns('a.test'), present: [x400] },
    { form: 'ediPartyName', base: ediParty, other: uri('https://a.test/'), present: [ediParty] },
    { form: 'registeredID', base: registeredId('1.2.3'), other: ip('0a000001'), present: [registeredId('1.2.3')] },
  ]

  test.each(forms)('$form constrained and present is refused, constrained and absent accepted', async (row) => {
    for (const constraints of [{ permitted: [row.base] }, { excluded: [row.base] }]) {
      expect(await below(constraints, { names: [row.other] })).toBe('accepted')
      expect(await below(constraints, {})).toBe('accepted')
      for (const present of row.present) {
        expect(await below(constraints, { names: [row.other, present] })).toEqual(saying('not-supported', row.form))
      }
    }
  })

  test.each(forms)('$form present and not constrained is accepted', async ({ present }) => {
    const constraints = { permitted: [dns('a.test')] }
    for (const names of present) {
      expect(await below(constraints, { names: [names] })).toBe('accepted')
      expect(await below(constraints, { names: [names, dns('b.test')] })).toEqual(saying('not-permitted'))
    }
  })

  test('a constrained otherName of any type refuses the types that are read: principal names and mailboxes', async () => {
    const constraints = { excluded: [otherName('1.2.3.4', utf8('x'))] }
    expect(await below(constraints, { names: [email('alice@example.com')] })).toBe('accepted')
    expect(await below(constraints, { names: [upn('alice@example.com')] })).toEqual(
      saying('not-supported', 'otherName'),
    )
    expect(await below(constraints, { names: [utf8Mailbox('älice@example.com')] })).toEqual(
      saying('not-supported', 'otherName'),
    )
  })

  test('CVE-2023-0286: an x400Address that is none of its type is compared with nothing', async () => {
    const odd = constructed(3, oid('1.2.3'))
    expect(await below({ excluded: [odd] }, { names: [dns('a.test')] })).toBe('accepted')
    expect(await below({ excluded: [odd] }, { names: [x400] })).toEqual(saying('not-supported', 'x400Address'))
    expect(await below({ excluded: [x400] }, { names: [constructed(3, [0x30, 0x05, 0x00])] })).toMatch(/^MALFORMED/)
  })

  test.each([
    ['a name without a form', Uint8Array.of(0x89, 1, 0x41)],
    ['a universal type', utf8('example.com')],
  ])('%s is malformed, as a constraint and as a name', async (_, odd) => {
    expect(await below({ permitted: [dns('a.test')] }, { names: [dns('a.test')] })).toBe('accepted')
    expect(await below({ permitted: [dns('a.test'), odd] }, { names: [dns('a.test')] })).toMatch(/^MALFORMED/)
    expect(await below({ permitted: [dns('a.test')] }, { names: [dns('a.test'), odd] })).toMatch(/^MALFORMED/)
  })
})

describe('the extension', () => {
  const leaf: Plan = { names: [dns('a.example.com')] }
  const permitted = [dns('example.com')]

  test.each([
    ['a minimum of one', { minimum: 1 }],
    ['a maximum', { maximum: 5 }],
    ['a maximum of zero', { maximum: 0 }],
  ])('with %s has no meaning and refuses the path', async (_, range) => {
    expect(await below({ permitted: [subtree(dns('example.com'))] }, leaf)).toBe('accepted')
    for (const constraints of [
      { permitted: [subtree(dns('example.com'), range)] },
      { excluded: [subtree(dns('evil.test'), range)] },
      // Of a form the end entity does not have, too.
      { excluded: [subtree(ip('0a000000/ff000000'), range)] },
    ]) {
      expect(await below(constraints, leaf)).toBe('EXTENSION: a name constraint has a minimum or maximum')
    }
  })

  test('without subtrees is malformed, and its CA no issuer', async () => {
    expect(await below({ permitted }, leaf)).toBe('accepted')
    for (const constraints of [{}, { permitted: [] }, { excluded: [] }]) {
      expect(await below(constraints, leaf)).toMatch(/^MALFORMED/)
    }
  })

  test('is enforced although it is not critical', async () => {
    expect(await below({ permitted }, leaf, false)).toBe('accepted')
    expect(await below({ permitted }, { names: [dns('evil.test')] }, false)).toEqual(saying('not-permitted'))
    expect(await below({ excluded: permitted }, leaf, false)).toEqual(saying('excluded'))
  })

  test.each([true, false])('in an end entity is refused, critical %p', async (critical) => {
    const ca = forge({ issuer: root, ca: true })
    const withIt = (extensions: readonly Extension[]) => forge({ issuer: ca, ...leaf, extensions })
    expect(await verdict(withIt([]), [ca], [root])).toBe('accepted')
    expect(await verdict(withIt([nameConstraints({ permitted }, critical)]), [ca], [root])).toBe(
      'EXTENSION: nameConstraints is for CA certificates',
    )
  })

  test('binds names of every form, each by the subtrees of its own form', async () => {
    const mixed = {
      permitted: [dns('a.test'), email('a.test'), uri('a.test'), ip('0a000000/ff000000'), directory(['O', 'A'])],
      excluded: [dns('x.a.test')],
    }
    const good = [dns('b.a.test'), email('b@a.test'), uri('https://a.test/'), ip('0a000001'), directory(['O', 'a'])]
    const subject = name(['O', 'A'], ['CN', 'b'])
    expect(await below(mixed, { subject, names: good })).toBe('accepted')
    const bad = [dns('b.test'), email('b@b.test'), uri('https://b.test/'), ip('0b000001'), directory(['O', 'b'])]
    for (const [i, wrong] of bad.entries()) {
      expect(await below(mixed, { subject, names: good.with(i, wrong) })).toEqual(saying('not-permitted'))
    }
    expect(await below(mixed, { subject: name(['CN', 'b']), names: good })).toEqual(saying('not-permitted'))
  })
})

describe('along the path', () => {
  const inside: Plan = { names: [dns('a.b.test')] }
  const constrain = (constraints: Subtrees) => [nameConstraints(constraints)]

  test('what two CAs permit intersects', async () => {
    const through = async (first: Subtrees, second: Subtrees, leaf: Plan) => {
      const [one, two, end] = forgePath(
        root,
        { ca: true, subject: 'One', extensions: constrain(first) },
        { ca: true, subject: 'Two', extensions: constrain(second) },
        leaf,
      ) as [Forged, Forged, Forged]
      return verdict(end, [one, two], [root])
    }
    const [wide, narrow, other] = [
      { permitted: [dns('b.test')] },
      { permitted: [dns('a.b.test')] },
      { permitted: [dns('c.test')] },
    ]
    expect(await through(wide, narrow, inside)).toBe('accepted')
    expect(await through(narrow, wide, inside)).toBe('accepted')
    for (const [first, second] of [
      [wide, narrow],
      [narrow, wide],
    ] as const) {
      expect(await through(first, second, { names: [dns('x.b.test')] })).toEqual(saying('not-permitted'))
    }
    // Nothing is in both.
    expect(await through(wide, other, {})).toBe('accepted')
    expect(await through(wide, other, inside)).toEqual(saying('not-permitted'))
    expect(await through(wide, other, { names: [dns('x.c.test')] })).toEqual(saying('not-permitted'))
    // What a CA below permits does not lift what one above excludes.
    expect(await through({ excluded: [dns('a.b.test')] }, narrow, {})).toBe('accepted')
    expect(await through({ excluded: [dns('a.b.test')] }, narrow, inside)).toEqual(saying('excluded'))
    // Forms that only one of them speaks of.
    const ips = { permitted: [ip('0a000000/ff000000')] }
    expect(await through(wide, ips, { names: [dns('a.b.test'), ip('0a000001')] })).toBe('accepted')
    expect(await through(wide, ips, { names: [dns('a.b.test'), ip('0b000001')] })).toEqual(saying('not-permitted'))
    expect(await through(wide, ips, { names: [dns('c.test'), ip('0a000001')] })).toEqual(saying('not-permitted'))
  })

  test('the names of CAs below are constrained as well', async () => {
    const extensions = constrain({ permitted: [directory(['O', 'Acme'])] })
    const path = (subject: Uint8Array) =>
      forgePath(root, { ca: true, extensions }, { ca: true, subject }, { subject: name(['O', 'Acme'], ['CN', 'a']) })
    const [one, two, end] = path(name(['O', 'Acme'], ['CN', 'Sub'])) as [Forged, Forged, Forged]
    expect(await verdict(end, [one, two], [root])).toBe('accepted')
    const [one2, two2, end2] = path(name(['O', 'Other'], ['CN', 'Sub'])) as [Forged, Forged, Forged]
    expect(await verdict(end2, [one2, two2], [root])).toEqual(saying('not-permitted', 'directoryName'))
  })

  test('a CA is not bound by its own constraints', async () => {
    const extensions = constrain({ permitted: [dns('b.test')], excluded: [directory(['CN', 'Self'])] })
    const ca = forge({ issuer: root, ca: true, subject: 'Self', names: [dns('elsewhere.test')], extensions })
    expect(await verdict(forge({ issuer: ca, ...inside }), [ca], [root])).toBe('accepted')
    expect(await verdict(forge({ issuer: ca, ...inside, subject: 'Self' }), [ca], [root])).toEqual(saying('excluded'))
  })

  test('a self-issued CA is exempt, an end entity that is self-issued is not', async () => {
    const subject = name(['O', 'Acme'], ['CN', 'CA'])
    const extensions = constrain({ excluded: [directory(['O', 'Acme'])] })
    const ca = forge({ issuer: root, ca: true, subject, extensions })
    const rolled = forge({ issuer: ca, ca: true, subject })
    const other = forge({ issuer: ca, ca: true, subject: name(['O', 'Acme'], ['CN', 'Another CA']) })
    expect(await verdict(forge({ issuer: rolled, subject: 'alice' }), [ca, rolled], [root])).toBe('accepted')
    expect(await verdict(forge({ issuer: other, subject: 'alice' }), [ca, other], [root])).toEqual(saying('excluded'))
    // Self-issued, and the final certificate.
    expect(await verdict(forge({ issuer: ca, ca: false, subject }), [ca], [root])).toEqual(saying('excluded'))
    expect(await verdict(forge({ issuer: rolled, ca: false, subject }), [ca, rolled], [root])).toEqual(
      saying('excluded'),
    )
  })

  test('the exemption of a self-issued CA covers its alternative names, and passes constraints on', async () => {
    const subject = name(['CN', 'CA'])
    const ca = forge({ issuer: root, ca: true, subject, extensions: constrain({ permitted: [dns('b.test')] }) })
    const rolled = forge({ issuer: ca, ca: true, subject, names: [dns('elsewhere.test')] })
    expect(await verdict(forge({ issuer: rolled, ...inside }), [ca, rolled], [root])).toBe('accepted')
    expect(await verdict(forge({ issuer: rolled, names: [dns('c.test')] }), [ca, rolled], [root])).toEqual(
      saying('not-permitted'),
    )
    // Its own constraints hold below it, self-issued or not.
    const tight = forge({ issuer: ca, ca: true, subject, extensions: constrain({ permitted: [dns('a.b.test')] }) })
    expect(await verdict(forge({ issuer: tight, ...inside }), [ca, tight], [root])).toBe('accepted')
    expect(await verdict(forge({ issuer: tight, names: [dns('b.test')] }), [ca, tight], [root])).toEqual(
      saying('not-permitted'),
    )
  })

  test('the constraints of a trust anchor hold below it', async () => {
    const anchor = (constraints: Subtrees) => forge({ subject: 'Anchor', extensions: constrain(constraints) })
    const direct = async (constraints: Subtrees, leaf: Plan) => {
      const top = anchor(constraints)
      return verdict(forge({ issuer: top, ...leaf }), [], [top])
    }
    expect(await direct({ permitted: [dns('b.test')] }, inside)).toBe('accepted')
    expect(await direct({ permitted: [dns('c.test')] }, inside)).toEqual(saying('not-permitted'))
    expect(await direct({ excluded: [dns('b.test')] }, inside)).toEqual(saying('excluded'))
    // Through a CA that says nothing.
    const top = anchor({ permitted: [dns('b.test')] })
    const ca = forge({ issuer: top, ca: true, subject: 'CA' })
    expect(await verdict(forge({ issuer: ca, ...inside }), [ca], [top])).toBe('accepted')
    expect(await verdict(forge({ issuer: ca, names: [dns('c.test')] }), [ca], [top])).toEqual(saying('not-permitted'))
  })

  test('a trust anchor whose constraints have no meaning issues nothing', async () => {
    const top = forge({ subject: 'Anchor', extensions: constrain({ excluded: [dns('.b.test')] }) })
    expect(await verdict(forge({ issuer: top }), [], [top])).toBe('EXTENSION: a dNSName constraint is no domain')
    const sound = forge({ subject: 'Anchor', extensions: constrain({ excluded: [dns('b.test')] }) })
    expect(await verdict(forge({ issuer: sound }), [], [sound])).toBe('accepted')
  })

  test('another path without the constraint is found, and only if it is there', async () => {
    const key = forge({ issuer: root, ca: true, subject: 'CA' }).key
    const bound = forge({
      issuer: root,
      ca: true,
      subject: 'CA',
      key,
      extensions: constrain({ permitted: [dns('c.test')] }),
    })
    const free = forge({ issuer: root, ca: true, subject: 'CA', key })
    const leaf = forge({ issuer: bound, ...inside })
    expect(await verdict(leaf, [bound, free], [root])).toBe('accepted')
    expect(await verdict(leaf, [bound], [root])).toEqual(saying('not-permitted'))
  })
})

describe('P-13: the cost of constraints', () => {
  test('is names plus constraints, not their product', async () => {
    const some = (count: number, make: (i: number) => Uint8Array) => Array.from({ length: count }, (_, i) => make(i))
    const constraints = {
      permitted: some(1000, (i) => dns(`p${i}.t`)),
      excluded: some(1000, (i) => dns(`e${i}.t`)),
    }
    const [ca, end] = forgePath(
      root,
      { ca: true, extensions: [nameConstraints(constraints)] },
      { names: some(1000, (i) => dns(`a.p${i}.t`)) },
    ) as [Forged, Forged]
    await verdict(end, [ca], [root])
    const started = performance.now()
    expect(await verdict(end, [ca], [root])).toBe('accepted')
    expect(performance.now() - started).toBeLessThan(250)
    const worse = forge({ issuer: ca, names: some(1000, (i) => dns(i === 999 ? 'a.e0.t' : `a.p${i}.t`)) })
    expect(await verdict(worse, [ca], [root])).toEqual(saying('excluded'))
  })
})
