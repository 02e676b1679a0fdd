import { describe, expect, test } from '@jest/globals'
import { createTestAuthority, type TestKeyAlgorithm } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { oid as known } from '../../src/x509/oid.js'
import {
  bitString,
  certificateDer,
  concat,
  context,
  hex,
  integer,
  malformation,
  nothing,
  octetString,
  oid,
  parsed,
  seq,
  tlv,
} from '../support/der-builder.js'

const spki = (type: string, parameters: Uint8Array | undefined, key: Uint8Array) =>
  seq(seq(oid(type), ...(parameters === undefined ? [] : [parameters])), bitString(0, key))
const facts = (publicKey: Uint8Array) => parsed({ publicKey }).publicKey.facts
const reasonAgainst = (publicKey: Uint8Array) => malformation(certificateDer({ publicKey }))
const trailing = 'unexpected element or trailing octets'

const rsaKey = (n: bigint, e: bigint) => seq(integer(n), integer(e))
const rsa = (key: Uint8Array, parameters: Uint8Array | undefined = nothing()) =>
  spki(known.rsaEncryption, parameters, key)
const n = 2n ** 2047n + 1n

describe('RSA keys (RFC 3279 §2.3.1, RFC 8017 A.1.1)', () => {
  test.each([
    { name: 'RSA-2048', given: rsaKey(n, 65_537n), value: { modulusBits: 2048, exponent: 65_537, modulusIsOdd: true } },
    {
      name: 'RSA-2047',
      given: rsaKey(2n ** 2046n + 1n, 65_537n),
      value: { modulusBits: 2047, exponent: 65_537, modulusIsOdd: true },
    },
    {
      name: 'an even modulus',
      given: rsaKey(2n ** 2047n, 3n),
      value: { modulusBits: 2048, exponent: 3, modulusIsOdd: false },
    },
    { name: 'a modulus of zero', given: rsaKey(0n, 3n), value: { modulusBits: 0, exponent: 3, modulusIsOdd: false } },
    { name: 'an exponent of 0', given: rsaKey(n, 0n), value: { modulusBits: 2048, exponent: 0, modulusIsOdd: true } },
    {
      name: 'an exponent of 2^53 - 1',
      given: rsaKey(n, 2n ** 53n - 1n),
      value: { modulusBits: 2048, exponent: 2 ** 53 - 1, modulusIsOdd: true },
    },
    {
      name: 'an exponent of 2^64 + 65537, which is not 65537',
      given: rsaKey(n, 2n ** 64n + 65_537n),
      value: { modulusBits: 2048, exponent: undefined, modulusIsOdd: true },
    },
    {
      name: 'RSA-65536',
      given: rsaKey(2n ** 65_535n + 1n, 65_537n),
      value: { modulusBits: 65_536, exponent: 65_537, modulusIsOdd: true },
    },
  ])('$name: the facts are exact, and no key is made of them', ({ given, value }) => {
    expect(facts(rsa(given))).toEqual({ type: 'RSA', ...value })
  })

  test.each([
    {
      name: 'absent parameters',
      given: spki(known.rsaEncryption, undefined, rsaKey(n, 3n)),
      reason: 'RSA key parameters are not NULL',
    },
    { name: 'NULL with contents', given: rsa(rsaKey(n, 3n), tlv(5, [0])), reason: 'NULL is not empty' },
    { name: 'parameters of another type', given: rsa(rsaKey(n, 3n), seq()), reason: 'RSA key parameters are not NULL' },
    { name: 'a negative modulus', given: rsa(rsaKey(-n, 3n)), reason: 'RSA modulus is negative' },
    {
      name: 'a modulus with its top bit set and no sign octet',
      given: rsa(seq(tlv(2, [0x80, 1]), integer(3))),
      reason: 'RSA modulus is negative',
    },
    { name: 'a negative exponent', given: rsa(rsaKey(n, -3n)), reason: 'INTEGER is negative' },
    { name: 'an empty modulus', given: rsa(seq(tlv(2), integer(3))), reason: 'INTEGER is empty' },
    { name: 'a padded exponent', given: rsa(seq(integer(n), tlv(2, [0, 3]))), reason: 'INTEGER is not minimal' },
    { name: 'no exponent', given: rsa(seq(integer(n))), reason: 'element is cut off' },
    { name: 'a third number', given: rsa(seq(integer(n), integer(3), integer(5))), reason: trailing },
    { name: 'something after the key', given: rsa(concat(rsaKey(n, 3n), [0])), reason: trailing },
    { name: 'no key', given: rsa(hex('')), reason: 'element is cut off' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(given)).toBe(reason)
  })
})

test('the place of what is wrong with a key is one of the certificate', () => {
  const place = (publicKey: Uint8Array) => {
    const der = certificateDer({ publicKey })
    const from = Buffer.from(der).indexOf(publicKey)
    return { from, to: from + publicKey.length, at: offsetOf(der) }
  }
  const broken = spki(known.rsassaPss, seq(context(2, integer(-1))), rsaKey(n, 65_537n))
  for (const given of [
    rsa(rsaKey(-n, 3n)),
    rsa(seq(integer(n), tlv(2, [0, 3]))),
    broken,
    spki('1.2.840.10045.2.1', tlv(6), hex('04')),
  ]) {
    const { from, to, at } = place(given)
    expect(at).toBeGreaterThanOrEqual(from)
    expect(at).toBeLessThan(to)
  }
})

/** Where a certificate is malformed. */
function offsetOf(der: Uint8Array): number | undefined {
  try {
    Certificate.parse(der)
    return undefined
  } catch (error) {
    return (error as { detail: { offset: number } }).detail.offset
  }
}

describe('RSA-PSS keys and parameters (RFC 4055 §3.1)', () => {
  const algorithm = (type: string, ...rest: Uint8Array[]) => seq(oid(type), ...rest)
  const sha256 = algorithm(known.sha256, nothing())
  const mgf = (hash: Uint8Array) => algorithm(known.mgf1, hash)
  const pss = (...fields: Uint8Array[]) => spki(known.rsassaPss, seq(...fields), rsaKey(n, 65_537n))
  const full = [context(0, sha256), context(1, mgf(sha256)), context(2, integer(32)), context(3, integer(1))] as const

  test('a key without parameters is not restricted, one with them is', () => {
    expect(facts(spki(known.rsassaPss, undefined, rsaKey(n, 65_537n)))).toMatchObject({
      type: 'RSA-PSS',
      pss: undefined,
    })
    expect(facts(pss(...full))).toMatchObject({
      pss: { hash: known.sha256, mgfHash: known.sha256, saltLength: 32, trailerField: 1 },
    })
    expect(facts(pss())).toMatchObject({
      pss: { hash: '1.3.14.3.2.26', mgfHash: '1.3.14.3.2.26', saltLength: 20, trailerField: 1 },
    })
    expect(facts(pss(context(0, algorithm(known.sha256))))).toMatchObject({
      pss: { hash: known.sha256, saltLength: 20 },
    })
  })

  test.each([
    { name: 'a negative salt length', given: pss(context(2, integer(-1))), reason: 'INTEGER is negative' },
    {
      name: 'another mask generation function',
      given: pss(context(1, algorithm('1.2.3', sha256))),
      reason: 'RSA-PSS mask generation function is not MGF1',
    },
    { name: 'MGF1 without a digest', given: pss(context(1, algorithm(known.mgf1))), reason: 'element is cut off' },
    {
      name: 'a digest with parameters',
      given: pss(context(0, algorithm(known.sha256, integer(1)))),
      reason: 'digest has parameters',
    },
    { name: 'fields in another order', given: pss(full[1], full[0]), reason: trailing },
    { name: 'a fifth field', given: pss(...full, context(4, integer(1))), reason: trailing },
    { name: 'two digests in one field', given: pss(context(0, sha256, sha256)), reason: trailing },
    {
      name: 'NULL parameters',
      given: spki(known.rsassaPss, nothing(), rsaKey(n, 65_537n)),
      reason: 'expected tag 0x30, found 0x05',
    },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(pss(...full))).toBeUndefined()
    expect(reasonAgainst(given)).toBe(reason)
  })
})

describe('EC keys (RFC 5480 §2.1.1)', () => {
  const ec = (curve: Uint8Array | undefined, point: Uint8Array) => spki(known.ecPublicKey, curve, point)
  const point = (first: number, octets: number) => concat([first], new Uint8Array(octets).fill(1))

  test.each([
    { name: 'P-256', curve: known.p256, octets: 32 },
    { name: 'P-384', curve: known.p384, octets: 48 },
    { name: 'P-521', curve: known.p521, octets: 66 },
  ])('a point of $name has one coordinate or two, and says which', ({ curve, octets }) => {
    for (const given of [point(4, 2 * octets), point(2, octets), point(3, octets)]) {
      expect(facts(ec(oid(curve), given))).toEqual({ type: 'EC', curve })
    }
    const wrong = [
      point(4, 2 * octets - 1),
      point(4, 2 * octets + 1),
      point(4, octets),
      point(2, 2 * octets),
      point(2, octets - 1),
      point(5, octets),
      point(6, 2 * octets),
      point(7, 2 * octets),
      hex('00'),
      hex(''),
    ]
    for (const given of wrong) expect(reasonAgainst(ec(oid(curve), given))).toBe('EC point is malformed')
  })

  test('explicit and implicit parameters name no curve, even if they equal P-256 (CVE-2020-0601, CVE-2022-0778)', () => {
    expect(facts(ec(oid(known.p256), point(4, 64)))).toEqual({ type: 'EC', curve: known.p256 })
    expect(facts(ec(seq(integer(1)), point(4, 64)))).toEqual({ type: 'EC', curve: undefined })
    expect(facts(ec(nothing(), point(4, 64)))).toEqual({ type: 'EC', curve: undefined })
    expect(reasonAgainst(ec(undefined, point(4, 64)))).toBe('EC key has no parameters')
  })

  test('a curve that is not known is named, an identifier that is not one is refused', () => {
    expect(facts(ec(oid('1.3.132.0.10'), point(4, 64)))).toEqual({ type: 'EC', curve: '1.3.132.0.10' })
    expect(reasonAgainst(ec(tlv(6, [0x2a, 0x80, 1]), point(4, 64)))).toBe('OBJECT IDENTIFIER arc is not minimal')
    expect(reasonAgainst(ec(tlv(6), point(4, 64)))).toBe('OBJECT IDENTIFIER is empty')
  })
})

describe('keys of one length and without parameters (RFC 8410 §3, RFC 9881 §4)', () => {
  test.each([
    { type: 'Ed25519', identifier: known.ed25519, octets: 32 },
    { type: 'Ed448', identifier: known.ed448, octets: 57 },
    { type: 'ML-DSA-44', identifier: known.mlDsa44, octets: 1312 },
    { type: 'ML-DSA-65', identifier: known.mlDsa65, octets: 1952 },
    { type: 'ML-DSA-87', identifier: known.mlDsa87, octets: 2592 },
  ])('$type', ({ type, identifier, octets }) => {
    const key = new Uint8Array(octets)
    expect(facts(spki(identifier, undefined, key))).toEqual({ type })
    expect(reasonAgainst(spki(identifier, nothing(), key))).toBe(`${type} key has parameters`)
    expect(reasonAgainst(spki(identifier, undefined, key.subarray(1)))).toBe(`${type} key has a wrong length`)
    expect(reasonAgainst(spki(identifier, undefined, concat(key, [0])))).toBe(`${type} key has a wrong length`)
  })
})

describe('other keys', () => {
  test('a key of unknown type is named, never thrown about (CVE-2024-24783, CVE-2025-58188)', () => {
    expect(facts(spki('1.2.3.4', undefined, hex('')))).toEqual({ type: 'unknown', oid: '1.2.3.4' })
    expect(facts(spki('1.2.3.4', seq(seq()), hex('ff')))).toEqual({ type: 'unknown', oid: '1.2.3.4' })
    expect(facts(spki(known.dsa, undefined, hex('ff')))).toEqual({ type: 'DSA' })
    expect(facts(spki('1.3.101.110', undefined, new Uint8Array(32)))).toEqual({ type: 'unknown', oid: '1.3.101.110' })
    expect(facts(spki(`1.3.101.${2 ** 32 + 112}`, undefined, new Uint8Array(32)))).toMatchObject({ type: 'unknown' })
  })

  test.each([
    { name: 'a third element', given: seq(seq(oid('1.2.3')), bitString(0, [1]), nothing()), reason: trailing },
    { name: 'no key', given: seq(seq(oid('1.2.3'))), reason: 'element is cut off' },
    {
      name: 'a key of seven bits',
      given: seq(seq(oid('1.2.3')), bitString(1, [2])),
      reason: 'BIT STRING is not whole octets',
    },
    {
      name: 'a key as OCTET STRING',
      given: seq(seq(oid('1.2.3')), octetString([1])),
      reason: 'expected tag 0x03, found 0x04',
    },
    { name: 'an algorithm without identifier', given: seq(seq(), bitString(0, [1])), reason: 'element is cut off' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(given)).toBe(reason)
  })

  test.each<{ made: TestKeyAlgorithm; expected: object }>([
    { made: 'P-256', expected: { type: 'EC', curve: known.p256 } },
    { made: 'P-384', expected: { type: 'EC', curve: known.p384 } },
    { made: 'P-521', expected: { type: 'EC', curve: known.p521 } },
    { made: 'secp256k1', expected: { type: 'EC', curve: '1.3.132.0.10' } },
    { made: 'RSA-2048', expected: { type: 'RSA', modulusBits: 2048, exponent: 65_537, modulusIsOdd: true } },
    { made: 'RSA-PSS-2048', expected: { type: 'RSA-PSS', modulusBits: 2048, exponent: 65_537, modulusIsOdd: true } },
    { made: 'Ed25519', expected: { type: 'Ed25519' } },
    { made: 'Ed448', expected: { type: 'Ed448' } },
  ])(
    'what Node makes as $made is read as that',
    async ({ made, expected }) => {
      const { certificate } = await createTestAuthority({ keyAlgorithm: made })
      expect(Certificate.parse(certificate.der).publicKey.facts).toEqual(expected)
    },
    60_000,
  )
})
