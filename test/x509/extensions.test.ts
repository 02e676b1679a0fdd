import { describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { type Extensions, keyUsageNames } from '../../src/x509/extensions.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  asData,
  attribute,
  bitString,
  boolean,
  CN,
  certificateDer,
  commonName,
  concat,
  context,
  extension,
  hex,
  integer,
  malformation,
  nothing,
  octetString,
  oid,
  parsed,
  primitive,
  seq,
  set,
  text,
  tlv,
  utf8,
} from '../support/der-builder.js'

type ExtensionName = keyof Required<Extensions>

const dns = (value: string) => primitive(2, Buffer.from(value))
const uri = (value: string) => primitive(6, Buffer.from(value))
const directory = (value: string) => context(4, commonName(value))

const read = <K extends ExtensionName>(name: K, value: Uint8Array): Extensions[K] =>
  parsed({ extensions: [extension(known[name], value)] }).extensions[name]
const reasonAgainst = (name: ExtensionName, value: Uint8Array) =>
  malformation(certificateDer({ extensions: [extension(known[name], value)] }))

const policies = ['2.5.29.32.0', '1.2.3.4'] as const
const subtree = (base: Uint8Array, ...rest: Uint8Array[]) => seq(base, ...rest)
const trailing = 'unexpected element or trailing octets'

// Every extension of RFC 5280 §4.2 and RFC 9608: what a good one is read as, and what is wrong with its twins.
const table: {
  [K in ExtensionName]: {
    good: { name: string; given: Uint8Array; value: Extensions[K] }[]
    bad: { name: string; given: Uint8Array; reason: string }[]
  }
} = {
  authorityKeyIdentifier: {
    good: [
      { name: 'a key identifier', given: seq(primitive(0, [1, 2])), value: { keyIdentifier: hex('0102') } },
      {
        name: 'issuer and serial number',
        given: seq(context(1, dns('ca.example')), primitive(2, [5])),
        value: {
          authorityCertIssuer: [{ type: 'dNSName', value: 'ca.example' }],
          authorityCertSerialNumber: hex('05'),
        },
      },
      { name: 'nothing', given: seq(), value: {} },
    ],
    bad: [
      { name: 'an empty key identifier', given: seq(primitive(0)), reason: 'key identifier is empty' },
      {
        name: 'issuer without serial number',
        given: seq(context(1, dns('ca.example'))),
        reason: 'authorityCertIssuer and authorityCertSerialNumber belong together',
      },
      {
        name: 'serial number without issuer',
        given: seq(primitive(2, [5])),
        reason: 'authorityCertIssuer and authorityCertSerialNumber belong together',
      },
      {
        name: 'a serial number that is not minimal',
        given: seq(context(1, dns('ca.example')), primitive(2, [0, 5])),
        reason: 'INTEGER is not minimal',
      },
      { name: 'issuer without a name', given: seq(context(1), primitive(2, [5])), reason: 'element is cut off' },
      {
        name: 'fields in the wrong order',
        given: seq(context(1, dns('a')), primitive(2, [5]), primitive(0, [1])),
        reason: trailing,
      },
      { name: 'a key identifier twice', given: seq(primitive(0, [1]), primitive(0, [1])), reason: trailing },
      { name: 'no SEQUENCE', given: octetString([1, 2]), reason: 'expected tag 0x30, found 0x04' },
    ],
  },
  subjectKeyIdentifier: {
    good: [{ name: 'octets', given: octetString([1, 2]), value: hex('0102') }],
    bad: [
      { name: 'no octets', given: octetString(), reason: 'key identifier is empty' },
      { name: 'a constructed string', given: tlv(0x24, octetString([1])), reason: 'expected tag 0x04, found 0x24' },
    ],
  },
  keyUsage: {
    good: [
      { name: 'digitalSignature', given: bitString(7, [0x80]), value: 1 },
      { name: 'keyCertSign and cRLSign', given: bitString(1, [0x06]), value: 0b1100000 },
      { name: 'decipherOnly, in a second octet', given: bitString(7, [0, 0x80]), value: 1 << 8 },
    ],
    bad: [
      { name: 'no bit', given: bitString(0), reason: 'keyUsage has no bit set' },
      {
        name: 'a zero octet',
        given: bitString(0, [0]),
        reason: 'BIT STRING has trailing zero bits or set unused bits',
      },
      {
        name: 'trailing zero bits',
        given: bitString(0, [0x80]),
        reason: 'BIT STRING has trailing zero bits or set unused bits',
      },
      { name: 'an INTEGER', given: integer(1), reason: 'expected tag 0x03, found 0x02' },
    ],
  },
  certificatePolicies: {
    good: [
      {
        name: 'two policies',
        given: seq(...policies.map((policy) => seq(oid(policy)))),
        value: policies.map((policyIdentifier) => ({ policyIdentifier, qualifiers: [] })),
      },
      {
        name: 'a qualifier',
        given: seq(seq(oid('1.2.3.4'), seq(seq(oid('1.3.6.1.5.5.7.2.1'), text(0x16, 'http://x'))))),
        value: [
          { policyIdentifier: '1.2.3.4', qualifiers: [{ id: '1.3.6.1.5.5.7.2.1', der: text(0x16, 'http://x') }] },
        ],
      },
    ],
    bad: [
      { name: 'no policy', given: seq(), reason: 'element is cut off' },
      {
        name: 'one policy twice',
        given: seq(seq(oid('1.2.3.4')), seq(oid('1.2.3.5')), seq(oid('1.2.3.4'))),
        reason: 'a certificate policy appears twice',
      },
      { name: 'an empty list of qualifiers', given: seq(seq(oid('1.2.3.4'), seq())), reason: 'element is cut off' },
      {
        name: 'a qualifier without a value',
        given: seq(seq(oid('1.2.3.4'), seq(seq(oid('1.2'))))),
        reason: 'element is cut off',
      },
      {
        name: 'a qualifier that is not DER to its leaves',
        given: seq(seq(oid('1.2.3.4'), seq(seq(oid('1.2'), seq(hex('3080 0000')))))),
        reason: 'indefinite length',
      },
      {
        name: 'a third field',
        given: seq(seq(oid('1.2.3.4'), seq(seq(oid('1.2'), nothing())), nothing())),
        reason: trailing,
      },
      {
        name: 'a policy that is an identifier only',
        given: seq(oid('1.2.3.4')),
        reason: 'expected tag 0x30, found 0x06',
      },
    ],
  },
  policyMappings: {
    good: [
      {
        name: 'one mapping',
        given: seq(seq(oid('1.2.3'), oid('1.2.4'))),
        value: [{ issuerDomainPolicy: '1.2.3', subjectDomainPolicy: '1.2.4' }],
      },
    ],
    bad: [
      { name: 'no mapping', given: seq(), reason: 'element is cut off' },
      { name: 'half a mapping', given: seq(seq(oid('1.2.3'))), reason: 'element is cut off' },
      { name: 'three policies', given: seq(seq(oid('1.2.3'), oid('1.2.4'), oid('1.2.5'))), reason: trailing },
    ],
  },
  policyConstraints: {
    good: [
      {
        name: 'both',
        given: seq(primitive(0, [1]), primitive(1, [0])),
        value: { requireExplicitPolicy: 1, inhibitPolicyMapping: 0 },
      },
      {
        name: '2^64, which is not 0',
        given: seq(primitive(0, [1, 0, 0, 0, 0, 0, 0, 0, 0])),
        value: { requireExplicitPolicy: Number.POSITIVE_INFINITY },
      },
    ],
    bad: [
      { name: 'neither', given: seq(), reason: 'policyConstraints is empty' },
      { name: 'a negative number', given: seq(primitive(0, [0xff])), reason: 'INTEGER is negative' },
      { name: 'an empty number', given: seq(primitive(0)), reason: 'INTEGER is empty' },
      { name: 'the wrong order', given: seq(primitive(1, [0]), primitive(0, [1])), reason: trailing },
    ],
  },
  inhibitAnyPolicy: {
    good: [{ name: 'a number', given: integer(3), value: 3 }],
    bad: [
      { name: 'a negative number', given: integer(-1), reason: 'INTEGER is negative' },
      { name: 'a number that is not minimal', given: tlv(2, [0, 3]), reason: 'INTEGER is not minimal' },
    ],
  },
  subjectAltName: {
    good: [
      {
        name: 'two names',
        given: seq(dns('a.example'), uri('spiffe://td/x')),
        value: [
          { type: 'dNSName', value: 'a.example' },
          { type: 'uniformResourceIdentifier', value: 'spiffe://td/x' },
        ],
      },
    ],
    bad: [
      { name: 'no name', given: seq(), reason: 'element is cut off' },
      { name: 'a name that is not in a SEQUENCE', given: dns('a.example'), reason: 'expected tag 0x30, found 0x82' },
      { name: 'a SET', given: set(dns('a.example')), reason: 'expected tag 0x30, found 0x31' },
      {
        name: 'one good and one bad name',
        given: seq(dns('a.example'), dns('a..example')),
        reason: 'dNSName is malformed',
      },
    ],
  },
  issuerAltName: {
    good: [{ name: 'a name', given: seq(dns('ca.example')), value: [{ type: 'dNSName', value: 'ca.example' }] }],
    bad: [{ name: 'no name', given: seq(), reason: 'element is cut off' }],
  },
  basicConstraints: {
    good: [
      { name: 'an end entity', given: seq(), value: { cA: false } },
      { name: 'cA FALSE written out is read as an end entity', given: seq(boolean(0)), value: { cA: false } },
      { name: 'a CA', given: seq(boolean(0xff)), value: { cA: true } },
      { name: 'a path length of 0', given: seq(boolean(0xff), integer(0)), value: { cA: true, pathLenConstraint: 0 } },
      {
        name: 'a path length of 2^64, which is not 0',
        given: seq(boolean(0xff), integer(2n ** 64n)),
        value: { cA: true, pathLenConstraint: Number.POSITIVE_INFINITY },
      },
    ],
    bad: [
      { name: 'cA of 01', given: seq(boolean(1)), reason: 'BOOLEAN is neither 00 nor FF' },
      { name: 'a path length without cA', given: seq(integer(0)), reason: 'pathLenConstraint without cA' },
      {
        name: 'a path length with cA FALSE',
        given: seq(boolean(0), integer(0)),
        reason: 'pathLenConstraint without cA',
      },
      { name: 'a negative path length', given: seq(boolean(0xff), integer(-1)), reason: 'INTEGER is negative' },
      { name: 'a third field', given: seq(boolean(0xff), integer(0), nothing()), reason: trailing },
      { name: 'cA twice', given: seq(boolean(0), boolean(0xff)), reason: 'expected tag 0x02, found 0x01' },
      { name: 'no contents', given: hex(''), reason: 'element is cut off' },
    ],
  },
  nameConstraints: {
    good: [
      {
        name: 'a permitted domain',
        given: seq(context(0, subtree(dns('.example')))),
        value: { permittedSubtrees: [{ base: { type: 'dNSName', value: '.example' }, minimum: 0 }] },
      },
      {
        name: 'an excluded network with a maximum',
        given: seq(
          context(1, subtree(primitive(7, [10, 0, 0, 0, 255, 0, 0, 0]), primitive(0, [1]), primitive(1, [2]))),
        ),
        value: {
          excludedSubtrees: [
            {
              base: { type: 'iPAddress', value: '10.0.0.0/255.0.0.0', octets: hex('0a000000ff000000') },
              minimum: 1,
              maximum: 2,
            },
          ],
        },
      },
    ],
    bad: [
      { name: 'neither list', given: seq(), reason: 'nameConstraints is empty' },
      { name: 'an empty list', given: seq(context(0)), reason: 'element is cut off' },
      {
        name: 'an address without a mask',
        given: seq(context(0, subtree(primitive(7, [10, 0, 0, 0])))),
        reason: 'iPAddress has a wrong length',
      },
      {
        name: 'the wrong order',
        given: seq(context(1, subtree(dns('a'))), context(0, subtree(dns('b')))),
        reason: trailing,
      },
      {
        name: 'a negative minimum',
        given: seq(context(0, subtree(dns('a'), primitive(0, [0x80])))),
        reason: 'INTEGER is negative',
      },
      {
        name: 'a space in a domain',
        given: seq(context(0, subtree(dns('a b')))),
        reason: 'dNSName holds an octet it may not',
      },
    ],
  },
  extKeyUsage: {
    good: [
      {
        name: 'two purposes',
        given: seq(oid('1.3.6.1.5.5.7.3.2'), oid('1.2.9007199254740993')),
        value: ['1.3.6.1.5.5.7.3.2', '1.2.9007199254740993'],
      },
    ],
    bad: [
      { name: 'no purpose', given: seq(), reason: 'element is cut off' },
      {
        name: 'clientAuth with a padded arc',
        given: seq(tlv(6, hex('2b06010505070380 02'))),
        reason: 'OBJECT IDENTIFIER arc is not minimal',
      },
      { name: 'a purpose as text', given: seq(utf8('clientAuth')), reason: 'expected tag 0x06, found 0x0c' },
    ],
  },
  cRLDistributionPoints: {
    good: [
      {
        name: 'a URL',
        given: seq(seq(context(0, context(0, uri('http://c.example/x'))))),
        value: [{ fullName: [{ type: 'uniformResourceIdentifier', value: 'http://c.example/x' }] }],
      },
      {
        name: 'a name below the issuer, reasons and a CRL issuer',
        given: seq(
          seq(context(0, context(1, attribute(CN, utf8('p')))), primitive(1, [6, 0x40]), context(2, dns('c.example'))),
        ),
        value: [
          {
            nameRelativeToCRLIssuer: attribute(CN, utf8('p')),
            reasons: 2,
            cRLIssuer: [{ type: 'dNSName', value: 'c.example' }],
          },
        ],
      },
    ],
    bad: [
      { name: 'no point', given: seq(), reason: 'element is cut off' },
      { name: 'a point that names nothing', given: seq(seq()), reason: 'distribution point names nothing' },
      { name: 'reasons alone', given: seq(seq(primitive(1, [6, 0x40]))), reason: 'distribution point names nothing' },
      { name: 'an empty choice', given: seq(seq(context(0))), reason: 'element is cut off' },
      {
        name: 'both choices',
        given: seq(seq(context(0, context(0, uri('http://x')), context(1, attribute(CN, utf8('p')))))),
        reason: trailing,
      },
      {
        name: 'a third choice',
        given: seq(seq(context(0, context(2, uri('http://x'))))),
        reason: 'expected tag 0xa1, found 0xa2',
      },
      {
        name: 'a relative name that is no attribute',
        given: seq(seq(context(0, context(1, utf8('p'))))),
        reason: 'expected tag 0x30, found 0x0c',
      },
      {
        name: 'reasons with a trailing zero bit',
        given: seq(seq(context(0, context(0, uri('http://x'))), primitive(1, [0, 0x40]))),
        reason: 'BIT STRING has trailing zero bits or set unused bits',
      },
    ],
  },
  freshestCRL: {
    good: [
      {
        name: 'a URL',
        given: seq(seq(context(0, context(0, uri('http://c.example/x'))))),
        value: [{ fullName: [{ type: 'uniformResourceIdentifier', value: 'http://c.example/x' }] }],
      },
    ],
    bad: [{ name: 'a point that names nothing', given: seq(seq()), reason: 'distribution point names nothing' }],
  },
  authorityInfoAccess: {
    good: [
      {
        name: 'OCSP',
        given: seq(seq(oid('1.3.6.1.5.5.7.48.1'), uri('http://o.example'))),
        value: [
          {
            accessMethod: '1.3.6.1.5.5.7.48.1',
            accessLocation: { type: 'uniformResourceIdentifier', value: 'http://o.example' },
          },
        ],
      },
    ],
    bad: [
      { name: 'no description', given: seq(), reason: 'element is cut off' },
      {
        name: 'a description without a location',
        given: seq(seq(oid('1.3.6.1.5.5.7.48.1'))),
        reason: 'element is cut off',
      },
      {
        name: 'a description with two locations',
        given: seq(seq(oid('1.3.6.1.5.5.7.48.1'), uri('http://o'), uri('http://p'))),
        reason: trailing,
      },
      {
        name: 'a relative URL',
        given: seq(seq(oid('1.3.6.1.5.5.7.48.1'), uri('/ocsp'))),
        reason: 'uniformResourceIdentifier is malformed',
      },
    ],
  },
  subjectInfoAccess: {
    good: [
      {
        name: 'a repository',
        given: seq(seq(oid('1.3.6.1.5.5.7.48.5'), directory('r'))),
        value: [
          {
            accessMethod: '1.3.6.1.5.5.7.48.5',
            accessLocation: { type: 'directoryName', value: expect.anything() as never },
          },
        ],
      },
    ],
    bad: [
      {
        name: 'a method that is no identifier',
        given: seq(seq(integer(1), uri('http://o'))),
        reason: 'expected tag 0x06, found 0x02',
      },
    ],
  },
  noRevAvail: {
    good: [{ name: 'NULL', given: nothing(), value: true }],
    bad: [
      { name: 'a NULL that is not empty', given: tlv(5, [0]), reason: 'NULL is not empty' },
      { name: 'TRUE', given: boolean(0xff), reason: 'expected tag 0x05, found 0x01' },
    ],
  },
}

describe.each(Object.keys(table) as ExtensionName[])('%s', (name) => {
  const { good, bad } = table[name] as {
    good: { name: string; given: Uint8Array; value: unknown }[]
    bad: { name: string; given: Uint8Array; reason: string }[]
  }

  test.each(good)('$name', ({ given, value }) => {
    expect(asData(read(name, given))).toEqual(value)
    // The refusing twins every extension has.
    expect(reasonAgainst(name, concat(given, [0]))).toBeDefined()
    expect(reasonAgainst(name, concat(given, nothing()))).toBe(trailing)
    expect(reasonAgainst(name, given.subarray(0, -1))).toBeDefined()
    expect(reasonAgainst(name, concat([given[0] as number, 0x81, given[1] as number], given.subarray(2)))).toBeDefined()
  })

  test.each(bad)('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(name, given)).toBe(reason)
  })

  test('twice is refused, critical or not', () => {
    const { given } = good[0] as { given: Uint8Array }
    for (const critical of [false, true]) {
      const extensions = [extension(known[name], given), extension(known[name], given, critical)]
      expect(malformation(certificateDer({ extensions }))).toBe(`extension ${known[name]} twice`)
    }
  })

  test('a malformed one is refused whether it is critical or not', () => {
    const { given, reason } = bad[0] as { given: Uint8Array; reason: string }
    expect(malformation(certificateDer({ extensions: [extension(known[name], given, true)] }))).toBe(reason)
  })
})

test('the names of key usage bits are the standard’s, in its order', () => {
  expect(keyUsageNames(0b111111111)).toEqual([
    'digitalSignature',
    'nonRepudiation',
    'keyEncipherment',
    'dataEncipherment',
    'keyAgreement',
    'keyCertSign',
    'cRLSign',
    'encipherOnly',
    'decipherOnly',
  ])
  expect(keyUsageNames(1 << 9)).toEqual([])
})

describe('lists are bounded by extensionEntries', () => {
  const many = (count: number, item: (i: number) => Uint8Array) =>
    seq(...Array.from({ length: count }, (_, i) => item(i)))
  test.each([
    { name: 'purposes', extensionName: 'extKeyUsage' as const, item: () => oid('1.2'), reason: 'too many entries' },
    {
      name: 'policies',
      extensionName: 'certificatePolicies' as const,
      item: (i: number) => seq(oid(`1.2.${i}`)),
      reason: 'too many entries',
    },
    { name: 'names', extensionName: 'subjectAltName' as const, item: () => dns('a'), reason: 'too many names' },
    {
      name: 'distribution points',
      extensionName: 'cRLDistributionPoints' as const,
      item: () => seq(context(2, dns('a'))),
      reason: 'too many entries',
    },
  ])('$name: the last allowed is read, one more is refused', ({ extensionName, item, reason }) => {
    expect(reasonAgainst(extensionName, many(limits.extensionEntries, item))).toBeUndefined()
    expect(reasonAgainst(extensionName, many(limits.extensionEntries + 1, item))).toBe(reason)
  })

  test('subtrees: the last allowed is read, one more is refused', () => {
    const constraints = (count: number) => seq(context(0, ...Array.from({ length: count }, () => seq(dns('a')))))
    expect(reasonAgainst('nameConstraints', constraints(limits.extensionEntries))).toBeUndefined()
    expect(reasonAgainst('nameConstraints', constraints(limits.extensionEntries + 1))).toBe('too many subtrees')
  })
})

describe('extensions as a list (RFC 5280 §4.1.2.9)', () => {
  const unknown = (n: number, value: Uint8Array = hex('ff')) => extension(`1.2.3.${n}`, value)

  test('an unknown one keeps its octets, DER or not', () => {
    const { extensionList, extensions } = parsed({
      extensions: [unknown(1, hex('3080ff')), extension('1.2.3.2', hex(''), true)],
    })
    expect(extensionList.map(({ oid, critical, value }) => ({ oid, critical, value: Uint8Array.from(value) }))).toEqual(
      [
        { oid: '1.2.3.1', critical: false, value: hex('3080ff') },
        { oid: '1.2.3.2', critical: true, value: hex('') },
      ],
    )
    expect(extensions).toEqual({})
  })

  const item = (...members: Uint8Array[]) => malformation(certificateDer({ extensions: [seq(...members)] }))
  test.each([
    {
      name: 'critical FALSE written out (X.690 §11.5)',
      members: [oid('1.2.3'), boolean(0), octetString()],
      reason: 'critical FALSE is the DEFAULT and must not be written',
    },
    { name: 'critical 01', members: [oid('1.2.3'), boolean(1), octetString()], reason: 'BOOLEAN is neither 00 nor FF' },
    {
      name: 'critical twice',
      members: [oid('1.2.3'), boolean(0xff), boolean(0xff), octetString()],
      reason: 'expected tag 0x04, found 0x01',
    },
    { name: 'no value', members: [oid('1.2.3')], reason: 'element is cut off' },
    { name: 'two values', members: [oid('1.2.3'), octetString(), octetString()], reason: trailing },
    {
      name: 'a constructed value',
      members: [oid('1.2.3'), tlv(0x24, octetString())],
      reason: 'expected tag 0x04, found 0x24',
    },
    { name: 'no identifier', members: [boolean(0xff), octetString()], reason: 'expected tag 0x06, found 0x01' },
  ])('$name is refused', ({ members, reason }) => {
    expect(item(oid('1.2.3'), boolean(0xff), octetString())).toBeUndefined()
    expect(item(...members)).toBe(reason)
  })

  test('an unknown one twice is refused, also far apart', () => {
    const apart = (last: number) => certificateDer({ extensions: [unknown(1), unknown(2), unknown(3), unknown(last)] })
    expect(malformation(apart(4))).toBeUndefined()
    expect(malformation(apart(1))).toBe('extension 1.2.3.1 twice')
  })

  test('the limit of extensions are read, one more is refused', () => {
    const many = (count: number) => certificateDer({ extensions: Array.from({ length: count }, (_, i) => unknown(i)) })
    expect(malformation(many(limits.extensions))).toBeUndefined()
    expect(malformation(many(limits.extensions + 1))).toBe('too many extensions')
  })

  test('an empty list may not be written', () => {
    expect(malformation(certificateDer({ extensions: undefined }))).toBeUndefined()
    expect(malformation(certificateDer({ extensions: [] }))).toBe('element is cut off')
  })

  test('identifiers that are near one another modulo 2^32 are two', () => {
    const given = parsed({ extensions: [extension(`2.5.29.${2 ** 32 + 19}`, hex('ff'), true)] })
    expect(given.extensions.basicConstraints).toBeUndefined()
    expect(malformation(certificateDer({ extensions: [extension('2.5.29.19', hex('ff'), true)] }))).toBe(
      'element is cut off',
    )
  })
})
