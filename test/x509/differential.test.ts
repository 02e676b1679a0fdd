import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import * as peculiar from '@peculiar/x509'
import * as asn1js from 'asn1js'
import fc from 'fast-check'
import {
  createTestAuthority,
  createTestPki,
  type IssueOptions,
  type TestAuthority,
  type TestKeyAlgorithm,
  type TestPki,
} from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { KeyUsageBit } from '../../src/x509/extensions.js'
import type { DistinguishedName } from '../../src/x509/name.js'
import { malformation } from '../support/der-builder.js'

/**
 * Three readers that share no line with ours: asn1js (a BER reader), @peculiar/x509 (an ASN.1 schema reader) and OpenSSL behind
 * node:crypto. On valid certificates all four say the same.
 */

const hexOf = (octets: ArrayBuffer | Uint8Array) => Buffer.from(octets as Uint8Array).toString('hex')
const arrayBuffer = (octets: Uint8Array) => Uint8Array.from(octets).buffer

// asn1js ---------------------------------------------------------------------------------------------------------------

type Node = {
  valueBlock: { value: Node[]; valueHexView: Uint8Array; toString(): string }
  valueBeforeDecodeView: Uint8Array
  idBlock: { tagClass: number; tagNumber: number }
}
const members = (node: Node | undefined) => node?.valueBlock.value ?? []
const der = (node: Node | undefined) => hexOf(node?.valueBeforeDecodeView ?? new Uint8Array())

function readByAsn1js(octets: Uint8Array) {
  const { result, offset } = asn1js.fromBER(arrayBuffer(octets))
  expect(offset).toBe(octets.length)
  const [tbs, signatureAlgorithm, signature] = members(result as unknown as Node)
  const fields = [...members(tbs)]
  const version = fields[0]?.idBlock.tagClass === 3 ? Number(members(fields.shift())[0]?.valueBlock.toString()) + 1 : 1
  const [serialNumber, tbsSignature, issuer, validity, subject, publicKey, ...rest] = fields
  const extensions = members(members(rest.find(({ idBlock }) => idBlock.tagNumber === 3))[0])
  const times = members(validity) as unknown as asn1js.UTCTime[]
  return {
    tbs: der(tbs),
    version,
    serialNumber: hexOf(serialNumber?.valueBlock.valueHexView ?? new Uint8Array()),
    tbsSignature: der(tbsSignature),
    signatureAlgorithm: der(signatureAlgorithm),
    issuer: rdns(issuer),
    subject: rdns(subject),
    notBefore: times[0]?.toDate().getTime(),
    notAfter: times[1]?.toDate().getTime(),
    publicKey: der(publicKey),
    signature: hexOf(signature?.valueBlock.valueHexView ?? new Uint8Array()),
    extensions: extensions.map((extension) => {
      const [identifier, ...others] = members(extension)
      return [
        identifier?.valueBlock.toString(),
        others.length === 2,
        hexOf(others.at(-1)?.valueBlock.valueHexView ?? new Uint8Array()),
      ]
    }),
  }
}

const rdns = (name: Node | undefined) =>
  members(name).map((rdn) =>
    members(rdn).map((pair) => {
      const [type, value] = members(pair)
      return [type?.valueBlock.toString(), (value as unknown as asn1js.Utf8String).getValue()]
    }),
  )

const ourRdns = ({ rdns: list }: DistinguishedName) => list.map((rdn) => rdn.map(({ type, value }) => [type, value]))

const readByUs = (given: Certificate) => ({
  tbs: hexOf(given.tbs),
  version: given.version,
  serialNumber: hexOf(given.serialNumber),
  tbsSignature: hexOf(given.tbsSignature.der),
  signatureAlgorithm: hexOf(given.signatureAlgorithm.der),
  issuer: ourRdns(given.issuer),
  subject: ourRdns(given.subject),
  notBefore: given.notBefore,
  notAfter: given.notAfter,
  publicKey: hexOf(given.publicKey.der),
  signature: hexOf(given.signature),
  extensions: given.extensionList.map(({ oid, critical, value }) => [oid, critical, hexOf(value)]),
})

// @peculiar/x509 -------------------------------------------------------------------------------------------------------

function compareWithPeculiar(octets: Uint8Array): void {
  const given = Certificate.parse(octets)
  const theirs = new peculiar.X509Certificate(octets)
  // @peculiar/x509 drops the sign octet.
  expect(hexOf(given.serialNumber).replace(/^00(?=[89a-f])/, '')).toBe(theirs.serialNumber)
  expect(given.notBefore).toBe(theirs.notBefore.getTime())
  expect(given.notAfter).toBe(theirs.notAfter.getTime())
  expect(hexOf(given.signature)).toBe(hexOf(theirs.signature))
  expect(hexOf(given.publicKey.der)).toBe(hexOf(theirs.publicKey.rawData))
  expect(given.extensionList.map(({ oid, critical }) => [oid, critical])).toEqual(
    theirs.extensions.map(({ type, critical }) => [type, critical]),
  )

  const { basicConstraints, keyUsage, extKeyUsage, subjectAltName, subjectKeyIdentifier, authorityKeyIdentifier } =
    given.extensions
  const bc = theirs.getExtension(peculiar.BasicConstraintsExtension)
  expect(basicConstraints && [basicConstraints.cA, basicConstraints.pathLenConstraint]).toEqual(
    bc ? [bc.ca, bc.pathLength] : undefined,
  )
  // Both number the bits as the standard does.
  expect(keyUsage).toBe(theirs.getExtension(peculiar.KeyUsagesExtension)?.usages)
  expect(extKeyUsage?.join()).toBe(theirs.getExtension(peculiar.ExtendedKeyUsageExtension)?.usages.join())
  expect(subjectKeyIdentifier && hexOf(subjectKeyIdentifier)).toBe(
    theirs.getExtension(peculiar.SubjectKeyIdentifierExtension)?.keyId,
  )
  const keyId = authorityKeyIdentifier?.keyIdentifier
  expect(keyId && hexOf(keyId)).toBe(theirs.getExtension(peculiar.AuthorityKeyIdentifierExtension)?.keyId)

  const kinds: Record<string, string> = {
    rfc822Name: 'email',
    dNSName: 'dns',
    uniformResourceIdentifier: 'url',
    iPAddress: 'ip',
    userPrincipalName: 'upn',
    directoryName: 'dn',
  }
  const names = theirs.getExtension(peculiar.SubjectAlternativeNameExtension)?.names.items ?? []
  expect((subjectAltName ?? []).map(({ type }) => kinds[type])).toEqual(names.map(({ type }) => type))
  for (const [i, name] of (subjectAltName ?? []).entries()) {
    if (name.type !== 'directoryName' && 'value' in name) expect(name.value).toBe(names[i]?.value)
  }
}

// OpenSSL --------------------------------------------------------------------------------------------------------------

function compareWithNode(octets: Uint8Array): void {
  const given = Certificate.parse(octets)
  const theirs = new X509Certificate(octets)
  const value = BigInt.asIntN(8 * given.serialNumber.length, BigInt(`0x${hexOf(given.serialNumber)}`))
  expect(value).toBe(
    theirs.serialNumber.startsWith('-')
      ? -BigInt(`0x${theirs.serialNumber.slice(1)}`)
      : BigInt(`0x${theirs.serialNumber}`),
  )
  expect(given.fingerprint).toBe(theirs.fingerprint256.replaceAll(':', '').toLowerCase())
  expect(given.notBefore).toBe(Date.parse(theirs.validFrom))
  expect(given.notAfter).toBe(Date.parse(theirs.validTo))
  expect(Buffer.compare(given.der, theirs.raw)).toBe(0)
  expect(given.extensions.basicConstraints?.cA === true).toBe(theirs.ca)
  expect(hexOf(given.publicKey.der)).toBe(hexOf(theirs.publicKey.export({ type: 'spki', format: 'der' })))
  expect(given.subject.toString()).toBe(fromNode(theirs.subject))
  expect(given.issuer.toString()).toBe(fromNode(theirs.issuer))
}

/** Node prints one RDN a line, first to last; absent where the name is empty. */
const fromNode = (printed: string | undefined) => (printed ?? '').split('\n').reverse().join(',').replaceAll(' + ', '+')

function compareAll(octets: Uint8Array): void {
  expect(readByUs(Certificate.parse(octets))).toEqual(readByAsn1js(octets))
  compareWithPeculiar(octets)
  compareWithNode(octets)
}

let pki: TestPki
let authorities: Map<TestKeyAlgorithm, TestAuthority>
const keyAlgorithms: TestKeyAlgorithm[] = [
  'P-256',
  'P-384',
  'P-521',
  'RSA-2048',
  'RSA-PSS-2048',
  'Ed25519',
  'Ed448',
  'secp256k1',
]

beforeAll(async () => {
  pki = await createTestPki()
  const made = await Promise.all(keyAlgorithms.map((keyAlgorithm) => createTestAuthority({ keyAlgorithm })))
  authorities = new Map(keyAlgorithms.map((keyAlgorithm, i) => [keyAlgorithm, made[i] as TestAuthority]))
}, 60_000)

describe('four readers agree', () => {
  test.each(keyAlgorithms)('on a %s authority and what it issues', async (keyAlgorithm) => {
    const authority = authorities.get(keyAlgorithm) as TestAuthority
    compareAll(authority.certificate.der)
    compareAll((await authority.issue({ key: pki.root })).certificate.der)
  })

  test.each<{ name: string; options: IssueOptions }>([
    {
      name: 'all kinds of alternative names',
      options: {
        names: {
          dns: ['a.example', '*.b.example'],
          uri: ['spiffe://td/x'],
          email: ['a@b.example'],
          ip: ['192.0.2.1', '2001:db8::1', '::ffff:192.0.2.1', '::'],
          upn: ['alice@corp', 'ä@corp'],
          directory: ['CN=x'],
        },
      },
    },
    { name: 'an empty subject', options: { subject: '', names: { dns: ['a.example'] } } },
    { name: 'multi-valued RDNs', options: { subject: 'CN=alice+OU=ops+UID=7,O=Acme+L=Here,C=DE' } },
    { name: 'many RDNs', options: { subject: 'CN=a,OU=b,OU=c,O=d,L=e,ST=f,C=DE,DC=g,DC=h,UID=i,emailAddress=j@k' } },
    {
      name: 'a CA with a path length',
      options: { basicConstraints: { ca: true, pathLength: 3 }, keyUsage: ['keyCertSign', 'cRLSign'] },
    },
    { name: 'every key usage', options: { keyUsage: Object.keys(KeyUsageBit) as (keyof typeof KeyUsageBit)[] } },
    { name: 'decipherOnly', options: { keyUsage: ['decipherOnly'] } },
    {
      name: 'no extensions',
      options: { omit: ['2.5.29.35', '2.5.29.14'], basicConstraints: false, keyUsage: false, extendedKeyUsage: false },
    },
    { name: 'version 1', options: { version: 1 } },
    {
      name: 'years 1950 and 9999',
      options: { notBefore: new Date('1950-01-01'), notAfter: new Date('9999-12-31T23:59:59Z') },
    },
    {
      name: 'years 2049 and 2050',
      options: { notBefore: new Date('2049-12-31T23:59:59Z'), notAfter: new Date('2050-01-01') },
    },
    { name: 'a serial number of 20 octets and a sign', options: { serialNumber: 'ff'.repeat(20) } },
    { name: 'serial number zero', options: { serialNumber: '0' } },
    { name: 'a negative serial number', options: { serialNumber: '-80' } },
    {
      name: 'unknown extensions',
      options: {
        extensions: [
          { oid: '1.2.3.4', critical: true, value: Uint8Array.of(0xff) },
          { oid: '1.2.3.4294967295', value: new Uint8Array(300) },
        ],
      },
    },
    { name: 'many extended key usages', options: { extendedKeyUsage: ['clientAuth', 'any', '2.999.4294967295'] } },
  ])('on $name', async ({ options }) => {
    compareAll((await pki.issue({ key: pki.root, ...options })).certificate.der)
  })

  test('on whatever is issued, subjects with every ASCII character included', async () => {
    const types = fc.constantFrom('CN', 'O', 'OU', 'L', 'ST', 'UID')
    // OpenSSL does not escape a value that is one number sign, as RFC 4514 §2.4 asks.
    const value = fc
      .string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 10 })
      .filter((written) => written !== '#')
    const subject = fc.array(
      fc.dictionary(types, fc.array(value, { minLength: 1, maxLength: 2 }), { minKeys: 1, maxKeys: 3 }),
      { maxLength: 3 },
    )
    const second = fc.integer({ min: Date.UTC(1950, 0, 1) / 1000, max: Date.UTC(9999, 11, 31) / 1000 })
    const options = fc.record({
      subject,
      validity: fc.tuple(second, second).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
      serialNumber: fc.bigInt({ min: 0n, max: 2n ** 160n - 1n }).map((n) => n.toString(16)),
      keyUsage: fc.subarray(Object.keys(KeyUsageBit) as (keyof typeof KeyUsageBit)[], { minLength: 1 }),
    })
    await fc.assert(
      fc.asyncProperty(options, async ({ validity: [from, to], ...rest }) => {
        const given = {
          ...rest,
          names: { dns: ['a.example'] },
          notBefore: new Date(from * 1000),
          notAfter: new Date(to * 1000),
        }
        compareAll((await pki.issue({ key: pki.root, ...given })).certificate.der)
      }),
      { numRuns: 150 },
    )
  }, 60_000)
})

describe('where OpenSSL is lenient we are not', () => {
  // `new X509Certificate` reads each of these, and prints the same identity for it.
  test.each<{ name: string; given: (good: Uint8Array) => Uint8Array }>([
    { name: 'octets after the certificate', given: (good) => Buffer.concat([good, Uint8Array.of(0)]) },
    { name: 'a second certificate after it', given: (good) => Buffer.concat([good, good]) },
    {
      name: 'a length with a leading zero',
      given: (good) => Buffer.concat([Uint8Array.of(0x30, 0x83, 0), good.subarray(2)]),
    },
    {
      name: 'an indefinite length',
      given: (good) => Buffer.concat([Uint8Array.of(0x30, 0x80), good.subarray(4), Uint8Array.of(0, 0)]),
    },
    { name: 'PEM text', given: (good) => Buffer.from(new X509Certificate(good).toString()) },
  ])('$name', async ({ given }) => {
    const good = (await pki.issue({ key: pki.root })).certificate.der
    const lenient = given(good)
    expect(good[1]).toBe(0x82)
    expect(new X509Certificate(lenient).subject).toBe('CN=alice')
    expect(malformation(good)).toBeUndefined()
    expect(malformation(lenient)).toBeDefined()
  })
})
