import { describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { formatAddress, type GeneralName } from '../../src/x509/general-name.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  asData,
  certificateDer,
  commonName,
  concat,
  context,
  extension,
  hex,
  integer,
  malformation,
  nothing,
  oid,
  parsed,
  primitive,
  seq,
  text,
  tlv,
  utf8,
  utf16,
} from '../support/der-builder.js'

const san = (...names: Uint8Array[]) => extension(known.subjectAltName, seq(...names))
const read = (...names: Uint8Array[]) => parsed({ extensions: [san(...names)] }).extensions.subjectAltName
const reasonAgainst = (...names: Uint8Array[]) => malformation(certificateDer({ extensions: [san(...names)] }))

const email = (value: string) => primitive(1, Buffer.from(value))
const dns = (value: string) => primitive(2, Buffer.from(value))
const uri = (value: string) => primitive(6, Buffer.from(value))
const ip = (...octets: number[]) => primitive(7, octets)
const other = (type: string, value: Uint8Array) => context(0, oid(type), context(0, value))
const upn = (value: Uint8Array) => other(known.userPrincipalName, value)
const smtp = (value: Uint8Array) => other(known.smtpUtf8Mailbox, value)

const badOctet = (form: string) => `${form} holds an octet it may not`
const bad = (form: string) => `${form} is malformed`

describe('every form of GeneralName (RFC 5280 §4.2.1.6)', () => {
  const forms: { name: string; given: Uint8Array; value: GeneralName; twin: Uint8Array; reason: string }[] = [
    {
      name: 'rfc822Name',
      given: email('Alice@example.com'),
      value: { type: 'rfc822Name', value: 'Alice@example.com' },
      twin: email('Alice example.com'),
      reason: badOctet('rfc822Name'),
    },
    {
      name: 'dNSName',
      given: dns('A.example'),
      value: { type: 'dNSName', value: 'A.example' },
      twin: dns('A..example'),
      reason: bad('dNSName'),
    },
    {
      name: 'uniformResourceIdentifier',
      given: uri('spiffe://td/a'),
      value: { type: 'uniformResourceIdentifier', value: 'spiffe://td/a' },
      twin: uri('//td/a'),
      reason: bad('uniformResourceIdentifier'),
    },
    {
      name: 'iPAddress, version 4',
      given: ip(192, 0, 2, 1),
      value: { type: 'iPAddress', value: '192.0.2.1', octets: hex('c0000201') },
      twin: ip(192, 0, 2, 1, 0),
      reason: 'iPAddress has a wrong length',
    },
    {
      name: 'iPAddress, version 6',
      given: ip(...hex('20010db8000000000000000000000001')),
      value: { type: 'iPAddress', value: '2001:db8::1', octets: hex('20010db8000000000000000000000001') },
      twin: ip(...hex('20010db80000000000000000000001')),
      reason: 'iPAddress has a wrong length',
    },
    {
      name: 'registeredID',
      given: primitive(8, [0x2a, 3]),
      value: { type: 'registeredID', value: '1.2.3' },
      twin: primitive(8, [0x2a, 0x80, 3]),
      reason: 'OBJECT IDENTIFIER arc is not minimal',
    },
    {
      name: 'x400Address',
      given: context(3, seq()),
      value: { type: 'x400Address', der: context(3, seq()) },
      twin: context(3, hex('3080 0000')),
      reason: 'indefinite length',
    },
    {
      name: 'ediPartyName',
      given: context(5, context(1, utf8('p'))),
      value: { type: 'ediPartyName', der: context(5, context(1, utf8('p'))) },
      twin: context(5, hex('a181 030c0170')),
      reason: 'length is not minimal',
    },
    {
      name: 'otherName',
      given: other('1.3.6.1.5.2.2', seq(integer(1))),
      value: { type: 'otherName', oid: '1.3.6.1.5.2.2', der: seq(integer(1)) },
      twin: other('1.3.6.1.5.2.2', concat([0x30, 0x81, 3], integer(1))),
      reason: 'length is not minimal',
    },
    {
      name: 'userPrincipalName',
      given: upn(utf8('alice@corp.example')),
      value: { type: 'userPrincipalName', value: 'alice@corp.example' },
      twin: upn(utf8('alice\0@corp.example')),
      reason: 'UTF8String is not UTF-8 or holds NUL',
    },
    {
      name: 'smtpUtf8Mailbox',
      given: smtp(utf8('älice@corp.example')),
      value: { type: 'smtpUtf8Mailbox', value: 'älice@corp.example' },
      twin: smtp(utf8('alice@corp.example')),
      reason: 'SmtpUTF8Mailbox is malformed',
    },
  ]
  test.each(forms)('$name is read, and refused with one thing changed', ({ given, value, twin, reason }) => {
    expect(asData(read(given))).toEqual([value])
    expect(reasonAgainst(twin)).toBe(reason)
  })

  test('directoryName is a name, and two of them are none', () => {
    const [found] = read(context(4, commonName('alice'))) ?? []
    expect(found?.type === 'directoryName' && found.value.toString()).toBe('CN=alice')
    expect(reasonAgainst(context(4, commonName('alice'), commonName('admin')))).toBe(
      'unexpected element or trailing octets',
    )
  })

  test('a form is told by its tag: the same octets under another tag are another name, or none', () => {
    expect(read(dns('www.example.com'))?.[0]?.type).toBe('dNSName')
    expect(reasonAgainst(email('www.example.com'))).toBe(bad('rfc822Name'))
    expect(reasonAgainst(uri('www.example.com'))).toBe(bad('uniformResourceIdentifier'))
    expect(reasonAgainst(dns('alice@example.com'))).toBe(bad('dNSName'))
    expect(reasonAgainst(dns('spiffe://td/a'))).toBe(bad('dNSName'))
  })

  test.each([
    { name: 'dNSName with the constructed bit', given: context(2, Buffer.from('a.example')) },
    { name: 'registeredID with the constructed bit', given: context(8, oid('1.2.3')) },
    { name: 'directoryName without the constructed bit', given: primitive(4, commonName('a')) },
    { name: 'otherName without the constructed bit', given: primitive(0, oid('1.2.3')) },
    { name: 'a ninth form', given: primitive(9, [1]) },
    { name: 'a universal type', given: text(0x16, 'a.example') },
    { name: 'an application tag', given: text(0x42, 'a.example') },
  ])('$name is refused', ({ given }) => {
    expect(reasonAgainst(given)).toBe('unknown form of name')
  })
})

describe('rfc822Name is a mailbox', () => {
  test.each([
    'a@b',
    'a.b+c@mail.example',
    "o'hara!#$%&*/=?^_`{|}~-@example.com",
    '"a\\"b"@example.com',
    '"a@b"@example.com',
    'a@[192.0.2.1]',
    'a@[IPv6:2001:db8::1]',
  ])('%s', (value) => {
    expect(asData(read(email(value)))).toEqual([{ type: 'rfc822Name', value }])
  })

  test.each([
    { given: '', reason: bad('rfc822Name') },
    { given: '@example.com', reason: bad('rfc822Name') },
    { given: 'alice@', reason: bad('rfc822Name') },
    { given: 'alice', reason: bad('rfc822Name') },
    { given: 'a@b@example.com', reason: bad('rfc822Name') },
    { given: '.a@example.com', reason: bad('rfc822Name') },
    { given: 'a..b@example.com', reason: bad('rfc822Name') },
    { given: 'a@example.com.', reason: bad('rfc822Name') },
    { given: 'a@-example.com', reason: bad('rfc822Name') },
    { given: 'a@exa_mple.com', reason: bad('rfc822Name') },
    { given: '"a@example.com', reason: bad('rfc822Name') },
    { given: '"a"b"@example.com', reason: bad('rfc822Name') },
    { given: 'a,b@example.com', reason: bad('rfc822Name') },
    { given: '<a@example.com>', reason: bad('rfc822Name') },
    { given: 'Alice <a@example.com>', reason: badOctet('rfc822Name') },
    { given: ' a@example.com', reason: badOctet('rfc822Name') },
    { given: 'a@example.com\n', reason: badOctet('rfc822Name') },
    { given: 'a\0@example.com', reason: badOctet('rfc822Name') },
    { given: 'ä@example.com', reason: badOctet('rfc822Name') },
    { given: 'a\u007f@example.com', reason: badOctet('rfc822Name') },
  ])('$given is refused', ({ given, reason }) => {
    expect(reasonAgainst(email(given))).toBe(reason)
  })
})

describe('dNSName is a host name of LDH labels (RFC 1034 §3.5)', () => {
  const label = 'a'.repeat(63)
  test.each([
    'a',
    'localhost',
    '3com.example',
    'xn--bcher-kva.example',
    '*.example.com',
    `${label}.example`,
    [label, label, label, 'a'.repeat(61)].join('.'),
  ])('%s', (value) => {
    expect(asData(read(dns(value)))).toEqual([{ type: 'dNSName', value }])
  })

  test.each([
    { given: '', reason: bad('dNSName') },
    { given: ' ', reason: badOctet('dNSName') },
    { given: '.', reason: bad('dNSName') },
    { given: 'example.com.', reason: bad('dNSName') },
    { given: '.example.com', reason: bad('dNSName') },
    { given: 'a..b', reason: bad('dNSName') },
    { given: '-a.example', reason: bad('dNSName') },
    { given: 'a-.example', reason: bad('dNSName') },
    { given: 'a_b.example', reason: bad('dNSName') },
    { given: '*', reason: bad('dNSName') },
    { given: '*.', reason: bad('dNSName') },
    { given: 'a.*.example', reason: bad('dNSName') },
    { given: '*.*.example', reason: bad('dNSName') },
    { given: 'w*.example', reason: bad('dNSName') },
    { given: 'a.example:443', reason: bad('dNSName') },
    { given: 'a.example/x', reason: bad('dNSName') },
    { given: 'bücher.example', reason: badOctet('dNSName') },
    { given: 'good.example\0.evil.example', reason: badOctet('dNSName') },
    { given: 'good.example\n', reason: badOctet('dNSName') },
    { given: `${label}a.example`, reason: bad('dNSName') },
    { given: [label, label, label, 'a'.repeat(62)].join('.'), reason: bad('dNSName') },
  ])('$given is refused', ({ given, reason }) => {
    expect(reasonAgainst(dns(given))).toBe(reason)
  })
})

describe('uniformResourceIdentifier is absolute and ASCII', () => {
  test.each([
    'https://a.example/x?y#z',
    'urn:uuid:0',
    'spiffe://td/ns/x',
    'a+b-c.d:x',
    'spiffe:///x',
    'SPIFFE://TD/x',
    'spiffe://td/%2e%2e/x',
  ])('%s is read as written', (value) => {
    expect(asData(read(uri(value)))).toEqual([{ type: 'uniformResourceIdentifier', value }])
  })

  test.each([
    { given: '', reason: bad('uniformResourceIdentifier') },
    { given: 'x', reason: bad('uniformResourceIdentifier') },
    { given: '/x', reason: bad('uniformResourceIdentifier') },
    { given: 'spiffe:', reason: bad('uniformResourceIdentifier') },
    { given: '://td/x', reason: bad('uniformResourceIdentifier') },
    { given: '1x:y', reason: bad('uniformResourceIdentifier') },
    { given: 'spiffe://td/a b', reason: badOctet('uniformResourceIdentifier') },
    { given: 'spiffe://td/a\0b', reason: badOctet('uniformResourceIdentifier') },
    { given: 'spiffe://td/a\r\nb', reason: badOctet('uniformResourceIdentifier') },
    { given: 'spiffe://td/ä', reason: badOctet('uniformResourceIdentifier') },
  ])('$given is refused', ({ given, reason }) => {
    expect(reasonAgainst(uri(given))).toBe(reason)
  })
})

describe('iPAddress has 4 or 16 octets', () => {
  test('no other length', () => {
    for (let length = 0; length <= 33; length++) {
      const reason = reasonAgainst(ip(...new Array<number>(length).fill(1)))
      expect(reason).toBe(length === 4 || length === 16 ? undefined : 'iPAddress has a wrong length')
    }
  })

  // RFC 5952 §4.
  test.each([
    { given: '00000000000000000000000000000000', as: '::' },
    { given: '00000000000000000000000000000001', as: '::1' },
    { given: '20010db8000000000000000000000000', as: '2001:db8::' },
    { given: '20010db8000100010001000100010001', as: '2001:db8:1:1:1:1:1:1' },
    { given: '20010db8000000010001000100010001', as: '2001:db8:0:1:1:1:1:1' },
    { given: '20010db8000000000001000000000001', as: '2001:db8::1:0:0:1' },
    { given: '20010000000000010000000000000001', as: '2001:0:0:1::1' },
    { given: '00000000000000000000ffffc0000201', as: '::ffff:c000:201' },
    { given: 'fe80000000000000abcd00ff0a000001', as: 'fe80::abcd:ff:a00:1' },
  ])('$as', ({ given, as }) => {
    expect(formatAddress(hex(given))).toBe(as)
    // Node reads the text back as the same address.
    expect(new URL(`http://[${as}]`).hostname).toBe(`[${as}]`)
  })

  test('a version 4 address and the same mapped into version 6 are two', () => {
    const [four] = read(ip(192, 0, 2, 1)) ?? []
    const [mapped] = read(ip(...hex('00000000000000000000ffffc0000201'))) ?? []
    expect(four).not.toEqual(mapped)
  })
})

describe('otherName', () => {
  const readUpn = (value: Uint8Array) => read(upn(value))

  test.each([
    { name: 'UTF8String', given: utf8('alice@corp') },
    { name: 'PrintableString', given: text(0x13, 'alice@corp') },
    { name: 'IA5String', given: text(0x16, 'alice@corp') },
    { name: 'BMPString', given: text(0x1e, utf16('alice@corp')) },
  ])('a user principal name in a $name is that text', ({ given }) => {
    expect(readUpn(given)).toEqual([{ type: 'userPrincipalName', value: 'alice@corp' }])
  })

  test('two user principal names are two', () => {
    expect(read(upn(utf8('a')), upn(utf8('b')))).toHaveLength(2)
  })

  test.each([
    {
      name: 'an empty user principal name',
      given: upn(utf8('')),
      reason: 'user principal name is not a character string',
    },
    {
      name: 'a user principal name that is an INTEGER',
      given: upn(integer(1)),
      reason: 'user principal name is not a character string',
    },
    {
      name: 'a user principal name in TeletexString outside ASCII',
      given: upn(text(0x14, [0xe9])),
      reason: 'user principal name is not a character string',
    },
    {
      name: 'a user principal name in BMPString with NUL (CVE-2025-66220)',
      given: upn(text(0x1e, utf16('alice\0@evil'))),
      reason: 'BMPString is malformed or holds NUL',
    },
    {
      name: 'a user principal name in half a BMPString',
      given: upn(text(0x1e, [0, 0x61, 0])),
      reason: 'BMPString is malformed or holds NUL',
    },
    {
      name: 'a user principal name in overlong UTF-8',
      given: upn(utf8([0xc1, 0xa1])),
      reason: 'UTF8String is not UTF-8 or holds NUL',
    },
    { name: 'no value', given: context(0, oid('1.2.3')), reason: 'element is cut off' },
    { name: 'an empty wrapper', given: context(0, oid('1.2.3'), context(0)), reason: 'element is cut off' },
    {
      name: 'two values',
      given: context(0, oid('1.2.3'), context(0, nothing(), nothing())),
      reason: 'unexpected element or trailing octets',
    },
    {
      name: 'a value without its wrapper',
      given: context(0, oid('1.2.3'), nothing()),
      reason: 'expected tag 0xa0, found 0x05',
    },
    {
      name: 'something after the value',
      given: context(0, oid('1.2.3'), context(0, nothing()), nothing()),
      reason: 'unexpected element or trailing octets',
    },
    { name: 'no type', given: context(0, context(0, nothing())), reason: 'expected tag 0x06, found 0xa0' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(given)).toBe(reason)
  })

  test('an identifier one arc away is not a user principal name', () => {
    expect(read(other('1.3.6.1.4.1.311.20.2.4', utf8('alice')))).toEqual([
      { type: 'otherName', oid: '1.3.6.1.4.1.311.20.2.4', der: utf8('alice') },
    ])
    expect(read(other(`1.3.6.1.4.1.311.20.2.${2 ** 32 + 3}`, utf8('alice')))?.[0]?.type).toBe('otherName')
  })

  test('a value of unknown type is DER: a string in pieces is refused (X.690 §10.2)', () => {
    expect(reasonAgainst(other('1.2.3', utf8('alice')))).toBeUndefined()
    expect(reasonAgainst(other('1.2.3', tlv(0x2c, utf8('al'), utf8('ice'))))).toBe('tag 0x2c occurs in no DER')
  })

  test('a value of unknown type may nest as deep as is allowed, not deeper', () => {
    let value = nothing()
    for (let i = 0; i < limits.derDepth; i++) value = seq(value)
    expect(reasonAgainst(other('1.2.3', value))).toBeUndefined()
    expect(reasonAgainst(other('1.2.3', seq(value)))).toBe('nesting is too deep')
  })

  // RFC 9598 §3
  test.each([
    { name: 'an ASCII local part', given: utf8('alice@corp.example') },
    { name: 'a domain that is no A-label', given: utf8('älice@bücher.example') },
    { name: 'no domain', given: utf8('älice@') },
    { name: 'no at sign', given: utf8('älice') },
    { name: 'no local part', given: utf8('@corp.example') },
    { name: 'a space', given: utf8('ä lice@corp.example') },
    { name: 'a no-break space', given: utf8('ä\u00a0lice@corp.example') },
    { name: 'a control character', given: utf8('ä\u0085lice@corp.example') },
    { name: 'a line feed', given: utf8('älice\n@corp.example') },
    { name: 'a comma', given: utf8('älice,bob@corp.example') },
    { name: 'angle brackets', given: utf8('<älice>@corp.example') },
    { name: 'two dots', given: utf8('ä..lice@corp.example') },
    { name: 'a second domain', given: utf8('älice@corp.example,bob@corp.example') },
  ])('a SmtpUTF8Mailbox with $name is refused', ({ given }) => {
    expect(reasonAgainst(smtp(utf8('älice@corp.example')))).toBeUndefined()
    expect(reasonAgainst(smtp(given))).toBe('SmtpUTF8Mailbox is malformed')
  })

  test.each(['älice@corp.example', '"ä,b"@corp.example', 'ä.b+c@xn--bcher-kva.example', '愛𝒜@a'])(
    'SmtpUTF8Mailbox %s',
    (value) => {
      expect(read(smtp(utf8(value)))).toEqual([{ type: 'smtpUtf8Mailbox', value }])
    },
  )

  test('a SmtpUTF8Mailbox is a UTF8String', () => {
    expect(reasonAgainst(smtp(text(0x1e, utf16('älice@corp.example'))))).toBe('SmtpUTF8Mailbox is not a UTF8String')
  })
})
